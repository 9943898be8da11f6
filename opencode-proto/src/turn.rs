//! One prompt of a session, from posting it until it has really ended.
//!
//! # Theory of operation
//!
//! ```text
//!   Post --> the session's events, and what a look at the server finds --> Finished
//!              |                                        ^
//!              | cancel, deadline                       | idle, or the abort limit
//!              +-------------> Abort -------------------+
//! ```
//!
//! Nothing that OpenCode sends says "this turn is over". A session is told to be idle twice after errors and aborts, not
//! at all when the agent is unknown, and once for two prompts that were queued; an error may be the end or not. So a turn
//! is over when the session is idle *and* the answer to the turn's own message is complete: found by `parentID`, along
//! what a compaction inserted. Where the events leave that open, the server is looked at: after an error without an idle,
//! an idle without an answer, a gap in the events, a long silence.
//!
//! What belongs to earlier turns is recognised by its message and ignored, so a turn is not confused by what an aborted
//! one still emits.

mod action;
mod asks;
mod chain;
mod event;
mod follow;
mod judge;
mod outcome;
mod settings;
mod snapshot;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::hub::{HubEnd, Interruption};
use crate::server_event::{PermissionRequest, QuestionRequest, ServerEvent, SessionStatus};
use crate::transcript::{AskId, Transcript};
use crate::watchdog::{Deadline, Watchdog};
use crate::{AgentError, MessageId, PermissionReply, SessionId};

pub use action::{AskReply, Look, PermissionAsk, QuestionAsk, QuestionReply, TurnAction};
use asks::Asks;
use chain::Chain;
pub use event::{Origin, TurnEvent, TurnEventKind};
pub use outcome::{TurnEnd, TurnOutcome};
pub use settings::{TurnKind, TurnSettings};
pub use snapshot::{ChildSnapshot, LookError, Posted, Snapshot};
use waiting::Waiting;

/// The machine for one turn. Owns no connection, clock or task.
///
/// Inputs never fail and may come in any order; those after the end are ignored. The only contract: take all actions
/// until [`TurnAction::Wait`] before waiting for anything.
#[derive(Debug)]
pub struct Turn {
    settings: TurnSettings,
    session: SessionId,
    message: MessageId,
    started: Instant,
    actions: VecDeque<TurnAction>,
    watchdog: Watchdog,
    posting: Posting,
    chain: Chain,
    transcript: Transcript,
    children: Vec<Transcript>,
    place_of_child: BTreeMap<SessionId, usize>,
    /// Events whose message is not known yet.
    waiting: Waiting,
    asks: Asks,
    /// What the session itself was refused last, unless the model was asked again since. A subagent that is refused ends
    /// alone.
    refused: Option<String>,
    /// The errors that the session reported since the prompt was posted.
    errors: Vec<AgentError>,
    overflows: u32,
    /// The calls of the model in a row that ended without a reason and without a tool.
    unfinished: BTreeSet<MessageId>,
    status: Option<SessionStatus>,
    /// Since when the session has been told to be idle.
    idle: Option<Instant>,
    /// Counts what happened, to see whether a look is outdated.
    activity: u64,
    /// Whether the model has said anything.
    has_begun: bool,
    /// When anything was heard last.
    heard: Instant,
    look: LookState,
    /// Since when looks have found nothing going on although the answer is not complete.
    quiet: Option<Instant>,
    is_interrupted: bool,
    gaps: u32,
    stop: Option<Stopping>,
    is_over: bool,
}

#[derive(Debug)]
enum Posting {
    Accepted,
    /// It was sent at some point, and nobody knows whether it arrived.
    Doubtful {
        reason: String,
    },
    Sent,
}

#[derive(Clone, Copy, Debug)]
enum LookState {
    Due { at: Instant, failures: u32 },
    Idle,
    Running { activity: u64, failures: u32 },
}

#[derive(Debug)]
struct Stopping {
    why: Stop,
    since: Instant,
    /// Whether the server has replied to the abort.
    is_aborted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Cancelled,
    /// The model would be asked the same again and again.
    Endless,
    /// It would summarise and overflow for ever.
    Overflowed,
    TimedOut(Deadline),
}

impl Turn {
    /// A turn of `session` whose prompt is to be posted as `message`, an id that no other message has.
    ///
    /// The event stream has to be open, and this session to be followed: from now on, its events are this turn's.
    pub fn new(
        session: SessionId,
        message: MessageId,
        settings: TurnSettings,
        now: Instant,
    ) -> Self {
        Self {
            started: now,
            actions: VecDeque::from([TurnAction::Post]),
            watchdog: Watchdog::new(settings.deadlines, now),
            posting: Posting::Sent,
            chain: Chain::new(message.clone()),
            transcript: Transcript::new(session.clone()),
            children: Vec::new(),
            place_of_child: BTreeMap::new(),
            waiting: Waiting::default(),
            asks: Asks::default(),
            refused: None,
            errors: Vec::new(),
            overflows: 0,
            unfinished: BTreeSet::new(),
            status: None,
            idle: None,
            activity: 0,
            has_begun: false,
            heard: now,
            look: LookState::Idle,
            quiet: None,
            is_interrupted: false,
            gaps: 0,
            stop: None,
            is_over: false,
            settings,
            session,
            message,
        }
    }

    /// What was gathered so far.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The prompt's message.
    pub fn message(&self) -> &MessageId {
        &self.message
    }

    /// An event of the session or of one of its descendants.
    pub fn handle_event(&mut self, event: &Arc<ServerEvent>, now: Instant) {
        if self.is_over {
            return;
        }
        self.heard = now;
        self.watchdog.handle_event(now);
        self.follow(event, now);
        if self.is_model_silent() {
            self.watchdog.await_first(now);
        }
        self.judge(now);
    }

    /// What became of [`TurnAction::Post`].
    pub fn handle_posted(&mut self, posted: Posted, now: Instant) {
        if self.is_over {
            return;
        }
        match posted {
            Posted::Accepted => {
                self.posting = Posting::Accepted;
                // The abort may have been there before the prompt.
                if let Some(stop) = &mut self.stop {
                    stop.is_aborted = false;
                    self.actions.push_back(TurnAction::Abort);
                }
            }
            Posted::Failed { reason } => {
                let end = TurnEnd::NotPosted { reason, is_certain: true };
                return self.finish(end, now);
            }
            Posted::Refused(error) => return self.finish(TurnEnd::Refused(error), now),
            Posted::Unknown { reason } if !self.chain.is_seen() => {
                self.posting = Posting::Doubtful { reason };
                self.look_at(now + self.settings.settle_delay);
            }
            Posted::Unknown { .. } => self.posting = Posting::Accepted,
        }
        self.judge(now);
    }

    /// The event stream was interrupted.
    pub fn handle_interrupted(&mut self, why: &Interruption) {
        if !self.is_over && !mem::replace(&mut self.is_interrupted, true) {
            self.gaps += 1;
            // A look that is under way may have seen the server before what is missed now.
            self.look = LookState::Idle;
            self.interrupt();
            self.emit_own(TurnEventKind::ConnectionLost(why.clone()), None);
        }
    }

    /// The event stream is open again.
    pub fn handle_reopened(&mut self, now: Instant) {
        if !self.is_over && mem::take(&mut self.is_interrupted) {
            self.emit_own(TurnEventKind::Reconnected, None);
            self.look = LookState::Due { at: now, failures: 0 };
        }
    }

    /// The event stream is over for good.
    pub fn handle_lost(&mut self, end: &HubEnd, now: Instant) {
        if !self.is_over {
            let lost = TurnEnd::ServerLost { reason: end.to_string() };
            self.finish(lost, now);
        }
    }

    /// What a look found.
    pub fn handle_look(&mut self, found: Result<Snapshot, LookError>, now: Instant) {
        let LookState::Running { activity, failures } = self.look else { return };
        if self.is_over {
            return;
        }
        self.look = LookState::Idle;
        match found {
            Ok(snapshot) => {
                let is_current = activity == self.activity;
                self.heard = now;
                self.apply(&snapshot, now);
                self.looked(&snapshot.status, is_current, now);
            }
            Err(LookError::SessionGone) => self.finish(TurnEnd::SessionDeleted, now),
            Err(LookError::Unavailable { .. }) => {
                let delay = self.settings.settle_delay.saturating_mul(1 << failures.min(5));
                self.look = LookState::Due { at: now + delay, failures: failures + 1 };
            }
        }
    }

    /// The server has aborted the session, or could not be told to.
    pub fn handle_aborted(&mut self, now: Instant) {
        if let Some(stop) = &mut self.stop {
            stop.is_aborted = true;
            self.look_at(now);
            self.judge(now);
        }
    }

    /// Answers a permission.
    pub fn answer_permission(&mut self, ask: PermissionAsk, reply: PermissionReply, now: Instant) {
        let PermissionAsk { session, request, .. } = ask;
        if let PermissionReply::Reject { message: None } = reply
            && session == self.session
        {
            self.refused = Some(describe_permission(&request));
        }
        self.answer(AskReply::Permission { session, id: request.id, reply }, now);
    }

    /// Answers questions, or dismisses them.
    pub fn answer_question(&mut self, ask: QuestionAsk, reply: QuestionReply, now: Instant) {
        let QuestionAsk { session, request, .. } = ask;
        if reply == QuestionReply::Dismiss && session == self.session {
            self.refused = Some(describe_question(&request));
        }
        self.answer(AskReply::Question { session, id: request.id, reply }, now);
    }

    /// Whether the answer to an ask arrived. (An ask that the server does not know any more has its answer.)
    pub fn handle_replied(&mut self, id: &AskId, arrived: Arrival, now: Instant) {
        match arrived {
            Arrival::Arrived => self.asks.close(id),
            Arrival::Unknown => self.asks.retry(id, now),
        }
    }

    /// Aborts the turn, if it is not over.
    pub fn cancel(&mut self, now: Instant) {
        self.stop(Stop::Cancelled, now);
    }

    /// Time has passed. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        for reply in self.asks.due(now) {
            self.actions.push_back(TurnAction::Reply(reply));
        }
        if let Some(stop) = &self.stop {
            if now.saturating_duration_since(stop.since) >= self.settings.abort_limit {
                return self.finish_stopped(now);
            }
        } else if let Some(deadline) = self.watchdog.passed(now) {
            self.stop(Stop::TimedOut(deadline), now);
        }
        self.look_after_silence(now);
        if let LookState::Due { at, failures } = self.look
            && at <= now
            && !self.is_interrupted
        {
            self.look = LookState::Running { activity: self.activity, failures };
            self.asks.look();
            self.actions.push_back(TurnAction::Look(Look {
                session: self.session.clone(),
                message: self.message.clone(),
                open: self.chain.answer_open().cloned().into_iter().collect(),
            }));
        }
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> TurnAction {
        self.actions.pop_front().unwrap_or_else(|| TurnAction::Wait(self.wake()))
    }

    fn wake(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        let look = match self.look {
            LookState::Due { at, .. } if !self.is_interrupted => Some(at),
            LookState::Due { .. } | LookState::Running { .. } => None,
            LookState::Idle => self.heard.checked_add(self.settings.look_interval),
        };
        let deadline = match &self.stop {
            Some(stop) => stop.since.checked_add(self.settings.abort_limit),
            None => self.watchdog.wake(),
        };
        [look, deadline, self.asks.wake()].into_iter().flatten().min()
    }

    fn answer(&mut self, reply: AskReply, now: Instant) {
        if !self.is_over && self.asks.answer(&reply) {
            self.actions.push_back(TurnAction::Reply(reply));
        }
        self.watch_asks(now);
    }

    /// Whether the model was asked and says nothing. That the server has the prompt is no sign of life.
    fn is_model_silent(&self) -> bool {
        let is_waiting = matches!(self.status, Some(SessionStatus::Retry { .. }));
        !self.has_begun && !is_waiting && self.chain.answer_open().is_some()
    }

    /// Nothing counts while somebody is thinking.
    fn watch_asks(&mut self, now: Instant) {
        if self.asks.is_waiting() {
            self.watchdog.suspend(now);
        } else {
            self.watchdog.resume(now);
        }
    }

    fn stop(&mut self, why: Stop, now: Instant) {
        if self.is_over || self.stop.is_some() {
            return;
        }
        let post = self.actions.iter().position(|action| matches!(action, TurnAction::Post));
        self.stop = Some(Stopping { why, since: now, is_aborted: false });
        if let Some(post) = post {
            self.actions.remove(post);
            return self.finish_stopped(now);
        }
        self.actions.push_back(TurnAction::Abort);
    }

    /// Events were missed.
    fn interrupt(&mut self) {
        self.chain.interrupt();
        self.transcript.interrupt();
        self.children.iter_mut().for_each(Transcript::interrupt);
    }

    fn look_at(&mut self, at: Instant) {
        self.look = match self.look {
            LookState::Due { at: earlier, failures } => {
                LookState::Due { at: earlier.min(at), failures }
            }
            LookState::Idle => LookState::Due { at, failures: 0 },
            running @ LookState::Running { .. } => running,
        };
    }

    fn look_after_silence(&mut self, now: Instant) {
        let silence = now.saturating_duration_since(self.heard);
        if matches!(self.look, LookState::Idle) && silence >= self.settings.look_interval {
            self.look_at(now);
        }
    }
}

/// Whether something reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It did, or does not matter any more.
    Arrived,
    /// Nobody knows.
    Unknown,
}

fn describe_permission(request: &PermissionRequest) -> String {
    format!("{} ({})", request.permission, request.patterns.join(", "))
}

fn describe_question(request: &QuestionRequest) -> String {
    let questions: Vec<_> =
        request.questions.iter().map(|question| question.question.as_str()).collect();
    questions.join(" ")
}

#[cfg(test)]
mod tests;
