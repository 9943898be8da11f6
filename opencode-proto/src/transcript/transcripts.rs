use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::Transcript;
use crate::SessionId;
use crate::server_event::ServerEvent;

/// The transcripts of all sessions in a server's events, in order of appearance.
///
/// The cost of an event depends neither on the number of sessions nor on the events before.
///
/// ```
/// use opencode_proto::{ServerEvent, Transcripts};
///
/// let events = [
///     r#"{"type":"message.updated","properties":{"sessionID":"ses_1","info":
///         {"id":"msg_2","role":"assistant","parentID":"msg_1"}}}"#,
///     r#"{"type":"message.part.updated","properties":{"sessionID":"ses_1","part":
///         {"type":"text","id":"prt_1","messageID":"msg_2","text":"","time":{"start":5}}}}"#,
///     r#"{"type":"message.part.delta","properties":{"sessionID":"ses_1","messageID":"msg_2",
///         "partID":"prt_1","field":"text","delta":"Hello!"}}"#,
/// ];
/// let mut transcripts = Transcripts::new();
/// for event in events {
///     transcripts.apply(&ServerEvent::decode(event.into()));
/// }
/// let session = transcripts.session(&"ses_1".into()).unwrap();
/// assert_eq!(session.text(), "Hello!");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transcripts {
    sessions: Vec<Transcript>,
    places: BTreeMap<SessionId, usize>,
}

impl Transcripts {
    /// Creates transcripts of no session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event. Events are to come in the order of the stream; copies (`sync`) change
    /// nothing.
    pub fn apply(&mut self, event: &ServerEvent) {
        if let Some(session) = &event.session {
            let place = *self.places.entry(session.clone()).or_insert_with(|| {
                self.sessions.push(Transcript::new(session.clone()));
                self.sessions.len() - 1
            });
            self.sessions[place].apply(event);
        }
    }

    /// Returns all transcripts in order of appearance.
    pub fn iter(&self) -> impl Iterator<Item = &Transcript> {
        self.sessions.iter()
    }

    /// Returns the transcript of one session.
    pub fn session(&self, id: &SessionId) -> Option<&Transcript> {
        self.places.get(id).map(|place| &self.sessions[*place])
    }
}

impl Serialize for Transcripts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sessions.serialize(serializer)
    }
}
