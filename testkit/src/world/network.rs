//! Who listens where, and what becomes of those who connect.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencode_client::{Connecting, Connection};

use super::core::{Core, lock};
use super::link::{ServerEnd, Troubles, connection};

type Accept = Arc<dyn Fn(ServerEnd) + Send + Sync>;

/// The ports of a world.
#[derive(Default)]
pub(super) struct Network {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<u16, Accept>,
    connections: u64,
}

enum Fate {
    Hung,
    Refused,
    Made,
}

impl Network {
    /// Whether the port was free.
    pub(super) fn listen(&self, port: u16, accept: Accept) -> bool {
        let mut state = lock(&self.state);
        if state.listeners.contains_key(&port) {
            return false;
        }
        state.listeners.insert(port, accept);
        true
    }

    pub(super) fn close(&self, port: u16) {
        let accept = lock(&self.state).listeners.remove(&port);
        drop(accept);
    }
}

pub(super) fn connect(core: &Arc<Core>, network: &Arc<Network>, port: u16) -> Connecting {
    let (core, network) = (Arc::clone(core), Arc::clone(network));
    Box::pin(async move {
        let weather = core.weather();
        let (fate, delay, to_client, to_server) = core.random(|random| {
            let fate = if random.happens(weather.refused) {
                Fate::Refused
            } else if random.happens(weather.hung) {
                Fate::Hung
            } else {
                Fate::Made
            };
            let delay = match random.below(16) {
                0 => random.milliseconds(0, 300),
                _ => Duration::from_micros(random.range(20, 500)),
            };
            let to_client = Troubles::any(random, weather.broken, weather.slow, 6_000);
            let to_server = Troubles::any(random, weather.broken / 4, weather.slow / 4, 600);
            (fate, delay, to_client, to_server)
        });
        core.sleep(delay).await;
        let number = {
            let mut state = lock(&network.state);
            state.connections += 1;
            state.connections
        };
        let accept = lock(&network.state).listeners.get(&port).cloned();
        let accept = match (fate, accept) {
            (Fate::Hung, _) => {
                core.trace(format_args!("connection {number} to {port} never comes about"));
                return std::future::pending().await;
            }
            (Fate::Made, Some(accept)) => accept,
            (Fate::Made | Fate::Refused, _) => {
                core.trace(format_args!("connection {number} to {port} is refused"));
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        };
        let (client, server) = connection(&core, number, to_client, to_server);
        accept(server);
        Ok(Box::new(client) as Box<dyn Connection>)
    })
}
