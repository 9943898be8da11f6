//! Recordings, and the server at any point of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use opencode_proto::fuzzing::{WrittenMessage, WrittenServer};
use opencode_proto::{
    ApiCall, ApiReply, MessageId, PartKey, Role, ServerEvent, ServerEventKind, SessionId,
    SessionStatus, SseEvent, SseFramer,
};
use serde_json::value::RawValue;

/// The names of all recordings.
pub(crate) fn recordings() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/1.18.33/server")
}

/// A recording, frame by frame.
pub(crate) struct Recording {
    pub(crate) frames: Vec<Frame>,
}

pub(crate) struct Frame {
    /// With the empty line after it.
    pub(crate) bytes: Bytes,
    pub(crate) event: Arc<ServerEvent>,
}

impl Recording {
    pub(crate) fn load(name: &str) -> Self {
        let body = std::fs::read(folder().join(format!("{name}.sse"))).unwrap();
        let mut framer = SseFramer::new(1 << 30);
        framer.push(body.into());
        let mut frames = Vec::new();
        while let Some(event) = framer.next_event() {
            let SseEvent::Message { data, .. } = event else { continue };
            let bytes = [b"data: ", &data[..], b"\n\n"].concat().into();
            frames.push(Frame { bytes, event: Arc::new(ServerEvent::decode(data)) });
        }
        assert!(!frames.is_empty(), "{name}");
        Self { frames }
    }

    /// What somebody posted, session by session: the session, the message, and where it is told
    /// first. Sessions of subagents are left out. A session in which no message is told has one
    /// prompt that came to nothing.
    pub(crate) fn prompts(&self) -> Vec<(SessionId, MessageId, usize)> {
        let mut children = BTreeSet::new();
        let mut sessions = Vec::new();
        for frame in &self.frames {
            if let ServerEventKind::SessionCreated(info) = &frame.event.kind
                && info.parent.is_some()
            {
                children.insert(info.id.clone());
            }
            if let Some(session) = &frame.event.session
                && !children.contains(session)
                && !sessions.contains(session)
            {
                sessions.push(session.clone());
            }
        }
        let prompts = sessions.into_iter().flat_map(|session| {
            let mut prompts = self.prompts_of(&session);
            if prompts.is_empty() {
                prompts.push((session, "msg_none".into(), self.frames.len().min(2)));
            }
            prompts
        });
        prompts.collect()
    }

    fn prompts_of(&self, session: &SessionId) -> Vec<(SessionId, MessageId, usize)> {
        let mut prompts: Vec<(SessionId, MessageId, usize)> = Vec::new();
        for (index, frame) in self.frames.iter().enumerate() {
            if let ServerEventKind::MessageUpdated(info) = &frame.event.kind
                && frame.event.session.as_ref() == Some(session)
                && info.role == Role::User
                && !prompts.iter().any(|(_, id, _)| *id == info.id)
            {
                prompts.push((session.clone(), info.id.clone(), index));
            }
        }
        prompts
    }
}

/// A server as far as the recording has gone.
pub(crate) struct Server {
    written: WrittenServer,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { written: WrittenServer::default() }
    }

    /// Returns the reply to a call.
    pub(crate) fn reply(&self, call: &ApiCall) -> ApiReply {
        self.written.reply(call)
    }

    /// The recording goes on by one event.
    pub(crate) fn apply(&mut self, event: &ServerEvent) {
        let Some(id) = &event.session else { return };
        let (session, server) = (id.to_string(), &mut self.written);
        let WrittenEvent { properties } = serde_json::from_slice(&event.raw).unwrap();
        let property = |name: &str| -> &RawValue {
            let fields: BTreeMap<String, &RawValue> =
                serde_json::from_str(properties.get()).unwrap();
            fields[name]
        };
        match &event.kind {
            ServerEventKind::SessionCreated(info) => {
                if let Some(parent) = &info.parent {
                    server.children.entry(parent.to_string()).or_default().push(session);
                }
            }
            ServerEventKind::SessionStatus(SessionStatus::Idle) | ServerEventKind::SessionIdle => {
                server.statuses.remove(&session);
            }
            ServerEventKind::SessionStatus(_) => {
                server.statuses.insert(session, property("status").to_string());
            }
            ServerEventKind::MessageUpdated(info) => {
                let messages = server.messages.entry(session).or_default();
                let json = info.raw.to_string();
                match messages.iter_mut().find(|known| info.id == *known.id) {
                    Some(known) => known.info = json,
                    None => messages.push(WrittenMessage {
                        id: info.id.to_string(),
                        info: json,
                        parts: Vec::new(),
                    }),
                }
            }
            ServerEventKind::PartUpdated(part) => {
                let messages = server.messages.entry(session).or_default();
                let Some(message) = &part.key().message else { return };
                let Some(known) = messages.iter_mut().find(|known| *message == *known.id) else {
                    return;
                };
                set_part(&mut known.parts, part.key(), property("part"));
            }
            ServerEventKind::PermissionAsked(_) => server.permissions.push(properties.to_string()),
            ServerEventKind::PermissionReplied { request, .. } => {
                remove(&mut server.permissions, request.as_str());
            }
            ServerEventKind::QuestionAsked(_) => server.questions.push(properties.to_string()),
            ServerEventKind::QuestionReplied { request, .. }
            | ServerEventKind::QuestionRejected { request, .. } => {
                remove(&mut server.questions, request.as_str());
            }
            _ => {}
        }
    }
}

/// An event as written: a listing repeats the parts of events to the letter.
#[derive(serde::Deserialize)]
struct WrittenEvent<'a> {
    #[serde(borrow)]
    properties: &'a RawValue,
}

fn set_part(parts: &mut Vec<String>, key: &PartKey, part: &RawValue) {
    let id = format!("\"id\":\"{}\"", key.part.as_ref().unwrap().as_str());
    let json = part.to_string();
    match parts.iter_mut().find(|known| known.contains(&id)) {
        Some(known) => *known = json,
        None => parts.push(json),
    }
}

fn remove(asks: &mut Vec<String>, request: &str) {
    let id = format!("\"id\":\"{request}\"");
    asks.retain(|ask| !ask.contains(&id));
}
