//! Turns without an application.

use std::mem;

use super::action::TurnAction;
use super::core::{Purpose, TurnInput};
use super::post::PostCall;
use super::{Phase, Turn};
use crate::session::Session;
use std::time::Instant;

impl Phase {
    /// Returns the phase of a post in flight, which is aborted when the server has the prompt.
    pub(super) fn leaving(post: Box<PostCall>, input: &mut TurnInput<'_>) -> Self {
        // The abort that follows the prompt would end a later prompt, too.
        input.shared.leave(input.core.number);
        // The reply to a command comes at the end of the command, which may be far away.
        let limit = input.core.settings.abort_limit;
        let until = post.has_late_reply().then(|| input.now.checked_add(limit));
        Self::Leaving { post, until: until.flatten() }
    }
}

impl Turn {
    /// Handles that the application has dropped the turn: there is no outcome. A post in flight is
    /// aborted as soon as the server has it. A turn that is [followed](Self::follow) goes on,
    /// unless [`DroppedFollow::Abort`](super::DroppedFollow::Abort) holds, and so does the prompt
    /// of a [post](Self::post_only).
    ///
    /// A turn to follow that is not found yet is aborted when found, as by [`cancel`](Self::cancel).
    ///
    /// Drive the turn on until it [is over](Self::is_over), with calls, replies, wakes and time; or
    /// call [`release`](Self::release) when that is not possible.
    pub fn abandon(&mut self, session: &mut Session, now: Instant) {
        if self.core.leaves_work() && matches!(self.phase, Phase::Joining(_) | Phase::Posted(_)) {
            return self.release(session);
        }
        if self.is_unfound() {
            // An abort now could end the turn of another prompt.
            self.core.is_abandoned = true;
            return self.cancel(session, now);
        }
        if matches!(self.phase, Phase::Joining(_) | Phase::Waiting(_) | Phase::Posted(_)) {
            session.end_turn(self.core.number, std::iter::empty());
        }
        let is_unsent = self.core.take_unsent_post();
        let calls = &mut self.core.calls;
        calls.retain(|purpose| purpose.is_abort() || *purpose == Purpose::Post && !is_unsent);
        self.core
            .actions
            .retain(|action| matches!(action, TurnAction::Call(call) if calls.contains(call.id)));
        let phase = mem::replace(&mut self.phase, Phase::Over);
        self.input(session, now, |next, input| match phase {
            Phase::Posted(posted) if !is_unsent => match posted.into_unsettled_post() {
                Some(post) => *next = Phase::leaving(post, input),
                None => input.abort(),
            },
            leaving @ Phase::Leaving { .. } => *next = leaving,
            Phase::Joining(_) | Phase::Waiting(_) | Phase::Posted(_) | Phase::Over => {}
        });
    }

    /// Returns whether the turn to follow is not known to be there.
    fn is_unfound(&self) -> bool {
        match &self.phase {
            Phase::Joining(_) => true,
            Phase::Posted(posted) => posted.is_unfound(),
            Phase::Waiting(_) | Phase::Leaving { .. } | Phase::Over => false,
        }
    }

    /// Gives up everything that the turn holds in the session, when nothing can drive the turn on.
    /// Other turns go on.
    pub fn release(&mut self, session: &mut Session) {
        for abort in mem::take(&mut self.core.aborts) {
            session.end_abort(abort);
        }
        for purpose in mem::take(&mut self.core.calls).into_purposes() {
            if let Purpose::Abort(abort) = purpose {
                session.end_abort(abort.number);
            }
        }
        session.end_leave(self.core.number);
        self.core.actions.clear();
        self.phase = Phase::Over;
        session.end_turn(self.core.number, std::iter::empty());
    }
}
