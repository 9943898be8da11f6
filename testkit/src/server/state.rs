use std::collections::{BTreeMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use crate::request::{EventStream, Request};

use super::events::Item;
use super::script::{Greeting, Script};

/// What the threads of one server have in common.
#[derive(Debug)]
pub(super) struct State {
    pub(super) script: Script,
    pub(super) requests: Vec<Arc<Request>>,
    /// The sessions created in all.
    pub(super) sessions: usize,
    /// The event streams opened in all.
    pub(super) opened: usize,
    /// The event streams that are open, by number of the connection: what is still to be sent there.
    pub(super) streams: BTreeMap<u64, VecDeque<Item>>,
    connections: BTreeMap<u64, Arc<TcpStream>>,
    next: u64,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
}

impl State {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            requests: Vec::new(),
            sessions: 0,
            opened: 0,
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
            life: Life::Running,
        }
    }

    /// Takes a new connection, unless the server stops.
    pub(super) fn enter(&mut self, stream: Arc<TcpStream>) -> Option<u64> {
        if self.is_stopping() {
            return None;
        }
        self.next += 1;
        self.connections.insert(self.next, stream);
        Some(self.next)
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.connections.remove(&number);
    }

    pub(super) fn open_stream(&mut self, number: u64, stream: EventStream) {
        self.opened += 1;
        let connected = r#"{"id":"evt_0","type":"server.connected","properties":{}}"#;
        let greeting = match (self.script.greeting, stream) {
            (Greeting::Connected, EventStream::Directory) => {
                Some(Item::Event(connected.to_owned()))
            }
            // This one comes without a directory.
            (Greeting::Connected, EventStream::Global) => {
                Some(Item::Raw(format!("data: {{\"payload\":{connected}}}\n\n").into_bytes()))
            }
            (Greeting::Silence, _) => None,
        };
        self.streams.insert(number, greeting.into_iter().collect());
    }

    pub(super) fn send(&mut self, item: &Item) {
        for queue in self.streams.values_mut() {
            queue.push_back(item.clone());
        }
    }

    /// Wakes every thread.
    pub(super) fn stop(&mut self) {
        self.life = Life::Stopping;
        for connection in self.connections.values() {
            // An error says that the connection is closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.life == Life::Stopping
    }
}
