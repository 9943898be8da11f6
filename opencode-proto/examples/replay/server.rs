//! An event stream, into a transcript per session.

use std::borrow::Cow;
use std::error::Error;
use std::iter;

use opencode_proto::{
    AskId, ServerEvent, ServerEventKind, SseEvent, SseFramer, Todo, Tokens, Transcript, Transcripts,
};
use serde::Serialize;

use crate::read;
use crate::report::{ReportedError, Tool};

/// Recordings are whole files: an event can be as large as they are.
const EVENT_SIZE_MAX: usize = usize::MAX >> 1;

pub(crate) fn replay(mut args: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let mut framer = SseFramer::new(EVENT_SIZE_MAX);
    framer.push(read(args.next())?);
    let mut transcripts = Transcripts::new();
    let (mut events, mut unknown, mut malformed) = (0, 0, 0);
    for event in iter::from_fn(|| framer.next_event()) {
        let SseEvent::Message { data, .. } = event else { continue };
        let event = ServerEvent::decode(data);
        events += 1;
        match &event.kind {
            ServerEventKind::Malformed { .. } => malformed += 1,
            ServerEventKind::Unknown { .. } => unknown += 1,
            _ => {}
        }
        transcripts.apply(&event);
    }
    let sessions = transcripts.iter().map(SeenSession::from).collect();
    Ok(serde_json::to_string(&ServerReport { sessions, events, unknown, malformed })?)
}

#[derive(Serialize)]
struct ServerReport<'a> {
    sessions: Vec<SeenSession<'a>>,
    events: u64,
    unknown: u64,
    malformed: u64,
}

#[derive(Serialize)]
struct SeenSession<'a> {
    id: &'a str,
    parent: Option<&'a str>,
    text: Cow<'a, str>,
    full_text: Cow<'a, str>,
    reasoning: Cow<'a, str>,
    tools: Vec<Tool<'a>>,
    todos: Vec<Item<'a>>,
    tokens: Tokens,
    cost: f64,
    steps: usize,
    idle: u64,
    errors: Vec<ReportedError<'a>>,
    asks: Vec<SeenAsk<'a>>,
    open: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    content: &'a str,
    status: &'a str,
    priority: &'a str,
}

#[derive(Serialize)]
struct SeenAsk<'a> {
    kind: &'static str,
    id: &'a str,
}

impl<'a> From<&'a Transcript> for SeenSession<'a> {
    fn from(transcript: &'a Transcript) -> Self {
        Self {
            id: transcript.id().as_str(),
            parent: transcript.parent().map(|parent| parent.as_str()),
            text: transcript.text(),
            full_text: transcript.full_text(),
            reasoning: transcript.reasoning(),
            tools: transcript.tools().map(Tool::from).collect(),
            todos: transcript.todos().iter().map(Item::from).collect(),
            tokens: transcript.tokens(),
            cost: transcript.cost(),
            steps: transcript.steps(),
            idle: transcript.idle_count(),
            errors: transcript.errors().iter().map(ReportedError::from).collect(),
            asks: transcript.asks().iter().map(SeenAsk::from).collect(),
            open: transcript.is_open(),
        }
    }
}

impl<'a> From<&'a Todo> for Item<'a> {
    fn from(todo: &'a Todo) -> Self {
        Self { content: &todo.content, status: &todo.status, priority: &todo.priority }
    }
}

impl<'a> From<&'a AskId> for SeenAsk<'a> {
    fn from(ask: &'a AskId) -> Self {
        match ask {
            AskId::Permission(id) => Self { kind: "permission", id: id.as_str() },
            AskId::Question(id) => Self { kind: "question", id: id.as_str() },
        }
    }
}
