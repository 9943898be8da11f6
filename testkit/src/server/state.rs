use std::collections::{BTreeMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use crate::request::EventStream;
use crate::traffic::{HasTraffic, Traffic};

use super::script::{Greeting, ServerScript};

/// FakeServerState that the threads of one server share.
#[derive(Debug)]
pub(super) struct FakeServerState {
    pub(super) script: ServerScript,
    pub(super) traffic: Traffic,
    /// Number of all sessions created so far.
    pub(super) sessions: usize,
    /// Unsent items of the open event streams, by number of the connection.
    pub(super) streams: BTreeMap<u64, VecDeque<StreamItem>>,
    connections: BTreeMap<u64, Arc<TcpStream>>,
    next: u64,
    life: Life,
}

/// An item to send on an event stream.
#[derive(Debug, Clone)]
pub(super) enum StreamItem {
    /// JSON of an event in the shape of `GET /event`.
    Event(String),
    Raw(Vec<u8>),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
}

impl FakeServerState {
    pub(super) fn new(script: ServerScript) -> Self {
        Self {
            script,
            traffic: Traffic::default(),
            sessions: 0,
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
            life: Life::Running,
        }
    }

    /// Registers a new connection, unless the server is stopping.
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
        self.traffic.streams_opened += 1;
        let connected = r#"{"id":"evt_0","type":"server.connected","properties":{}}"#;
        let greeting = match (self.script.greeting, stream) {
            (Greeting::Connected, EventStream::Directory) => {
                Some(StreamItem::Event(connected.to_owned()))
            }
            // The global stream sends this event without a directory.
            (Greeting::Connected, EventStream::Global) => {
                Some(StreamItem::Raw(format!("data: {{\"payload\":{connected}}}\n\n").into_bytes()))
            }
            (Greeting::Silence, _) => None,
        };
        self.streams.insert(number, greeting.into_iter().collect());
    }

    pub(super) fn send(&mut self, item: &StreamItem) {
        for queue in self.streams.values_mut() {
            queue.push_back(item.clone());
        }
    }

    /// Closes all connections, which wakes every thread.
    pub(super) fn stop(&mut self) {
        self.life = Life::Stopping;
        for connection in self.connections.values() {
            // An error means that the connection is closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.life == Life::Stopping
    }
}

impl HasTraffic for FakeServerState {
    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn streams_open(&self) -> usize {
        self.streams.len()
    }
}
