use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::watched::Watched;

use super::gate::Gate;
use super::record::Recorder;
use super::stage::Stage;

/// State that the threads of one server share.
#[derive(Default)]
pub(super) struct ModelState {
    pub(super) recorder: Recorder,
    stage: Mutex<Stage>,
    /// Gates that replies may be waiting for.
    gates: Mutex<Vec<Gate>>,
    connections: Mutex<Vec<Arc<TcpStream>>>,
    is_stopping: Watched<bool>,
}

impl ModelState {
    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.stage)
    }

    pub(super) fn watch_gates(&self, gates: impl Iterator<Item = Gate>) {
        lock(&self.gates).extend(gates);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.read(|is_stopping| *is_stopping)
    }

    /// Ends every wait of a reply and every connection.
    pub(super) fn stop(&self) {
        self.is_stopping.update(|is_stopping| *is_stopping = true);
        for gate in lock(&self.gates).iter() {
            gate.nudge();
        }
        for stream in lock(&self.connections).iter() {
            // An error means that the connection is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits for `interval`, at most until the server stops.
    pub(super) fn pause(&self, interval: Duration) {
        self.is_stopping.wait_within(interval, |is_stopping| is_stopping.then_some(()));
    }

    /// Registers a new connection. Returns `false` when the server is stopping.
    pub(super) fn enter(&self, stream: &Arc<TcpStream>) -> bool {
        let mut connections = lock(&self.connections);
        if self.is_stopping() {
            return false;
        }
        connections.push(Arc::clone(stream));
        true
    }

    pub(super) fn leave(&self, stream: &Arc<TcpStream>) {
        lock(&self.connections).retain(|open| !Arc::ptr_eq(open, stream));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
