use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::http::{Head, ReadError, Requests, respond};

use super::conversation::Conversation;
use super::play::play;
use super::record::{ModelRequest, Outcome, messages};
use super::state::ModelState;

/// Serves one connection until the end or a stop of the server.
pub(super) fn serve(stream: TcpStream, shared: &ModelState) {
    let stream = Arc::new(stream);
    if shared.enter(&stream) {
        answer_all(&stream, shared);
        shared.leave(&stream);
    }
}

fn answer_all(stream: &TcpStream, shared: &ModelState) {
    // Deltas are small and must be sent at once. A closed connection is an error below as well.
    let _ = stream.set_nodelay(true);
    let mut requests = Requests::new(stream);
    loop {
        let (head, body) = match requests.next() {
            Ok(Some(request)) => request,
            Ok(None) | Err(ReadError::Gone(_)) => return,
            Err(error @ (ReadError::Malformed | ReadError::TooLarge { .. })) => {
                // The connection ends either way, even if the client does not read the refusal.
                let _ = refuse(stream, 400, &error.to_string());
                return;
            }
        };
        let keeps_alive = head.keeps_alive();
        match answer(head, &body, stream, shared) {
            Ok(Outcome::Answered) if keeps_alive => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn answer(head: Head, body: &[u8], stream: &TcpStream, shared: &ModelState) -> io::Result<Outcome> {
    if (head.method.as_str(), head.path.as_str()) != ("POST", "/v1/chat/completions") {
        let problem = format!("the scripted model has no route {} {}", head.method, head.path);
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
    let request =
        shared.recorder.record(|number| ModelRequest::new(number, kind, &cue, head, body));
    let played = play(&cue, &request, stream, shared);
    let outcome = match &played {
        Ok(outcome) => *outcome,
        Err(_) if shared.is_stopping() => Outcome::Stopped,
        Err(_) => Outcome::ClientLeft,
    };
    shared.recorder.finish(&request, outcome);
    played
}

fn refuse(stream: &TcpStream, status: u16, problem: &str) -> io::Result<Outcome> {
    let body = json!({ "error": { "message": problem, "type": "invalid_request_error" } });
    respond(stream, status, &[], &body.to_string())?;
    Ok(Outcome::Answered)
}
