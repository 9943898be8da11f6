//! State of a server: the database, which survives the process, and the live state, which does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use serde_json::{Value, json};

use crate::world::core::BoxFuture;
use crate::world::script::{AgentScript, AskKind};

#[derive(Default)]
pub(super) struct ServerStore {
    pub(super) next: u64,
    pub(super) sessions: BTreeMap<String, StoredSession>,
    /// Ids of sessions that were deleted. Their content stays, because work in them goes on.
    pub(super) deleted: BTreeSet<String>,
    pub(super) scripts: BTreeMap<String, AgentScript>,
    /// Records of all prompts, by message id.
    pub(super) prompts: BTreeMap<String, PromptTruth>,
    /// Records of all asks, by id.
    pub(super) asks: BTreeMap<String, AskTruth>,
    /// Number of requests per route, such as `POST /session/{id}/abort`.
    pub(super) requests: BTreeMap<String, u64>,
    /// `None` while the server is not running.
    pub(super) live: Option<LiveState>,
    pub(super) boots: u64,
}

/// State that is lost when the process ends.
#[derive(Default)]
pub(super) struct LiveState {
    pub(super) host: u32,
    pub(super) runs: BTreeMap<String, Arc<Mutex<SessionRun>>>,
    /// Entries of `GET /session/status`.
    pub(super) statuses: BTreeMap<String, SessionStatus>,
    pub(super) streams: BTreeMap<u64, Subscriber>,
    /// Directories whose instances are being disposed.
    pub(super) disposing: BTreeSet<String>,
    /// Asks without a reply, in order. OpenCode keeps the asks of aborted turns.
    pub(super) pending: Vec<PendingAsk>,
}

pub(super) struct SessionStatus {
    pub(super) value: Value,
    /// Time in milliseconds from which the session is no longer listed. OpenCode publishes
    /// `session.idle` a moment before the list changes.
    pub(super) idle_from: Option<u64>,
}

pub(super) struct PendingAsk {
    pub(super) id: String,
    pub(super) kind: AskKind,
    pub(super) session: String,
    pub(super) body: Value,
    pub(super) reply: Option<AskReply>,
    pub(super) waker: Option<Waker>,
}

/// The work that goes on in one session.
#[derive(Default)]
pub(super) struct SessionRun {
    pub(super) is_aborted: bool,
    /// Set when all events of the run are published.
    pub(super) is_over: bool,
    pub(super) wakers: Vec<Waker>,
    /// Ids of the prompts without a complete answer.
    pub(super) open: Vec<String>,
    /// Id of the last message of the user's.
    pub(super) latest: String,
    /// Messages that OpenCode inserted for a compaction, each with the last prompt before it.
    pub(super) inserted: BTreeMap<String, String>,
    /// Message in which a client asks for a summary, which is made after the current step.
    pub(super) summary: Option<String>,
}

impl SessionRun {
    /// Number of unanswered prompts up to and including this message of the user's.
    pub(super) fn up_to(&self, message: &str) -> usize {
        let prompt = self.inserted.get(message).map_or(message, String::as_str);
        self.open.iter().position(|open| open == prompt).map_or(0, |place| place + 1)
    }
}

/// A client that reads the event stream of a directory.
pub(super) struct Subscriber {
    pub(super) directory: String,
    pub(super) queue: VecDeque<Arc<str>>,
    pub(super) waker: Option<Waker>,
    /// Set when the stream ends after the queue.
    pub(super) is_closing: bool,
}

pub(super) struct StoredSession {
    pub(super) id: String,
    pub(super) directory: String,
    pub(super) parent: Option<String>,
    pub(super) title: String,
    pub(super) created: u64,
    pub(super) messages: Vec<StoredMessage>,
    /// Set when a prompt asked for structured output. OpenCode cannot list such messages.
    pub(super) has_structured: bool,
}

pub(super) struct StoredMessage {
    pub(super) id: String,
    pub(super) info: Value,
    pub(super) parts: Vec<Value>,
    /// Ids of the parts of attempts that the provider broke off.
    pub(super) void: BTreeSet<String>,
}

/// A reply to an ask, as the server accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskReply {
    /// A permission reply `once` or `always`, or answers to a question.
    Granted,
    /// A permission reply `reject`, or a dismissed question.
    Refused,
    /// A permission reply `reject` with a message for the model.
    RefusedWith(String),
}

/// Record of a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptTruth {
    /// Session that the prompt was posted to.
    pub session: String,
    /// Text of the prompt.
    pub text: String,
    /// Number of times that the prompt was posted.
    pub posts: u64,
    /// Ids of the messages that answer the prompt.
    pub answers: Vec<String>,
    /// End of the work on the prompt.
    pub end: PromptEnd,
    /// All prompts that the last answer was for, in order, with this one. The answer names the last.
    pub group: Vec<String>,
    /// Number of failed attempts that were repeated.
    pub retries: u64,
    /// Number of summaries that replaced the conversation.
    pub compactions: u64,
    /// Structured output of the answer.
    pub structured: Option<u64>,
}

/// End of the work on a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptEnd {
    /// A client aborted the session.
    Aborted,
    /// The answer is complete.
    Completed,
    /// A client disposed the instance of the directory.
    Disposed,
    /// The provider failed.
    Failed,
    /// A permission or a question was refused, and the agent stopped there.
    Rejected,
    /// A summary that another client asked for took the place of the answer.
    Replaced,
    /// The work goes on, or the prompt is queued.
    #[default]
    Running,
    /// The server died before the answer was complete.
    Torn,
}

/// Record of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskTruth {
    /// Id of the ask.
    pub id: String,
    /// Session that asks: a child session for an ask of a subagent.
    pub session: String,
    /// Open prompts of the root session at the time of the ask.
    pub prompts: Vec<String>,
    /// Replies that the server accepted, in order.
    pub accepted: Vec<AskReply>,
    /// Set while a tool call waits for the reply.
    pub is_waiting: bool,
    /// Time of the ask, in milliseconds since the world began.
    pub asked_ms: u64,
}

impl StoredSession {
    pub(super) fn info(&self, now: u64) -> Value {
        let mut info = json!({
            "id": self.id, "slug": "calm-garden", "version": super::VERSION, "projectID": "global",
            "directory": self.directory, "path": "", "title": self.title, "cost": 0,
            "tokens": super::tokens(false), "time": { "created": self.created, "updated": now },
        });
        if let Some(parent) = &self.parent {
            info["parentID"] = json!(parent);
        }
        info
    }

    pub(super) fn message(&mut self, id: &str) -> Option<&mut StoredMessage> {
        self.messages.iter_mut().rfind(|message| message.id == id)
    }
}

impl StoredMessage {
    pub(super) fn new(id: &str, info: Value) -> Self {
        Self { id: id.to_owned(), info, parts: Vec::new(), void: BTreeSet::new() }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "info": self.info, "parts": self.parts })
    }

    pub(super) fn set_part(&mut self, part: &Value) {
        match self.parts.iter_mut().find(|known| known["id"] == part["id"]) {
            Some(known) => *known = part.clone(),
            None => self.parts.push(part.clone()),
        }
    }
}

impl ServerStore {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The session and all descendants.
    pub(super) fn family(&self, session: &str) -> Vec<String> {
        let mut family = vec![session.to_owned()];
        let mut index = 0;
        while index < family.len() {
            let parent = &family[index];
            let children =
                self.sessions.values().filter(|child| child.parent.as_ref() == Some(parent));
            let children: Vec<String> = children.map(|child| child.id.clone()).collect();
            family.extend(children);
            index += 1;
        }
        family
    }

    pub(super) fn root(&self, session: &str) -> String {
        let mut root = session.to_owned();
        while let Some(parent) = self.sessions.get(&root).and_then(|session| session.parent.clone())
        {
            root = parent;
        }
        root
    }
}

/// A task of the server process.
pub(super) type ServerTask = BoxFuture<()>;
