//! One prompt of a session, from the wait before the post to the end of the work.
//!
//! # Theory of operation
//!
//! ```text
//!   Waiting ---> Ready ---> Posted: events, looks, asks ---------> Over
//!      |  stream open,        |                         ^  idle and answered
//!      |  no abort            | cancel, deadline        |
//!      |                      +--> stopping: abort -----+  idle, or the abort limit
//!      |                      |
//!      |                      +--> Leaving: the driver is dropped, the post and the abort end
//!      +--------------------------------------------------------> Over
//! ```
//!
//! No event of OpenCode marks the end of a turn. A session is reported idle twice after errors and
//! aborts, not at all when the agent is unknown, and once for two prompts that were queued; an
//! error may be the end or not. So a turn is over when the session is idle *and* the answer to the
//! turn's own message is complete: found by `parentID`, along what a compaction inserted. Where the
//! events leave that open, the server is looked at: after an error without an idle, an idle without
//! an answer, a gap in the events, a long silence.
//!
//! Events of earlier turns are recognised by their message and ignored, so a turn is not confused
//! by what an aborted one still emits.

mod action;
mod answer;
mod asks;
mod background;
mod chain;
mod closing;
mod core;
mod course;
mod disposal;
mod event;
mod faults;
mod follow;
mod held;
mod join;
mod json;
mod judge;
mod leave;
mod look;
mod looking;
mod others;
mod outcome;
mod post;
mod posted;
mod provider;
mod pulse;
mod record;
mod rest;
mod retrying;
mod settings;
mod stop;
mod waiting;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::MessageId;
use crate::api::Prompt;
use crate::ask::AskAnswer;
use crate::call::{ApiCallId, ApiReply};
use crate::hub::{HubEnd, Interruption};
use crate::server_event::ServerEvent;
use crate::session::{Session, TurnNo};
use crate::transcript::Transcript;

pub use action::TurnAction;
pub use core::DroppedFollow;
use core::{Purpose, TurnCore, TurnExtent, TurnInput};
pub use event::{Origin, TurnEvent, TurnEventKind};
pub use join::FollowTarget;
use join::JoiningTurn;
pub(crate) use json::{EndError, EndFields, milliseconds};
pub(crate) use outcome::{DISPOSED, EMPTY_REPLIES, REPLACED, fmt_answered_by, fmt_failure};
pub use outcome::{NothingToFollow, TurnEnd, TurnOutcome};
pub use post::TurnPost;
use post::{PostCall, PostReply, TurnKind};
use posted::PostedTurn;
pub use settings::{BackgroundWork, LeftAsks, TurnSettings};
use waiting::WaitingTurn;

/// The machine for one turn. Owns no connection, clock or task.
///
/// Inputs never fail and may come in any order; those after the end are ignored. All of them take
/// the [`Session`] that the turn was begun with. The only contract: take all actions until
/// [`TurnAction::Wait`] before waiting for anything.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use bytes::Bytes;
/// use http::Response;
/// use opencode_proto::{ServerEvent, Session, Turn, TurnAction, TurnSettings};
///
/// let now = Instant::now();
/// let mut session = Session::new("ses_1".into(), None);
/// // 1. Begin the turn. Its event stream, which a `Hub` keeps, is open.
/// let mut turn =
///     Turn::new("Hi!", TurnSettings::default(), "msg_1".into(), &mut session, now);
/// turn.handle_opened(&mut session, now);
///
/// // The server's events, as this example has them.
/// let mut events = [
///     r#"{"type":"message.updated","properties":{"sessionID":"ses_1",
///         "info":{"id":"msg_1","role":"user"}}}"#,
///     r#"{"type":"message.updated","properties":{"sessionID":"ses_1","info":{"id":"msg_2",
///         "role":"assistant","parentID":"msg_1","finish":"stop","time":{"completed":1}}}}"#,
///     r#"{"type":"session.idle","properties":{"sessionID":"ses_1"}}"#,
/// ]
/// .into_iter()
/// .map(|json| Arc::new(ServerEvent::decode(json.into())));
///
/// let outcome = loop {
///     // 2. Carry out the actions until the turn waits.
///     match turn.poll_action() {
///         // The id has to be new: OpenCode sorts messages by their ids.
///         TurnAction::Ready => turn.post("msg_1".into(), &mut session, now),
///         TurnAction::Call(call) => {
///             assert_eq!(call.request.uri(), "/session/ses_1/prompt_async");
///             let reply = Response::builder().status(204).body(Bytes::new())?;
///             turn.handle_reply(call.id, Ok(reply), &mut session, now);
///         }
///         TurnAction::AskPermission(ask) => turn.answer(ask.refuse(), &mut session, now),
///         TurnAction::AskQuestion(ask) => turn.answer(ask.refuse(), &mut session, now),
///         TurnAction::Event(event) => print!("{}", event.text().unwrap_or_default()),
///         TurnAction::Link { .. } => { /* to the hub */ }
///         TurnAction::Finished(outcome) => break outcome,
///         // 3. Wait for an event, a reply, or the time.
///         TurnAction::Wait(_) => match events.next() {
///             Some(event) => turn.handle_event(&event, &mut session, now),
///             None => turn.handle_timeout(&mut session, now),
///         },
///     }
/// };
/// assert!(outcome.end.is_completed());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug)]
pub struct Turn {
    core: TurnCore,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The turn to follow is not found yet.
    Joining(Box<JoiningTurn>),
    Waiting(Box<WaitingTurn>),
    Posted(Box<PostedTurn>),
    /// The application dropped the turn, or has the outcome, while the prompt is in flight. An
    /// abort follows when the prompt has arrived, or at this time.
    Leaving {
        post: Box<PostCall>,
        until: Option<Instant>,
    },
    Over,
}

impl Turn {
    /// Begins a turn, which waits until the session lets it post. The deadlines count from now on.
    ///
    /// `message` is an id that no other message has: the one in the outcome of a turn that ends
    /// before it is posted.
    pub fn new(
        post: impl Into<TurnPost>,
        settings: TurnSettings,
        message: MessageId,
        session: &mut Session,
        now: Instant,
    ) -> Self {
        Self::begin(post.into(), TurnExtent::Whole, settings, message, session, now)
    }

    /// Begins the post of a prompt, which nothing follows. The turn ends as completed when the
    /// server has the prompt, and needs no event stream.
    ///
    /// The prompt waits for the session like that of a turn. A deadline that passes ends the post,
    /// and nothing is aborted.
    pub fn post_only(
        prompt: Prompt,
        settings: TurnSettings,
        message: MessageId,
        session: &mut Session,
        now: Instant,
    ) -> Self {
        let post = TurnPost::Prompt(prompt);
        let mut turn = Self::begin(post, TurnExtent::Post, settings, message, session, now);
        turn.handle_opened(session, now);
        turn
    }

    fn begin(
        post: TurnPost,
        extent: TurnExtent,
        settings: TurnSettings,
        message: MessageId,
        session: &mut Session,
        now: Instant,
    ) -> Self {
        let kind = post.kind();
        Self {
            core: TurnCore::new(message, kind, extent, settings, session, now),
            phase: Phase::Waiting(Box::new(WaitingTurn::new(post))),
        }
    }

    /// Follows a turn that runs already, or the work that goes on after a turn, whoever began it.
    /// The deadlines count from now on.
    ///
    /// A look at the server finds what has happened and what is asked for. The turn of a given
    /// prompt and the latest turn may have ended before: then the messages have the outcome.
    /// `message` is the one in the outcome when there is nothing to follow.
    ///
    /// ```
    /// use std::time::Instant;
    /// use opencode_proto::{
    ///     DroppedFollow, FollowTarget, Session, Turn, TurnAction, TurnSettings,
    /// };
    ///
    /// let now = Instant::now();
    /// let mut session = Session::new("ses_1".into(), None);
    /// let (settings, dropped) = (TurnSettings::default(), DroppedFollow::LeaveRunning);
    /// let prompt = FollowTarget::Prompt("msg_1".into());
    /// let mut turn =
    ///     Turn::follow(prompt, dropped, settings, "msg_2".into(), &mut session, now);
    /// turn.handle_opened(&mut session, now);
    /// let TurnAction::Call(call) = turn.poll_action() else { panic!("a look") };
    /// assert_eq!(call.request.uri(), "/session/status");
    /// // From here on as in the loop of any turn.
    /// ```
    pub fn follow(
        target: impl Into<FollowTarget>,
        dropped: DroppedFollow,
        settings: TurnSettings,
        message: MessageId,
        session: &mut Session,
        now: Instant,
    ) -> Self {
        let extent = TurnExtent::Followed(dropped);
        Self {
            core: TurnCore::new(message, TurnKind::Prompt, extent, settings, session, now),
            phase: Phase::Joining(Box::new(JoiningTurn::new(target.into()))),
        }
    }

    /// Returns the number of the turn in its session.
    pub fn number(&self) -> TurnNo {
        self.core.number
    }

    /// Returns whether the prompt still waits, unknown to the server, or the turn to follow is not
    /// found yet.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Joining(_) | Phase::Waiting(_))
    }

    /// Returns whether the turn is over and no abort is left, so that no driver is needed any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
            && self.core.actions.is_empty()
            && !self.core.is_aborting()
    }

    /// Returns whether the turn waits for the reply to this call. A call without that may be
    /// dropped.
    pub fn awaits(&self, call: ApiCallId) -> bool {
        self.core.calls.contains(call)
    }

    /// Returns the messages so far; `None` before the prompt is posted and after the end.
    pub fn transcript(&self) -> Option<&Transcript> {
        match &self.phase {
            Phase::Posted(posted) => Some(posted.transcript()),
            Phase::Joining(_) | Phase::Waiting(_) | Phase::Leaving { .. } | Phase::Over => None,
        }
    }

    /// Returns the prompt's message.
    pub fn message(&self) -> &MessageId {
        &self.core.message
    }

    /// Posts the prompt as `message`, the answer to [`TurnAction::Ready`]. The id has to be made
    /// now: OpenCode takes a message with an older id than an answer for one that is answered.
    ///
    /// Ignored when the turn has to wait again: [`Ready`](TurnAction::Ready) comes once more.
    pub fn post(&mut self, message: MessageId, session: &mut Session, now: Instant) {
        let Phase::Waiting(waiting) = &mut self.phase else { return };
        if !waiting.take_ready(session) {
            return self.handle_timeout(session, now);
        }
        if let Err(error) = session.apply_switches(waiting.post.tools()) {
            let end = TurnEnd::ToolSwitches(error);
            return self.input(session, now, |_, input| input.finish(end));
        }
        let Phase::Waiting(waiting) = mem::replace(&mut self.phase, Phase::Over) else {
            unreachable!("the phase was matched above")
        };
        session.add_prompt(message.clone());
        self.core.message = message;
        let core = &mut self.core;
        let asked_model = waiting.post.model().cloned();
        let post = PostCall::new(waiting.post, core.session.clone(), core.message.clone());
        let call = post.begin(&mut core.calls, Purpose::Post);
        core.actions.push_back(TurnAction::Call(Box::new(call)));
        let posted = PostedTurn::new(post, asked_model, core, now);
        self.phase = Phase::Posted(Box::new(posted));
    }

    /// Handles an event of the session or of one of its descendants. Before the prompt is posted,
    /// events are those of other turns.
    pub fn handle_event(&mut self, event: &Arc<ServerEvent>, session: &mut Session, now: Instant) {
        self.input(session, now, |phase, input| match phase {
            Phase::Joining(joining) => {
                let prompt = joining.handle_event(event, input);
                Self::join(phase, prompt, input);
            }
            Phase::Posted(posted) => posted.handle_event(event, input),
            Phase::Waiting(_) | Phase::Leaving { .. } | Phase::Over => {}
        });
    }

    /// Joins the turn of this prompt, when known.
    fn join(phase: &mut Phase, prompt: Option<MessageId>, input: &mut TurnInput<'_>) {
        let (Phase::Joining(joining), Some(prompt)) = (&*phase, prompt) else { return };
        let is_cancelled = joining.is_cancelled();
        let mut posted = PostedTurn::joined(prompt, joining.target(), input);
        if is_cancelled {
            posted.cancel(input);
        }
        *phase = Phase::Posted(Box::new(posted));
    }

    /// Handles that the event stream is open, for the first time or again after an interruption.
    pub fn handle_opened(&mut self, session: &mut Session, now: Instant) {
        self.input(session, now, |phase, input| match phase {
            Phase::Joining(joining) => {
                let prompt = joining.handle_opened(input);
                Self::join(phase, prompt, input);
            }
            Phase::Waiting(waiting) => waiting.handle_opened(input),
            Phase::Posted(posted) => posted.handle_opened(input),
            Phase::Leaving { .. } | Phase::Over => {}
        });
    }

    /// Handles an interruption of the event stream.
    pub fn handle_interrupted(&mut self, why: &Interruption, session: &mut Session, now: Instant) {
        self.input(session, now, |phase, input| match phase {
            Phase::Joining(joining) => joining.handle_interrupted(input),
            Phase::Waiting(waiting) => waiting.handle_interrupted(),
            Phase::Posted(posted) => posted.handle_interrupted(why, input),
            Phase::Leaving { .. } | Phase::Over => {}
        });
    }

    /// Handles the end of the event stream.
    pub fn handle_lost(&mut self, end: &HubEnd, session: &mut Session, now: Instant) {
        let reason = end.reason();
        self.input(session, now, |phase, input| match phase {
            Phase::Waiting(_) => input.finish(TurnEnd::NotPosted { reason, is_certain: true }),
            Phase::Joining(_) | Phase::Posted(_) => input.finish(TurnEnd::ServerLost { reason }),
            Phase::Leaving { .. } | Phase::Over => {}
        });
    }

    /// Handles the reply to a [`TurnAction::Call`].
    pub fn handle_reply(
        &mut self,
        call: ApiCallId,
        reply: ApiReply,
        session: &mut Session,
        now: Instant,
    ) {
        let Some(purpose) = self.core.calls.end(call) else { return };
        if let Purpose::Abort(abort) = purpose {
            if reply.is_err() && self.core.repeat_abort(abort) {
                return;
            }
            session.end_abort(abort.number);
        }
        self.input(session, now, |phase, input| {
            // A second abort of the turn may have waited for this one.
            input.resume_aborts();
            Self::replied(phase, &purpose, reply, input);
        });
    }

    fn replied(phase: &mut Phase, purpose: &Purpose, reply: ApiReply, input: &mut TurnInput<'_>) {
        match phase {
            Phase::Joining(joining) if *purpose == Purpose::Look => {
                let prompt = joining.handle_reply(reply, input);
                Self::join(phase, prompt, input);
            }
            Phase::Waiting(waiting) => waiting.handle_reply(purpose, reply, input),
            Phase::Posted(posted) => posted.handle_reply(purpose, reply, input),
            Phase::Leaving { .. } if *purpose == Purpose::Post => {
                let Phase::Leaving { post, .. } = mem::replace(phase, Phase::Over) else {
                    unreachable!("the phase was matched above")
                };
                match post.handle_reply(reply) {
                    PostReply::Accepted | PostReply::Doubtful { .. } => input.abort(),
                    PostReply::Again(_) | PostReply::NotSent { .. } | PostReply::Refused(_) => {}
                }
                input.shared.end_leave(input.core.number);
            }
            Phase::Joining(_) | Phase::Leaving { .. } | Phase::Over => {}
        }
    }

    /// Answers an ask: `turn.answer(ask.reply(reply), ..)`. The reply is sent, unless the ask is
    /// over.
    ///
    /// OpenCode rejects all pending permission requests of a session with one of them. So a
    /// rejection is held back until each other request of the session is answered, and the replies
    /// have arrived. [`PermissionReply::Always`](crate::PermissionReply::Always) counts as `once`
    /// while a rejection of the same permission is held back, which it would overrule.
    pub fn answer(&mut self, answer: AskAnswer, session: &mut Session, now: Instant) {
        self.posted(session, now, |posted, input| match answer {
            AskAnswer::Permission(ask, reply) => posted.answer_permission(ask, reply, input),
            AskAnswer::Question(ask, reply) => posted.answer(ask, reply, input),
        });
    }

    /// Aborts the turn, unless the turn is over. A turn to follow that is not found yet is aborted
    /// when found, unless the turn is over by then; where the server does not answer in time, the
    /// session is aborted.
    pub fn cancel(&mut self, session: &mut Session, now: Instant) {
        self.input(session, now, |phase, input| match phase {
            Phase::Joining(joining) => {
                let prompt = joining.cancel(input);
                Self::join(phase, prompt, input);
            }
            Phase::Waiting(_) => input.finish(TurnEnd::Cancelled),
            Phase::Posted(posted) => posted.cancel(input),
            Phase::Leaving { .. } | Phase::Over => {}
        });
    }

    /// Handles that time has passed, or that the session named this turn in
    /// [`poll_woken`](Session::poll_woken). Spurious calls do nothing.
    pub fn handle_timeout(&mut self, session: &mut Session, now: Instant) {
        self.input(session, now, |phase, input| {
            input.resume_aborts();
            match phase {
                Phase::Joining(joining) => joining.handle_timeout(input),
                Phase::Waiting(waiting) => waiting.handle_timeout(input),
                Phase::Posted(posted) => posted.handle_timeout(input),
                Phase::Leaving { until: Some(until), .. } if *until <= input.now => {
                    input.core.calls.retain(Purpose::is_abort);
                    input.abort();
                    input.shared.end_leave(input.core.number);
                    *phase = Phase::Over;
                }
                Phase::Leaving { .. } | Phase::Over => {}
            }
        });
    }

    /// Returns the next action.
    pub fn poll_action(&mut self) -> TurnAction {
        while let Some(action) = self.core.actions.pop_front() {
            if !self.core.is_abandoned || matches!(action, TurnAction::Call(_)) {
                return action;
            }
        }
        TurnAction::Wait(self.wake())
    }

    fn wake(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Joining(joining) => {
                [joining.wake(), self.core.watchdog.wake()].into_iter().flatten().min()
            }
            Phase::Waiting(_) => self.core.watchdog.wake(),
            Phase::Posted(posted) => posted.wake(&self.core),
            Phase::Leaving { until, .. } => *until,
            Phase::Over => None,
        }
    }

    fn posted(
        &mut self,
        session: &mut Session,
        now: Instant,
        work: impl FnOnce(&mut PostedTurn, &mut TurnInput<'_>),
    ) {
        self.input(session, now, |phase, input| {
            if let Phase::Posted(posted) = phase {
                work(posted, input);
            }
        });
    }

    /// Handles an input, and the end that the input may bring.
    fn input(
        &mut self,
        session: &mut Session,
        now: Instant,
        work: impl FnOnce(&mut Phase, &mut TurnInput<'_>),
    ) {
        let mut input = TurnInput { core: &mut self.core, shared: session, now, end: None };
        work(&mut self.phase, &mut input);
        let Some(end) = input.end.take() else { return };
        let outcome = match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Posted(posted) => {
                let (outcome, post) = posted.end(end, &mut input);
                if let Some(post) = post {
                    self.phase = Phase::leaving(post, &mut input);
                }
                outcome
            }
            Phase::Joining(_) | Phase::Waiting(_) | Phase::Leaving { .. } | Phase::Over => {
                input.shared.end_turn(input.core.number, std::iter::empty());
                nothing(end, &input)
            }
        };
        let is_leaving = matches!(self.phase, Phase::Leaving { .. });
        input
            .core
            .calls
            .retain(|purpose| purpose.is_abort() || is_leaving && *purpose == Purpose::Post);
        input.core.actions.push_back(TurnAction::Finished(Box::new(outcome)));
        input.resume_aborts();
    }
}

/// The outcome of a turn that was not posted.
fn nothing(end: TurnEnd, input: &TurnInput<'_>) -> TurnOutcome {
    TurnOutcome {
        end,
        message: input.core.message.clone(),
        transcript: Transcript::new(input.core.session.clone()),
        children: Vec::new(),
        answered_with: Vec::new(),
        still_running: Vec::new(),
        gaps: 0,
        elapsed: input.now.saturating_duration_since(input.core.started),
        version: None,
    }
}

#[cfg(test)]
mod tests;
