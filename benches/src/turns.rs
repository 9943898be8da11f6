use bytes::Bytes;
use opencode_proto::{
    Hub, HubAction, HubSettings, MessageId, Posted, SessionId, Turn, TurnAction, TurnOutcome,
    TurnSettings,
};
use serde_json::{Value, json};
use std::time::Instant;
use testkit::server::turn_events;

/// The event stream of one turn, as `GET /global/event` of OpenCode 1.18.33 has it: persisted events come twice.
#[derive(Clone, Debug)]
pub struct TurnWorkload {
    /// The session of the turn.
    pub session: SessionId,
    /// The message of its prompt.
    pub message: MessageId,
    /// What the model answers.
    pub text: String,
    /// The stream.
    pub stream: Bytes,
}

impl TurnWorkload {
    /// A turn that answers one word.
    pub fn trivial() -> Self {
        Self::new("Done.".to_owned())
    }

    /// A turn that answers 1 MiB in 16,384 deltas of 64 bytes.
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

    /// The stream in chunks of this size.
    pub fn chunks(&self, size: usize) -> Vec<Bytes> {
        let ends = (0..self.stream.len()).step_by(size);
        ends.map(|start| self.stream.slice(start..(start + size).min(self.stream.len()))).collect()
    }
}

/// An event of `GET /event` as `GET /global/event` tells it.
fn global(event: &str) -> String {
    let event: Value = serde_json::from_str(event).expect("events are JSON");
    let mut told = frame(&json!({ "directory": "/workspace", "payload": event }));
    if event["type"] != "message.part.delta" {
        let sync = json!({ "type": event["type"], "seq": 1, "data": event["properties"] });
        told += &frame(&json!({ "directory": "/workspace",
            "payload": { "type": "sync", "syncEvent": sync } }));
    }
    told
}

fn frame(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// Plays the stream to a hub and a turn, as the client does, and gathers the text that the events tell.
///
/// # Panics
///
/// When the turn does not end by what the stream says.
pub fn drive_turn(workload: &TurnWorkload, chunks: &[Bytes]) -> (String, TurnOutcome) {
    let now = Instant::now();
    let mut hub = Hub::new(HubSettings::default(), now);
    hub.follow(workload.session.clone());
    hub.handle_head(now);
    let (session, message) = (workload.session.clone(), workload.message.clone());
    let mut turn = Turn::new(session, message, TurnSettings::default(), now);
    let mut text = String::new();
    for chunk in chunks {
        hub.handle_chunk(chunk.clone(), now);
        loop {
            match hub.poll_action() {
                HubAction::Deliver { event, root } => {
                    if root.is_some() {
                        turn.handle_event(&event, now);
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
                    TurnAction::Post => turn.handle_posted(Posted::Accepted, now),
                    TurnAction::Wait(_) => break,
                    TurnAction::Abort
                    | TurnAction::AskPermission(_)
                    | TurnAction::AskQuestion(_)
                    | TurnAction::Look(_)
                    | TurnAction::Reply(_) => panic!("nothing of this turn needs that"),
                }
            }
        }
    }
    panic!("the turn has no end");
}

/// The same text by a tree for every event, gathered by hand.
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
