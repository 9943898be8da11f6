//! Asks of a turn, and the replies to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::SessionId;
use crate::api::Operation;
use crate::ask::{Ask, AskKind};
use crate::call::{ApiReply, CallFault, read_reply};

/// Most times that a reply is sent of which nothing is known. (A second one changes nothing.)
const SENDS_MAX: u32 = 8;

/// Asks of one kind, by their ids, which grow with time.
#[derive(Debug)]
pub(super) struct Asks<K: AskKind> {
    entries: BTreeMap<K::Id, Entry<K>>,
    /// Asks that were known when the last look began: later asks cannot be in the findings of that
    /// look.
    looked_at: BTreeSet<K::Id>,
}

#[derive(Debug)]
struct Entry<K: AskKind> {
    /// Description of the request, where one arrived.
    subject: Option<String>,
    state: AskState<K>,
}

#[derive(Debug)]
enum AskState<K: AskKind> {
    Closed,
    /// Another turn of the session has the ask.
    Elsewhere(Ask<K>),
    /// The application has refused. The refusal waits for the other asks of the session.
    HeldBack {
        ask: Ask<K>,
        reply: K::Reply,
    },
    /// The application has the ask of this session.
    Open(SessionId),
    Replying(AskReplying<K>),
}

/// A reply in flight to the server.
#[derive(Debug)]
struct AskReplying<K: AskKind> {
    session: SessionId,
    reply: K::Reply,
    /// Endpoint: see [`AskKind::operation`].
    route: usize,
    sends: u32,
    /// When to send the reply again. `None`: the server has not replied yet.
    again_at: Option<Instant>,
}

/// Course of a reply after the response of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AskProgress {
    /// The reply arrived, or is not needed any more.
    Arrived,
    /// The server does not have the endpoint: the next one is to be tried at once.
    NextRoute,
    /// The reply may have arrived or not, and will be sent again.
    Unknown,
}

impl<K: AskKind> Default for Asks<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), looked_at: BTreeSet::new() }
    }
}

impl<K: AskKind> Asks<K> {
    pub(super) fn is_known(&self, id: &K::Id) -> bool {
        self.entries.contains_key(id)
    }

    /// Adds a new ask, which the application has from now on.
    pub(super) fn open(&mut self, session: SessionId, request: &K::Request) {
        self.add(request, AskState::Open(session));
    }

    /// Adds a new ask that another turn answers.
    pub(super) fn leave(&mut self, ask: Ask<K>) {
        let request = ask.request.clone();
        self.add(&request, AskState::Elsewhere(ask));
    }

    fn add(&mut self, request: &K::Request, state: AskState<K>) {
        let entry = Entry { subject: Some(K::subject(request)), state };
        self.entries.insert(K::id(request).clone(), entry);
    }

    /// Takes the asks of other turns that `claim` gets. The application has them from now on.
    pub(super) fn take_left(&mut self, mut claim: impl FnMut(&K::Id) -> bool) -> Vec<Ask<K>> {
        let mut taken = Vec::new();
        for (id, entry) in &mut self.entries {
            if let AskState::Elsewhere(ask) = &entry.state
                && claim(id)
                && let open = AskState::Open(ask.session.clone())
                && let AskState::Elsewhere(ask) = std::mem::replace(&mut entry.state, open)
            {
                taken.push(ask);
            }
        }
        taken
    }

    /// Returns whether another turn has one of the asks.
    pub(super) fn has_left(&self) -> bool {
        self.entries.values().any(|entry| matches!(entry.state, AskState::Elsewhere(_)))
    }

    /// Returns a description of the request for errors.
    pub(super) fn subject(&self, id: &K::Id) -> &str {
        let subject = self.entries.get(id).and_then(|entry| entry.subject.as_deref());
        subject.unwrap_or(K::UNKNOWN_SUBJECT)
    }

    /// Returns the asks without an answer, with their sessions. `is_undecided`: whether the turn
    /// that has the ask waits for an answer.
    pub(super) fn undecided(
        &self,
        is_undecided: impl Fn(&K::Id) -> bool,
    ) -> BTreeMap<K::Id, SessionId> {
        let session = |(id, entry): (&K::Id, &Entry<K>)| match &entry.state {
            AskState::Open(session) => Some((id.clone(), session.clone())),
            AskState::Elsewhere(ask) if is_undecided(id) => Some((id.clone(), ask.session.clone())),
            AskState::Closed
            | AskState::Elsewhere(_)
            | AskState::HeldBack { .. }
            | AskState::Replying(_) => None,
        };
        self.entries.iter().filter_map(session).collect()
    }

    /// Holds back the refusal of an ask that the application has. Returns `false` when the ask is
    /// over.
    pub(super) fn hold_back(&mut self, ask: Ask<K>, reply: K::Reply) -> bool {
        let Some(entry) = self.entries.get_mut(K::id(&ask.request)) else { return false };
        let is_open = matches!(entry.state, AskState::Open(_));
        if is_open {
            entry.state = AskState::HeldBack { ask, reply };
        }
        is_open
    }

    /// Returns an ask whose refusal is held back.
    pub(super) fn held_back(&self, id: &K::Id) -> Option<&Ask<K>> {
        match &self.entries.get(id)?.state {
            AskState::HeldBack { ask, .. } => Some(ask),
            AskState::Closed
            | AskState::Elsewhere(_)
            | AskState::Open(_)
            | AskState::Replying(_) => None,
        }
    }

    /// Sends a refusal that was held back. Returns the request that carries the refusal.
    pub(super) fn release(&mut self, id: &K::Id) -> Option<Box<dyn Operation<Output = ()>>> {
        let entry = self.entries.get_mut(id)?;
        let AskState::HeldBack { ask, reply } = &entry.state else { return None };
        let replying = AskReplying::new(ask.session.clone(), reply.clone());
        let operation = replying.operation(id);
        entry.state = AskState::Replying(replying);
        operation
    }

    /// Answers an ask that the application has. Returns the request that carries the reply; `None`
    /// when the ask is over.
    pub(super) fn answer(
        &mut self,
        session: SessionId,
        id: &K::Id,
        reply: K::Reply,
    ) -> Option<Box<dyn Operation<Output = ()>>> {
        let entry = self.entries.get_mut(id)?;
        if !matches!(entry.state, AskState::Open(_)) {
            return None;
        }
        let replying = AskReplying::new(session, reply);
        let operation = replying.operation(id);
        entry.state = AskState::Replying(replying);
        operation
    }

    /// Reads the server's answer to a reply.
    pub(super) fn handle_reply(
        &mut self,
        id: &K::Id,
        reply: ApiReply,
        now: Instant,
    ) -> AskProgress {
        let Some(Entry { state: state @ AskState::Replying(_), .. }) = self.entries.get_mut(id)
        else {
            return AskProgress::Arrived;
        };
        let AskState::Replying(replying) = state else { return AskProgress::Arrived };
        match replying.handle_reply(id, reply, now) {
            AskProgress::Arrived => {
                *state = AskState::Closed;
                AskProgress::Arrived
            }
            progress @ (AskProgress::NextRoute | AskProgress::Unknown) => progress,
        }
    }

    /// Returns the request of a reply that is in flight.
    pub(super) fn operation(&self, id: &K::Id) -> Option<Box<dyn Operation<Output = ()>>> {
        match &self.entries.get(id)?.state {
            AskState::Replying(replying) => replying.operation(id),
            AskState::Closed
            | AskState::Elsewhere(_)
            | AskState::HeldBack { .. }
            | AskState::Open(_) => None,
        }
    }

    /// Closes an ask to which the server reports an answer. Returns whether the answer is not ours.
    pub(super) fn close_by_others(&mut self, id: &K::Id) -> bool {
        let before = self.replace(id, AskState::Closed);
        !matches!(before, Some(AskState::Closed | AskState::Replying(_)))
    }

    fn replace(&mut self, id: &K::Id, state: AskState<K>) -> Option<AskState<K>> {
        match self.entries.get_mut(id) {
            Some(entry) => Some(std::mem::replace(&mut entry.state, state)),
            None => {
                self.entries.insert(id.clone(), Entry { subject: None, state });
                None
            }
        }
    }

    /// Returns the replies that are to be sent again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<K::Id> {
        let mut due = Vec::new();
        for (id, entry) in &mut self.entries {
            if let AskState::Replying(replying) = &mut entry.state
                && replying.again_at.is_some_and(|at| at <= now)
            {
                (replying.sends, replying.again_at) = (replying.sends + 1, None);
                due.push(id.clone());
            }
        }
        due
    }

    /// Returns when the next reply is to be sent again.
    pub(super) fn wake(&self) -> Option<Instant> {
        let at = |entry: &Entry<K>| match &entry.state {
            AskState::Replying(replying) => replying.again_at,
            AskState::Closed
            | AskState::Elsewhere(_)
            | AskState::HeldBack { .. }
            | AskState::Open(_) => None,
        };
        self.entries.values().filter_map(at).min()
    }

    /// Returns whether an application is deciding, this turn's or that of another one.
    pub(super) fn is_waiting(&self) -> bool {
        let is_open =
            |entry: &Entry<K>| matches!(entry.state, AskState::Open(_) | AskState::Elsewhere(_));
        self.entries.values().any(is_open)
    }

    /// Notes that a look begins.
    pub(super) fn look(&mut self) {
        self.looked_at = self.entries.keys().cloned().collect();
    }

    /// Closes the asks that a look at the server did not find any more. Returns the
    /// closed ones.
    pub(super) fn close_missing(&mut self, pending: &[&K::Id]) -> Vec<K::Id> {
        let mut missing = Vec::new();
        for (id, entry) in &mut self.entries {
            let is_closed = matches!(entry.state, AskState::Closed);
            if !is_closed && self.looked_at.contains(id) && !pending.contains(&id) {
                entry.state = AskState::Closed;
                missing.push(id.clone());
            }
        }
        missing
    }
}

impl<K: AskKind> AskReplying<K> {
    fn new(session: SessionId, reply: K::Reply) -> Self {
        Self { session, reply, route: 0, sends: 1, again_at: None }
    }

    fn operation(&self, id: &K::Id) -> Option<Box<dyn Operation<Output = ()>>> {
        K::operation(&self.session, id, &self.reply, self.route)
    }

    fn handle_reply(&mut self, id: &K::Id, reply: ApiReply, now: Instant) -> AskProgress {
        let Some(operation) = self.operation(id) else { return AskProgress::Arrived };
        match read_reply(&*operation, reply) {
            Ok(()) => AskProgress::Arrived,
            Err(CallFault::Api(error)) if error.is_unknown_route() => {
                self.route += 1;
                match self.operation(id) {
                    Some(_) => AskProgress::NextRoute,
                    None => AskProgress::Arrived,
                }
            }
            // Another try does not help: the ask is answered, or is over.
            Err(CallFault::Api(_)) => AskProgress::Arrived,
            Err(CallFault::Failed(_)) if self.sends >= SENDS_MAX => AskProgress::Arrived,
            Err(CallFault::Failed(_)) => {
                let delay = Duration::from_millis(250 << self.sends.min(5));
                self.again_at = now.checked_add(delay);
                AskProgress::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests;
