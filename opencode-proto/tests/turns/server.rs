//! What a server would answer at any point of a recording.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use opencode_proto::api::{MessageWithParts, Pending};
use opencode_proto::{
    ChildSnapshot, MessageId, Part, PermissionRequest, QuestionRequest, Role, ServerEvent,
    ServerEventKind, SessionId, SessionStatus, Snapshot, SseEvent, SseFramer,
};

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

    /// What somebody posted, session by session: the session, the message, and where it is told first. Sessions of
    /// subagents are left out. A session in which no message is told has one prompt that came to nothing.
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

/// What the server knows.
#[derive(Clone)]
pub(crate) struct Server {
    sessions: Vec<Session>,
    permissions: Vec<Pending<PermissionRequest>>,
    questions: Vec<Pending<QuestionRequest>>,
}

#[derive(Clone)]
struct Session {
    id: SessionId,
    parent: Option<SessionId>,
    status: SessionStatus,
    messages: Vec<MessageWithParts>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { sessions: Vec::new(), permissions: Vec::new(), questions: Vec::new() }
    }

    /// The recording goes on by one event.
    pub(crate) fn apply(&mut self, event: &ServerEvent) {
        let Some(id) = &event.session else { return };
        let place = self.sessions.iter().position(|session| session.id == *id);
        let place = place.unwrap_or_else(|| {
            self.sessions.push(Session {
                id: id.clone(),
                parent: None,
                status: SessionStatus::Idle,
                messages: Vec::new(),
            });
            self.sessions.len() - 1
        });
        let session = &mut self.sessions[place];
        match &event.kind {
            ServerEventKind::SessionCreated(info) => session.parent.clone_from(&info.parent),
            ServerEventKind::SessionStatus(status) => session.status = status.clone(),
            ServerEventKind::SessionIdle => session.status = SessionStatus::Idle,
            ServerEventKind::MessageUpdated(info) => {
                match session.messages.iter_mut().find(|known| known.info.id == info.id) {
                    Some(known) => known.info = (**info).clone(),
                    None => {
                        session.messages.push(MessageWithParts::new((**info).clone(), Vec::new()))
                    }
                }
            }
            ServerEventKind::PartUpdated(part) => session.update_part(part),
            ServerEventKind::PermissionAsked(request) => {
                self.permissions.push(Pending::new(id.clone(), (**request).clone()));
            }
            ServerEventKind::PermissionReplied { request, .. } => {
                self.permissions.retain(|ask| ask.request.id != *request);
            }
            ServerEventKind::QuestionAsked(request) => {
                self.questions.push(Pending::new(id.clone(), (**request).clone()));
            }
            ServerEventKind::QuestionReplied { request, .. }
            | ServerEventKind::QuestionRejected { request, .. } => {
                self.questions.retain(|ask| ask.request.id != *request);
            }
            _ => {}
        }
    }

    pub(crate) fn snapshot(&self, session: &SessionId, message: &MessageId) -> Snapshot {
        let mut snapshot = Snapshot::new(SessionStatus::Idle);
        for known in &self.sessions {
            if known.id == *session {
                snapshot.status = known.status.clone();
                let from = known.messages.iter().position(|known| known.info.id == *message);
                snapshot.messages = known.messages[from.unwrap_or(0)..].to_vec();
            } else if known.parent.as_ref() == Some(session) {
                snapshot.children.push(ChildSnapshot {
                    session: known.id.clone(),
                    messages: known.messages.clone(),
                });
            }
        }
        snapshot.permissions.clone_from(&self.permissions);
        snapshot.questions.clone_from(&self.questions);
        snapshot
    }
}

impl Session {
    fn update_part(&mut self, part: &Part) {
        let Some(message) = &part.key().message else { return };
        let Some(known) = self.messages.iter_mut().find(|known| known.info.id == *message) else {
            return;
        };
        match known.parts.iter_mut().find(|known| known.key() == part.key()) {
            Some(known) => *known = part.clone(),
            None => known.parts.push(part.clone()),
        }
    }
}
