use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Head, ReadError, Requests, respond};

use super::conversation::Conversation;
use super::gate::Gate;
use super::play::play;
use super::record::{Outcome, Recorder, Request, messages};
use super::stage::Stage;

/// What the threads of one server have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) recorder: Recorder,
    stage: Mutex<Stage>,
    /// The gates that replies may be waiting for.
    gates: Mutex<Vec<Gate>>,
    connections: Mutex<Vec<Arc<TcpStream>>>,
    stopping: AtomicBool,
    pauses: (Mutex<()>, Condvar),
}

impl Shared {
    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.stage)
    }

    pub(super) fn watch_gates(&self, gates: impl Iterator<Item = Gate>) {
        lock(&self.gates).extend(gates);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every wait of a reply and every connection.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for gate in lock(&self.gates).iter() {
            gate.nudge();
        }
        for stream in lock(&self.connections).iter() {
            // An error says that the connection is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _waits = lock(&self.pauses.0);
        self.pauses.1.notify_all();
    }

    /// Waits for `interval`, or until the server stops.
    pub(super) fn pause(&self, interval: Duration) {
        let waits = lock(&self.pauses.0);
        let ended = self.pauses.1.wait_timeout_while(waits, interval, |()| !self.is_stopping());
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Serves one connection until it ends or the server stops.
pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let stream = Arc::new(stream);
    {
        let mut connections = lock(&shared.connections);
        if shared.is_stopping() {
            return;
        }
        connections.push(Arc::clone(&stream));
    }
    answer_all(&stream, shared);
    lock(&shared.connections).retain(|open| !Arc::ptr_eq(open, &stream));
}

fn answer_all(stream: &TcpStream, shared: &Shared) {
    // Deltas are small and must leave at once. A connection that is gone already says so below.
    let _ = stream.set_nodelay(true);
    let mut requests = Requests::new(stream);
    loop {
        let (head, body) = match requests.next() {
            Ok(Some(request)) => request,
            Ok(None) | Err(ReadError::Gone(_)) => return,
            Err(error @ (ReadError::Malformed | ReadError::TooLarge { .. })) => {
                // The client that sent this cannot be helped if it does not read the answer.
                let _ = refuse(stream, 400, &error.to_string());
                return;
            }
        };
        let keeps_alive = head.keeps_alive();
        match answer(head, &body, stream, shared) {
            Ok(Outcome::Answer) if keeps_alive => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn answer(head: Head, body: &[u8], stream: &TcpStream, shared: &Shared) -> io::Result<Outcome> {
    if (head.method.as_str(), head.path.as_str()) != ("POST", "/v1/chat/completions") {
        let problem = format!("the scripted model has no {} {}", head.method, head.path);
        return refuse(stream, 404, &problem);
    }
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return refuse(stream, 400, &format!("the body is not JSON: {error}")),
    };
    if body["stream"] != json!(true) {
        return refuse(stream, 400, "the scripted model only streams");
    }
    let conversation = Conversation::new(messages(&body));
    let kind = conversation.kind();
    let cue = shared.stage().cue(conversation, head.header("x-session-id"));
    let request = shared.recorder.record(|number| Request::new(number, kind, &cue, head, body));
    let played = play(&cue, &request, stream, shared);
    let outcome = match &played {
        Ok(outcome) => *outcome,
        Err(_) if shared.is_stopping() => Outcome::Stop,
        Err(_) => Outcome::Leave,
    };
    shared.recorder.finish(&request, outcome);
    played
}

fn refuse(stream: &TcpStream, status: u16, problem: &str) -> io::Result<Outcome> {
    let body = json!({ "error": { "message": problem, "type": "invalid_request_error" } });
    respond(stream, status, &[], &body.to_string())?;
    Ok(Outcome::Answer)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
