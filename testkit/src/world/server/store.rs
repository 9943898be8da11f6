//! What a server knows: its database, which outlives it, and what goes on, which does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use serde_json::{Value, json};

use crate::world::core::BoxFuture;
use crate::world::script::{AskKind, Script};

#[derive(Default)]
pub(super) struct Store {
    pub(super) next: u64,
    pub(super) sessions: BTreeMap<String, Session>,
    /// Those of them that nobody finds any more.
    pub(super) deleted: BTreeSet<String>,
    pub(super) scripts: BTreeMap<String, Script>,
    /// What became of what was posted, by message.
    pub(super) prompts: BTreeMap<String, PromptTruth>,
    /// What was asked ever, by id.
    pub(super) asks: BTreeMap<String, AskTruth>,
    /// The requests, as `POST /session/{id}/abort`.
    pub(super) requests: BTreeMap<String, u64>,
    /// `None`: it does not run.
    pub(super) live: Option<Live>,
    pub(super) boots: u64,
}

/// What is gone when the program is.
#[derive(Default)]
pub(super) struct Live {
    pub(super) host: u32,
    pub(super) runs: BTreeMap<String, Arc<Mutex<Run>>>,
    /// What is told of sessions that are not idle.
    pub(super) statuses: BTreeMap<String, Status>,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// What is asked and not answered, in order. OpenCode keeps what was aborted.
    pub(super) pending: Vec<Pending>,
}

pub(super) struct Status {
    pub(super) told: Value,
    /// It is idle, and known to be so from then on, in ms: OpenCode says it on the stream a moment earlier.
    pub(super) idle_from: Option<u64>,
}

pub(super) struct Pending {
    pub(super) id: String,
    pub(super) kind: AskKind,
    pub(super) session: String,
    pub(super) body: Value,
    pub(super) reply: Option<AskReply>,
    pub(super) waker: Option<Waker>,
}

/// The work on a session.
#[derive(Default)]
pub(super) struct Run {
    pub(super) is_aborted: bool,
    /// It has told all.
    pub(super) is_over: bool,
    pub(super) wakers: Vec<Waker>,
    /// The prompts that are not answered yet.
    pub(super) open: Vec<String>,
    /// The one that came last.
    pub(super) latest: String,
}

impl Run {
    /// How many prompts are open up to this one.
    pub(super) fn up_to(&self, prompt: &str) -> usize {
        self.open.iter().position(|open| open == prompt).map_or(0, |place| place + 1)
    }
}

/// An event stream.
pub(super) struct Stream {
    pub(super) directory: String,
    pub(super) queue: VecDeque<Arc<str>>,
    pub(super) waker: Option<Waker>,
}

pub(super) struct Session {
    pub(super) id: String,
    pub(super) directory: String,
    pub(super) parent: Option<String>,
    pub(super) title: String,
    pub(super) created: u64,
    pub(super) messages: Vec<Message>,
}

pub(super) struct Message {
    pub(super) id: String,
    pub(super) info: Value,
    pub(super) parts: Vec<Value>,
}

/// An answer to an ask, as the server took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskReply {
    /// `once` or `always`, or answers.
    Granted,
    /// `reject`, or dismissed.
    Refused,
    /// `reject` with a message for the model.
    RefusedWith(String),
}

/// What the server did with a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptTruth {
    /// Its session.
    pub session: String,
    /// What it said.
    pub text: String,
    /// How often it was posted.
    pub posts: u64,
    /// The ids of its answers.
    pub answers: Vec<String>,
    /// How it ended.
    pub end: PromptEnd,
    /// How many steps failed and were tried again.
    pub retries: u64,
}

/// How the work on a prompt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptEnd {
    /// Somebody aborted it.
    Aborted,
    /// The answer is complete.
    Completed,
    /// The provider failed.
    Failed,
    /// Something was refused, and the agent stopped there.
    Rejected,
    /// It goes on, or waits.
    #[default]
    Running,
    /// The server died in the middle.
    Torn,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskTruth {
    /// Its id.
    pub id: String,
    /// The session that asks.
    pub session: String,
    /// The prompts that wait for it: those of the root session.
    pub prompts: Vec<String>,
    /// What was answered and taken, in order.
    pub accepted: Vec<AskReply>,
    /// Whether somebody still waits for the answer.
    pub is_waiting: bool,
    /// When it was asked, in milliseconds of the world.
    pub asked_ms: u64,
}

impl Session {
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

    pub(super) fn message(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rfind(|message| message.id == id)
    }
}

impl Message {
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

impl Store {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The session, and its descendants.
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

/// A future that the server runs.
pub(super) type Work = BoxFuture<()>;
