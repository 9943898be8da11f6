//! Looks of a turn: when they are made, and their findings.

use std::mem;
use std::time::Instant;

use super::action::TurnAction;
use super::core::{Purpose, TurnInput};
use super::look::{Freshness, Look, LookOrigin, LookProgress, LookState, Snapshot};
use super::posted::{PostedTurn, Posting};
use crate::call::ApiReply;
use crate::server_event::SessionStatus;

impl PostedTurn {
    pub(super) fn begin_look(&mut self, failures: u32, input: &mut TurnInput<'_>) {
        self.permissions.look();
        self.questions.look();
        let origin = match self.record.chain.awaits_compaction() {
            true => LookOrigin::After(input.core.message.clone()),
            false => LookOrigin::At(input.core.message.clone()),
        };
        let look = Look::new(input.core.session.clone(), origin);
        let look = Box::new(look);
        let call = look.begin(&mut input.core.calls, Purpose::Look);
        input.core.actions.push_back(TurnAction::Call(Box::new(call)));
        self.look = LookState::Running { look, activity: self.pulse.activity, failures };
    }

    pub(super) fn look_replied(&mut self, reply: ApiReply, input: &mut TurnInput<'_>) {
        let LookState::Running { look, activity, failures } =
            mem::replace(&mut self.look, LookState::Idle)
        else {
            return;
        };
        match look.handle_reply(reply, self.record.chain.answer_open()) {
            LookProgress::Next(look) => {
                let call = look.begin(&mut input.core.calls, Purpose::Look);
                input.core.actions.push_back(TurnAction::Call(Box::new(call)));
                self.look = LookState::Running { look, activity, failures };
            }
            LookProgress::Done(found) => self.found(&found, activity, input),
            LookProgress::SessionGone => input.finish_deleted(),
            LookProgress::Failed => {
                let delay = input.core.settings.look_delay(failures);
                self.look = LookState::Due { at: input.now + delay, failures: failures + 1 };
            }
        }
    }

    fn found(&mut self, found: &Snapshot, activity: u64, input: &mut TurnInput<'_>) {
        let was_seen = self.record.chain.is_seen();
        let freshness = match activity == self.pulse.activity {
            true => Freshness::Current,
            false => Freshness::Outdated,
        };
        self.pulse.heard = input.now;
        for child in &found.children {
            let (child, parent) = (child.session.clone(), child.parent.clone());
            input.core.actions.push_back(TurnAction::Link { child, parent });
        }
        self.apply(found, input);
        if freshness == Freshness::Current {
            let children = self.record.children.iter().map(|child| child.id());
            let working = children.filter(|child| found.working.contains(*child)).cloned();
            self.record.working = working.collect();
        }
        // The status was read before a prompt that this look is the first to find.
        let is_new = !was_seen && self.record.chain.is_seen() && self.course.is_stopping();
        let freshness = if is_new { Freshness::Outdated } else { freshness };
        if self.rest.is_some() {
            match freshness {
                Freshness::Current => self.pulse.status = Some(found.status.clone()),
                Freshness::Outdated => self.look_settled(input),
            }
            self.judge_rest(input);
            return self.resume_cancel(input);
        }
        let is_joined = !was_seen && matches!(self.posting, Posting::Followed);
        let is_retrying = matches!(found.status, SessionStatus::Retry { .. });
        if is_joined && (self.record.chain.is_seen() || is_retrying) {
            // What was found is a sign of life, as the events were that this turn missed.
            input.core.watchdog.handle_event(input.now);
        }
        self.looked(&found.status, freshness, input);
        if is_joined && self.is_model_silent() {
            input.core.watchdog.await_first(input.now);
        }
        self.resume_cancel(input);
    }

    /// Replaces a look that is under way.
    pub(super) fn set_look(&mut self, look: LookState, input: &mut TurnInput<'_>) {
        self.look = look;
        input.core.calls.retain(|purpose| *purpose != Purpose::Look);
    }

    /// Begins a look now. The findings of a look that is under way do not count.
    pub(super) fn look_now(&mut self, input: &mut TurnInput<'_>) {
        self.set_look(LookState::Due { at: input.now, failures: 0 }, input);
    }

    /// Has the server looked at, unless a look is under way.
    pub(super) fn look_at(&mut self, at: Instant) {
        match &mut self.look {
            LookState::Due { at: earlier, .. } => *earlier = at.min(*earlier),
            LookState::Idle => self.look = LookState::Due { at, failures: 0 },
            LookState::Running { .. } => {}
        }
    }

    pub(super) fn look_settled(&mut self, input: &TurnInput<'_>) {
        self.look_at(input.now + input.core.settings.settle_delay);
    }

    pub(super) fn look_after_silence(&mut self, input: &TurnInput<'_>) {
        let silence = input.now.saturating_duration_since(self.pulse.heard);
        let is_idle = matches!(self.look, LookState::Idle);
        if is_idle && silence >= input.core.settings.look_interval {
            self.look_at(input.now);
        }
    }
}
