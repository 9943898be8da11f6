//! State that a turn has in all phases.

use std::collections::VecDeque;
use std::time::Instant;

use super::action::TurnAction;
use super::outcome::TurnEnd;
use super::post::TurnKind;
use super::settings::TurnSettings;
use crate::api::{AbortSession, Operation};
use crate::call::{CallScope, OpenCalls};
use crate::session::{AbortNo, Session, TurnNo};
use crate::watchdog::Watchdog;
use crate::{MessageId, PermissionId, QuestionId, SessionId};

#[derive(Debug)]
pub(super) struct TurnCore {
    pub(super) number: TurnNo,
    pub(super) session: SessionId,
    pub(super) message: MessageId,
    pub(super) kind: TurnKind,
    pub(super) extent: TurnExtent,
    pub(super) settings: TurnSettings,
    pub(super) started: Instant,
    pub(super) watchdog: Watchdog,
    pub(super) actions: VecDeque<TurnAction>,
    pub(super) calls: OpenCalls<Purpose>,
    /// Aborts that wait for others of the session, the oldest first.
    pub(super) aborts: VecDeque<AbortNo>,
    /// The application is gone: only calls matter.
    pub(super) is_abandoned: bool,
}

/// Part of the work on a prompt that a turn covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnExtent {
    /// A turn that ran before, until the answer. Dropping the turn has this effect.
    Followed(DroppedFollow),
    /// The post alone.
    Post,
    /// From the post to the answer.
    Whole,
}

/// Effect of dropping a turn that is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DroppedFollow {
    /// The turn is aborted, as one that was sent.
    Abort,
    /// The turn goes on at the server, and can be followed again.
    #[default]
    LeaveRunning,
}

/// Most requests for one abort. A second abort of an idle session changes nothing.
const ABORT_SENDS_MAX: u32 = 3;

/// An abort in flight to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentAbort {
    pub(super) number: AbortNo,
    sends: u32,
}

/// Purpose of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Abort(SentAbort),
    ConfiguredModel,
    /// The permission requests of the server, before a refusal.
    Listing,
    Look,
    /// The status of this MCP server is read.
    Mcp(Box<str>),
    Permission(PermissionId),
    Post,
    Question(QuestionId),
}

/// One input to a turn, with everything besides the phase that the input may change.
pub(super) struct TurnInput<'a> {
    pub(super) core: &'a mut TurnCore,
    pub(super) shared: &'a mut Session,
    pub(super) now: Instant,
    /// The end of the turn, when the input is the last one.
    pub(super) end: Option<TurnEnd>,
}

impl TurnCore {
    pub(super) fn new(
        message: MessageId,
        kind: TurnKind,
        extent: TurnExtent,
        settings: TurnSettings,
        session: &mut Session,
        now: Instant,
    ) -> Self {
        Self {
            number: session.begin_turn(),
            session: session.id().clone(),
            message,
            kind,
            extent,
            started: now,
            watchdog: Watchdog::new(settings.deadlines, now),
            settings,
            actions: VecDeque::new(),
            calls: OpenCalls::default(),
            aborts: VecDeque::new(),
            is_abandoned: false,
        }
    }

    /// Returns whether the work at the server goes on when the turn is dropped.
    pub(super) fn leaves_work(&self) -> bool {
        matches!(self.extent, TurnExtent::Followed(DroppedFollow::LeaveRunning) | TurnExtent::Post)
    }

    /// Returns whether an abort of the turn waits, or is in flight.
    pub(super) fn is_aborting(&self) -> bool {
        !self.aborts.is_empty() || self.calls.any(Purpose::is_abort)
    }

    fn send_abort(&mut self, abort: SentAbort) {
        let operation = AbortSession { session: self.session.clone() };
        let call = self.calls.begin(&operation, CallScope::Directory, Purpose::Abort(abort));
        self.actions.push_back(TurnAction::Call(Box::new(call)));
    }

    /// Sends an abort again whose request may have been lost: without the abort, the server would
    /// work on. Returns `false` when the abort is given up.
    pub(super) fn repeat_abort(&mut self, abort: SentAbort) -> bool {
        let may_repeat = abort.sends < ABORT_SENDS_MAX;
        if may_repeat {
            self.send_abort(SentAbort { sends: abort.sends + 1, ..abort });
        }
        may_repeat
    }

    /// Takes back the post that the driver has not seen yet.
    pub(super) fn take_unsent_post(&mut self) -> bool {
        let post = self.actions.iter().position(|action| {
            let TurnAction::Call(call) = action else { return false };
            self.calls.purpose(call.id) == Some(&Purpose::Post)
        });
        post.map(|post| self.actions.remove(post)).is_some()
    }
}

impl TurnInput<'_> {
    /// Makes a call.
    pub(super) fn call<O: Operation + ?Sized>(&mut self, operation: &O, purpose: Purpose) {
        let call = self.core.calls.begin(operation, CallScope::Directory, purpose);
        self.core.actions.push_back(TurnAction::Call(Box::new(call)));
    }

    /// Aborts the session, after other aborts that are on their way: until they have ended, the
    /// turn may be winding down.
    pub(super) fn abort(&mut self) {
        self.core.aborts.push_back(self.shared.begin_abort());
        self.resume_aborts();
    }

    /// Sends the aborts whose turn has come.
    pub(super) fn resume_aborts(&mut self) {
        let Some(abort) = self.core.aborts.front().copied() else { return };
        if self.shared.may_abort(abort) {
            self.core.aborts.pop_front();
            self.core.send_abort(SentAbort { number: abort, sends: 1 });
        } else {
            self.shared.wait(self.core.number);
        }
    }

    /// Ends a turn whose session was deleted. OpenCode works on for such a session, at the user's
    /// cost.
    pub(super) fn finish_deleted(&mut self) {
        if self.core.extent != TurnExtent::Post {
            self.abort();
        }
        self.finish(TurnEnd::SessionDeleted);
    }

    /// Aborts what may be left of a turn that has ended. The rest of a turn that was posted or
    /// followed alone is for other clients to abort.
    pub(super) fn abort_rest(&mut self) {
        if self.core.extent == TurnExtent::Whole {
            self.abort();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Ends the turn with the current input. The first end counts.
    pub(super) fn finish(&mut self, end: TurnEnd) {
        self.end.get_or_insert(end);
    }
}

impl Purpose {
    pub(super) fn is_abort(&self) -> bool {
        matches!(self, Self::Abort(_))
    }
}
