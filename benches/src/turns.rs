use bytes::Bytes;
use opencode_proto::fuzzing::WrittenServer;
use opencode_proto::{
    Hub, HubAction, HubSettings, MessageId, Session, SessionId, Turn, TurnAction, TurnOutcome,
    TurnSettings,
};
use serde_json::{Value, json};
use std::time::Instant;
use testkit::server::turn_events;

/// Event stream of one turn in the format of `GET /global/event` of OpenCode 1.18.33, which sends
/// persisted events twice.
#[derive(Clone, Debug)]
pub struct TurnWorkload {
    /// Session of the turn.
    pub session: SessionId,
    /// Message of the prompt.
    pub message: MessageId,
    /// Answer of the model.
    pub text: String,
    /// Bytes of the event stream.
    pub stream: Bytes,
}

impl TurnWorkload {
    /// A turn with an answer of one word.
    pub fn trivial() -> Self {
        Self::new("Done.".to_owned())
    }

    /// A turn with an answer of 1 MiB in 16,384 deltas of 64 bytes.
    pub fn long() -> Self {
        let word = format!("{} ", "x".repeat(63));
        Self::new(word.repeat(16_384))
    }

    fn new(text: String) -> Self {
        let (session, message) = ("ses_bench", "msg_bench");
        let mut stream =
            frame(&json!({ "payload": { "type": "server.connected", "properties": {} } }));
        for event in turn_events(session, message, &text) {
            stream.push_str(&global(&event));
        }
        Self { session: session.into(), message: message.into(), text, stream: stream.into() }
    }

    /// The stream in chunks of `size` bytes.
    pub fn chunks(&self, size: usize) -> Vec<Bytes> {
        let ends = (0..self.stream.len()).step_by(size);
        ends.map(|start| self.stream.slice(start..(start + size).min(self.stream.len()))).collect()
    }
}

/// Converts an event of `GET /event` into the events of `GET /global/event`.
fn global(event: &str) -> String {
    let event: Value = serde_json::from_str(event).expect("events are JSON");
    let mut frames = frame(&json!({ "directory": "/workspace", "payload": event }));
    if event["type"] != "message.part.delta" {
        let sync = json!({ "type": event["type"], "seq": 1, "data": event["properties"] });
        frames += &frame(&json!({ "directory": "/workspace",
            "payload": { "type": "sync", "syncEvent": sync } }));
    }
    frames
}

fn frame(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// Feeds the stream to a hub and a turn, as the client does. Returns the text of all events, and
/// the outcome.
///
/// # Panics
///
/// When the stream does not end the turn.
pub fn drive_turn(workload: &TurnWorkload, chunks: &[Bytes]) -> (String, TurnOutcome) {
    let now = Instant::now();
    let mut hub = Hub::new(HubSettings::default(), now);
    hub.follow(workload.session.clone());
    hub.handle_head(now);
    let (session, message) = (&mut Session::new(workload.session.clone(), None), &workload.message);
    let mut turn = Turn::new("Go.", TurnSettings::default(), message.clone(), session, now);
    turn.handle_opened(session, now);
    let mut text = String::new();
    for chunk in chunks {
        hub.handle_chunk(chunk.clone(), now);
        loop {
            match hub.poll_action() {
                HubAction::Deliver { event, root } => {
                    if root.is_some() {
                        turn.handle_event(&event, session, now);
                    }
                }
                HubAction::Wait(_) => break,
                HubAction::Connect(_)
                | HubAction::Disconnect
                | HubAction::Finished(_)
                | HubAction::Interrupted(_)
                | HubAction::Opened => {}
            }
            loop {
                match turn.poll_action() {
                    TurnAction::Event(event) => text.extend(event.text()),
                    TurnAction::Finished(outcome) => return (text, *outcome),
                    TurnAction::Call(call) => {
                        assert!(call.request.uri().path().ends_with("/prompt_async"));
                        let reply = WrittenServer::default().reply(&call);
                        turn.handle_reply(call.id, reply, session, now);
                    }
                    TurnAction::Ready => turn.post(message.clone(), session, now),
                    TurnAction::Wait(_) => break,
                    TurnAction::AskPermission(_)
                    | TurnAction::AskQuestion(_)
                    | TurnAction::Link { .. } => panic!("nothing of this turn needs that"),
                }
            }
        }
    }
    panic!("the turn has no end");
}

/// Extracts the text with a JSON tree per event.
pub fn turn_by_values(chunks: &[Bytes]) -> String {
    let mut text = String::new();
    let mut framer = opencode_proto::SseFramer::new(usize::MAX);
    for chunk in chunks {
        framer.push(chunk.clone());
        while let Some(event) = framer.next_event() {
            let opencode_proto::SseEvent::Message { data, .. } = event else { continue };
            let event: Value = serde_json::from_slice(&data).expect("events are JSON");
            let payload = &event["payload"];
            if payload["type"] == "message.part.delta" {
                text.push_str(payload["properties"]["delta"].as_str().expect("a delta is text"));
            }
        }
    }
    text
}
