//! A look at the server: the server's state of a turn's session and of the subagents' sessions.
//!
//! ```text
//!   status -> messages -> children and their messages -> permissions -> questions
//!                |  ^
//!                v  | session with structured output, whose messages cannot be listed
//!             one by one
//! ```
//!
//! The status comes first: a session that is idle has stored all messages by then.

mod pages;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::api::{
    ApiErrorKind, ListChildren, ListPermissions, ListQuestions, MessageWithParts, Pending,
    ReadMessage, ReadSession, SessionStatuses,
};
use crate::call::{ApiCall, ApiReply, CallFault, CallScope, OpenCalls, read_reply};
use crate::server_event::{MessageInfo, PermissionRequest, QuestionRequest, SessionStatus};
use crate::{MessageId, SessionId};
pub(super) use pages::LookOrigin;
use pages::Pages;

/// Most sessions of subagents, and of theirs, that are looked at.
const CHILDREN_MAX: usize = 1000;

/// State of a look.
#[derive(Debug)]
pub(super) struct Look {
    session: SessionId,
    origin: LookOrigin,
    step: LookStep,
    found: Snapshot,
    /// Sessions whose children are not listed yet.
    parents: Vec<SessionId>,
    /// Children that were listed and whose messages were not.
    children: VecDeque<SessionId>,
}

/// The call in flight, and the state that the reply is read with.
#[derive(Debug)]
enum LookStep {
    Status,
    Messages(Pages),
    /// Whether the session can be read at all, although the messages cannot be listed.
    Session,
    Message(MessageId),
    Children(SessionId),
    ChildMessages(SessionId, Pages),
    Permissions,
    Questions,
}

/// State of a turn's session at the server, in the order of the calls.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Status of the session. The server lists only those that do something.
    pub(super) status: SessionStatus,
    /// Sessions of the directory that work.
    pub(super) working: BTreeSet<SessionId>,
    /// Messages that the server lists before the turn's own, as far as they were read.
    pub(super) earlier: Vec<MessageInfo>,
    /// Messages from the turn's own on, in order; fewer when the server cannot list them, and none
    /// when the turn's own is not there.
    pub(super) messages: Vec<MessageWithParts>,
    /// The server can list the messages of the session.
    pub(super) is_listed: bool,
    /// Sessions of subagents, and of theirs.
    pub(super) children: Vec<ChildSnapshot>,
    /// Permission requests of any session of the directory.
    pub(super) permissions: Vec<Pending<PermissionRequest>>,
    /// Questions of any session of the directory.
    pub(super) questions: Vec<Pending<QuestionRequest>>,
}

/// A subagent's session in a [`Snapshot`].
#[derive(Debug)]
pub(super) struct ChildSnapshot {
    pub(super) session: SessionId,
    pub(super) parent: SessionId,
    pub(super) messages: Vec<MessageWithParts>,
}

/// Progress of a look after a reply.
#[derive(Debug)]
pub(super) enum LookProgress {
    /// The next call has to be made.
    Next(Box<Look>),
    Done(Box<Snapshot>),
    /// The session does not exist any more.
    SessionGone,
    /// The server did not answer, or not with an answer; another try may help.
    Failed,
}

/// Looks at the server, one at a time.
#[derive(Debug)]
pub(super) enum LookState {
    Due {
        at: Instant,
        failures: u32,
    },
    Idle,
    Running {
        look: Box<Look>,
        /// `Pulse::activity` when the look began.
        activity: u64,
        failures: u32,
    },
}

/// Whether anything was heard since a look began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Current,
    Outdated,
}

/// Why a look cannot go on.
enum LookFault {
    SessionGone,
    Failed,
}

impl Look {
    /// Looks at the messages of `session` from the origin on.
    pub(super) fn new(session: SessionId, origin: LookOrigin) -> Self {
        Self {
            parents: vec![session.clone()],
            session,
            origin,
            step: LookStep::Status,
            found: Snapshot {
                status: SessionStatus::Idle,
                working: BTreeSet::new(),
                earlier: Vec::new(),
                messages: Vec::new(),
                is_listed: true,
                children: Vec::new(),
                permissions: Vec::new(),
                questions: Vec::new(),
            },
            children: VecDeque::new(),
        }
    }

    /// Makes the next call.
    pub(super) fn begin<P>(&self, calls: &mut OpenCalls<P>, purpose: P) -> ApiCall {
        let scope = CallScope::Directory;
        match &self.step {
            LookStep::Status => calls.begin(&SessionStatuses, scope, purpose),
            LookStep::Messages(pages) | LookStep::ChildMessages(_, pages) => {
                calls.begin(&pages.list, scope, purpose)
            }
            LookStep::Session => calls.begin(&self.read_session(), scope, purpose),
            LookStep::Message(message) => calls.begin(&self.read_message(message), scope, purpose),
            LookStep::Children(parent) => calls.begin(&list_children(parent), scope, purpose),
            LookStep::Permissions => calls.begin(&ListPermissions, scope, purpose),
            LookStep::Questions => calls.begin(&ListQuestions, scope, purpose),
        }
    }

    /// Goes on with the reply to the call. `open`: an answer of the turn that is not complete.
    pub(super) fn handle_reply(
        mut self,
        reply: ApiReply,
        open: Option<&MessageId>,
    ) -> LookProgress {
        match self.read(reply, open) {
            Ok(Some(step)) => {
                self.step = step;
                LookProgress::Next(Box::new(self))
            }
            Ok(None) => LookProgress::Done(Box::new(self.found)),
            Err(LookFault::SessionGone) => LookProgress::SessionGone,
            Err(LookFault::Failed) => LookProgress::Failed,
        }
    }

    /// Reads a reply and returns the next step; `None` at the end.
    fn read(
        &mut self,
        reply: ApiReply,
        open: Option<&MessageId>,
    ) -> Result<Option<LookStep>, LookFault> {
        match &mut self.step {
            LookStep::Status => {
                let mut statuses = required(read_reply(&SessionStatuses, reply))?;
                self.found.status = statuses.remove(&self.session).unwrap_or(SessionStatus::Idle);
                let is_working = |(_, status): &(_, SessionStatus)| *status != SessionStatus::Idle;
                let working = statuses.into_iter().filter(is_working);
                self.found.working = working.map(|(session, _)| session).collect();
                Ok(Some(LookStep::Messages(Pages::new(&self.session))))
            }
            LookStep::Messages(pages) => {
                let page = match read_reply(&pages.list, reply) {
                    Ok(page) => page,
                    Err(fault) => return self.without_list(&fault),
                };
                if let Some(next) = pages.add(page, Some(&self.origin)) {
                    return Ok(Some(LookStep::Messages(next)));
                }
                (self.found.earlier, self.found.messages) = pages.split_at(&self.origin);
                Ok(Some(self.next_child()))
            }
            LookStep::Session => {
                required(read_reply(&self.read_session(), reply))?;
                Ok(Some(match open {
                    Some(message) => LookStep::Message(message.clone()),
                    None => self.next_child(),
                }))
            }
            LookStep::Message(message) => {
                let message = message.clone();
                let read = required(read_reply(&self.read_message(&message), reply))?;
                self.found.messages.push(read);
                Ok(Some(self.next_child()))
            }
            LookStep::Children(parent) => {
                let parent = parent.clone();
                let listed = match required(read_reply(&list_children(&parent), reply)) {
                    // A subagent's session that was deleted meanwhile.
                    Err(LookFault::SessionGone) if parent != self.session => Vec::new(),
                    listed => listed?,
                };
                self.add_children(&parent, listed.into_iter().map(|info| info.id));
                Ok(Some(self.next_child()))
            }
            LookStep::ChildMessages(child, pages) => {
                let messages = match read_reply(&pages.list, reply) {
                    Ok(page) => match pages.add(page, None) {
                        Some(next) => {
                            return Ok(Some(LookStep::ChildMessages(child.clone(), next)));
                        }
                        None => std::mem::take(&mut pages.messages),
                    },
                    // This server cannot make the list: the rest comes from the child's events.
                    Err(CallFault::Api(_)) => Vec::new(),
                    Err(CallFault::Failed(_)) => return Err(LookFault::Failed),
                };
                let place = self.found.children.iter_mut().find(|known| known.session == *child);
                if let Some(known) = place {
                    known.messages = messages;
                }
                Ok(Some(self.next_child()))
            }
            LookStep::Permissions => {
                self.found.permissions = optional(read_reply(&ListPermissions, reply))?;
                Ok(Some(LookStep::Questions))
            }
            LookStep::Questions => {
                self.found.questions = optional(read_reply(&ListQuestions, reply))?;
                Ok(None)
            }
        }
    }

    /// Goes on where the messages of the session cannot be listed.
    fn without_list(&mut self, fault: &CallFault) -> Result<Option<LookStep>, LookFault> {
        match fault.api().map(|error| &error.kind) {
            Some(ApiErrorKind::NotFound { .. }) => Err(LookFault::SessionGone),
            // OpenCode 1.18.33 cannot list the messages of sessions with structured output.
            Some(_) => {
                self.found.is_listed = false;
                Ok(Some(LookStep::Session))
            }
            None => Err(LookFault::Failed),
        }
    }

    fn add_children(&mut self, parent: &SessionId, children: impl Iterator<Item = SessionId>) {
        for session in children {
            let is_known = self.found.children.iter().any(|known| known.session == session);
            if is_known || self.found.children.len() >= CHILDREN_MAX {
                continue;
            }
            self.children.push_back(session.clone());
            self.parents.push(session.clone());
            let parent = parent.clone();
            self.found.children.push(ChildSnapshot { session, parent, messages: Vec::new() });
        }
    }

    /// Returns the step after the messages of a session.
    fn next_child(&mut self) -> LookStep {
        if let Some(child) = self.children.pop_front() {
            let pages = Pages::new(&child);
            return LookStep::ChildMessages(child, pages);
        }
        match self.parents.pop() {
            Some(parent) if self.found.children.len() < CHILDREN_MAX => LookStep::Children(parent),
            Some(_) | None => LookStep::Permissions,
        }
    }

    fn read_session(&self) -> ReadSession {
        ReadSession { session: self.session.clone() }
    }

    fn read_message(&self, message: &MessageId) -> ReadMessage {
        ReadMessage { session: self.session.clone(), message: message.clone() }
    }
}

fn list_children(parent: &SessionId) -> ListChildren {
    ListChildren { session: parent.clone() }
}

fn required<T>(read: Result<T, CallFault>) -> Result<T, LookFault> {
    read.map_err(|fault| match fault.api().map(|error| &error.kind) {
        Some(ApiErrorKind::NotFound { .. }) => LookFault::SessionGone,
        Some(_) | None => LookFault::Failed,
    })
}

/// Reads a list that old servers do not have, as an empty list there.
fn optional<T: Default>(read: Result<T, CallFault>) -> Result<T, LookFault> {
    read.or_else(|fault| match fault.api() {
        Some(error) if error.is_unknown_fixed_route() => Ok(T::default()),
        Some(_) | None => Err(LookFault::Failed),
    })
}

#[cfg(test)]
mod tests;
