//! What a turn was asked, and what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::action::AskReply;
use crate::{AskId, PermissionId, QuestionId};

/// How often an answer is sent again when nobody knows whether it arrived. (A second one changes nothing.)
const SENDS_MAX: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Questions sort after permissions, both by their ids, which grow with time.
    asks: BTreeMap<Key, Ask>,
    /// What each is about.
    subjects: BTreeMap<Key, String>,
    /// Those that were there when the server was looked at last: it knows nothing of later ones.
    looked_at: BTreeSet<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Permission(PermissionId),
    Question(QuestionId),
}

#[derive(Debug)]
enum Ask {
    /// It was answered, and the answer is on its way.
    Answered {
        reply: AskReply,
        sends: u32,
        again_at: Option<Instant>,
    },
    Closed,
    /// Somebody is thinking about it.
    Open,
}

impl Asks {
    /// Whether the ask is new.
    pub(super) fn open(&mut self, id: &AskId, subject: String) -> bool {
        let key = Key::from(id);
        if self.asks.contains_key(&key) {
            return false;
        }
        self.subjects.insert(key.clone(), subject);
        self.asks.insert(key, Ask::Open);
        true
    }

    /// What it is about, if that was told.
    pub(super) fn subject(&self, id: &AskId) -> Option<&str> {
        self.subjects.get(&Key::from(id)).map(String::as_str)
    }

    /// Whether the answer is to be sent: not when the ask is over.
    pub(super) fn answer(&mut self, reply: &AskReply) -> bool {
        match self.asks.get_mut(&Key::of(reply)) {
            Some(ask @ Ask::Open) => {
                *ask = Ask::Answered { reply: reply.clone(), sends: 1, again_at: None };
                true
            }
            Some(Ask::Answered { .. } | Ask::Closed) | None => false,
        }
    }

    pub(super) fn close(&mut self, id: &AskId) {
        self.asks.insert(Key::from(id), Ask::Closed);
    }

    /// Whether it was open until then, and is answered by somebody else.
    pub(super) fn close_by_others(&mut self, id: &AskId) -> bool {
        let before = self.asks.insert(Key::from(id), Ask::Closed);
        matches!(before, Some(Ask::Open) | None)
    }

    /// An answer may not have arrived.
    pub(super) fn retry(&mut self, id: &AskId, now: Instant) {
        if let Some(ask @ Ask::Answered { .. }) = self.asks.get_mut(&Key::from(id))
            && let Ask::Answered { sends, again_at, .. } = ask
        {
            if *sends >= SENDS_MAX {
                *ask = Ask::Closed;
            } else {
                *again_at = now.checked_add(Duration::from_millis(250 << (*sends).min(5)));
            }
        }
    }

    /// The answers to send again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<AskReply> {
        let mut due = Vec::new();
        for ask in self.asks.values_mut() {
            if let Ask::Answered { reply, sends, again_at } = ask
                && again_at.is_some_and(|at| at <= now)
            {
                (*sends, *again_at) = (*sends + 1, None);
                due.push(reply.clone());
            }
        }
        due
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        let at = |ask: &Ask| match ask {
            Ask::Answered { again_at, .. } => *again_at,
            Ask::Closed | Ask::Open => None,
        };
        self.asks.values().filter_map(at).min()
    }

    /// Whether somebody is thinking.
    pub(super) fn is_waiting(&self) -> bool {
        self.asks.values().any(|ask| matches!(ask, Ask::Open))
    }

    /// The server is being looked at from now on.
    pub(super) fn look(&mut self) {
        self.looked_at = self.asks.keys().cloned().collect();
    }

    /// What is still open or on its way, but not among those that the server had pending when it was looked at.
    pub(super) fn missing(&self, pending: &[AskId]) -> Vec<AskId> {
        let ids = self.asks.iter().filter(|(_, ask)| !matches!(ask, Ask::Closed));
        let ids = ids.filter(|(key, _)| self.looked_at.contains(key));
        ids.map(|(key, _)| key.id()).filter(|id| !pending.contains(id)).collect()
    }
}

impl Key {
    fn of(reply: &AskReply) -> Self {
        match reply {
            AskReply::Permission { id, .. } => Self::Permission(id.clone()),
            AskReply::Question { id, .. } => Self::Question(id.clone()),
        }
    }

    fn id(&self) -> AskId {
        match self {
            Self::Permission(id) => AskId::Permission(id.clone()),
            Self::Question(id) => AskId::Question(id.clone()),
        }
    }
}

impl From<&AskId> for Key {
    fn from(id: &AskId) -> Self {
        match id {
            AskId::Permission(id) => Self::Permission(id.clone()),
            AskId::Question(id) => Self::Question(id.clone()),
        }
    }
}
