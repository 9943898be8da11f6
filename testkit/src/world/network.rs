//! Listening ports, and connections to them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencode_client::runtime::{Connecting, Connection};

use super::core::{Core, lock};
use super::link::{LinkFaults, ServerEnd, connection};

type Accept = Arc<dyn Fn(ServerEnd) + Send + Sync>;

/// Ports and connections of a world.
#[derive(Default)]
pub(super) struct Network {
    state: Mutex<NetworkState>,
}

#[derive(Default)]
struct NetworkState {
    listeners: BTreeMap<u16, Accept>,
    connections: u64,
}

enum ConnectionFate {
    Hung,
    Refused,
    Made,
}

impl Network {
    /// Registers a listener. Returns `false` when the port is taken.
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
                ConnectionFate::Refused
            } else if random.happens(weather.hung) {
                ConnectionFate::Hung
            } else {
                ConnectionFate::Made
            };
            let delay = match random.below(16) {
                0 => random.milliseconds(0, 300),
                _ => Duration::from_micros(random.range(20, 500)),
            };
            let to_client = LinkFaults::any(random, weather.broken, weather.slow, 6_000);
            let to_server = LinkFaults::any(random, weather.broken / 4, weather.slow / 4, 600);
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
            (ConnectionFate::Hung, _) => {
                core.count("connection: never established");
                core.trace(format_args!("connection {number} to {port} is never established"));
                return std::future::pending().await;
            }
            (ConnectionFate::Made, Some(accept)) => accept,
            (ConnectionFate::Made | ConnectionFate::Refused, _) => {
                core.count("connection: refused");
                core.trace(format_args!("connection {number} to {port} is refused"));
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        };
        let (client, server) = connection(&core, number, to_client, to_server);
        accept(server);
        Ok(Box::new(client) as Box<dyn Connection>)
    })
}
