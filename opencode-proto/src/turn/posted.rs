//! A turn whose prompt was sent.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use opencode_config::ModelRef;

use super::action::TurnAction;
use super::asks::Asks;
use super::chain::Chain;
use super::core::{Purpose, TurnCore, TurnExtent, TurnInput};
use super::course::{Course, StopCause};
use super::disposal::Disposal;
use super::event::TurnEventKind;
use super::faults::Faults;
use super::join::FollowTarget;
use super::look::LookState;
use super::outcome::{TurnEnd, TurnOutcome};
use super::post::{PostCall, PostReply, TurnKind};
use super::provider::ProviderState;
use super::pulse::Pulse;
use super::record::Record;
use super::rest::RestOfWork;
use crate::MessageId;
use crate::api::ListMcpServers;
use crate::ask::refusals::Refusals;
use crate::ask::{PermissionKind, QuestionKind};
use crate::call::{ApiReply, read_reply};
use crate::hub::Interruption;
use crate::server_event::{ServerEvent, ServerEventKind, SessionStatus};
use crate::transcript::Transcript;

#[derive(Debug)]
pub(super) struct PostedTurn {
    pub(super) posting: Posting,
    /// When the post was sent.
    pub(super) posted: Instant,
    /// The model that the prompt named.
    asked_model: Option<ModelRef>,
    pub(super) course: Course,
    /// A turn that was cancelled before it was found is aborted when found, or at this time.
    pub(super) cancelling: Option<Instant>,
    stream: StreamState,
    pub(super) gaps: u32,
    pub(super) look: LookState,
    pub(super) record: Record,
    pub(super) permissions: Asks<PermissionKind>,
    pub(super) questions: Asks<QuestionKind>,
    /// Permissions that the application refused, until the refusals take no other request along.
    pub(super) refusals: Refusals,
    /// The last refusal in the session itself, unless the model was asked again since. A subagent
    /// that is refused ends alone.
    pub(super) refused: Option<String>,
    pub(super) faults: Faults,
    pub(super) provider: ProviderState,
    pub(super) pulse: Pulse,
    pub(super) disposal: Disposal,
    /// The answer is complete, and the turn waits for the work that goes on.
    pub(super) rest: Option<Box<RestOfWork>>,
}

/// Whether the server has the prompt.
#[derive(Debug)]
pub(super) enum Posting {
    Accepted,
    /// The call failed, and the server may have the prompt.
    Doubtful {
        reason: String,
    },
    /// The prompt was there before the turn.
    Followed,
    Sent(Box<PostCall>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    Interrupted,
    Open,
}

impl PostedTurn {
    pub(super) fn new(
        post: PostCall,
        asked_model: Option<ModelRef>,
        core: &TurnCore,
        now: Instant,
    ) -> Self {
        Self::with(Posting::Sent(Box::new(post)), asked_model, core, now)
    }

    fn with(
        posting: Posting,
        asked_model: Option<ModelRef>,
        core: &TurnCore,
        now: Instant,
    ) -> Self {
        let chain = match core.kind {
            TurnKind::Summary => Chain::of_summary(),
            TurnKind::NoReply | TurnKind::Prompt | TurnKind::Shell => {
                Chain::new(core.message.clone(), core.kind)
            }
        };
        Self {
            posting,
            posted: now,
            asked_model,
            course: Course::Working,
            cancelling: None,
            stream: StreamState::Open,
            gaps: 0,
            look: LookState::Idle,
            record: Record::new(core.session.clone(), chain),
            permissions: Asks::default(),
            questions: Asks::default(),
            refusals: Refusals::default(),
            refused: None,
            faults: Faults::default(),
            provider: ProviderState::default(),
            pulse: Pulse::new(now),
            disposal: Disposal::Unknown,
            rest: None,
        }
    }

    /// Joins the turn of this prompt, which a look has to find.
    pub(super) fn joined(
        prompt: MessageId,
        target: &FollowTarget,
        input: &mut TurnInput<'_>,
    ) -> Self {
        input.core.message = prompt;
        let posting = Posting::Followed;
        let mut turn = Self::with(posting, None, input.core, input.now);
        turn.record.has_earlier_subagents = *target == FollowTarget::Latest;
        // Everything so far was missed.
        turn.record.interrupt();
        turn.begin_look(0, input);
        turn
    }

    pub(super) fn transcript(&self) -> &Transcript {
        &self.record.own
    }

    pub(super) fn handle_event(&mut self, event: &Arc<ServerEvent>, input: &mut TurnInput<'_>) {
        if let ServerEventKind::McpToolsChanged { server } = &event.kind {
            // No sign of life of the session.
            return input.call(&ListMcpServers::new(), Purpose::Mcp(server.clone()));
        }
        self.pulse.heard = input.now;
        self.expect_disposal_later(input);
        input.core.watchdog.handle_event(input.now);
        self.follow(event, input);
        if self.is_model_silent() {
            input.core.watchdog.await_first(input.now);
        }
        self.advance_refusals(input);
        self.judge(input);
        self.resume_cancel(input);
    }

    pub(super) fn handle_interrupted(&mut self, why: &Interruption, input: &mut TurnInput<'_>) {
        self.note_interruption(why);
        if mem::replace(&mut self.stream, StreamState::Interrupted) == StreamState::Interrupted {
            return;
        }
        self.gaps += 1;
        // A look that is under way may have seen the server before the events that are missed now.
        self.set_look(LookState::Idle, input);
        self.record.interrupt();
        self.pulse.interrupt();
        self.emit_own(TurnEventKind::ConnectionLost(why.clone()), None, input);
    }

    pub(super) fn handle_opened(&mut self, input: &mut TurnInput<'_>) {
        if mem::replace(&mut self.stream, StreamState::Open) == StreamState::Open {
            return;
        }
        self.emit_own(TurnEventKind::Reconnected, None, input);
        self.look_now(input);
    }

    pub(super) fn handle_reply(
        &mut self,
        purpose: &Purpose,
        reply: ApiReply,
        input: &mut TurnInput<'_>,
    ) {
        match purpose {
            Purpose::Abort(_) => self.aborted(input),
            Purpose::ConfiguredModel => {}
            Purpose::Listing => self.permissions_listed(reply, input),
            Purpose::Look => self.look_replied(reply, input),
            Purpose::Mcp(server) => self.mcp_replied(server, reply, input),
            Purpose::Permission(id) => self.ask_replied::<PermissionKind>(id, reply, input),
            Purpose::Post => self.post_replied(reply, input),
            Purpose::Question(id) => self.ask_replied::<QuestionKind>(id, reply, input),
        }
        self.advance_refusals(input);
    }

    /// The tools of an MCP server have changed, which may mean that the server is gone.
    fn mcp_replied(&mut self, server: &str, reply: ApiReply, input: &mut TurnInput<'_>) {
        let servers = read_reply(&ListMcpServers::new(), reply).unwrap_or_default();
        let lost = servers.into_iter().find(|found| found.name == server && found.is_faulty());
        if let Some(lost) = lost {
            self.emit_own(TurnEventKind::McpLost(lost), None, input);
        }
    }

    fn post_replied(&mut self, reply: ApiReply, input: &mut TurnInput<'_>) {
        let Posting::Sent(post) = mem::replace(&mut self.posting, Posting::Accepted) else {
            return;
        };
        let reply = post.handle_reply(reply);
        // The abort may have been there before the prompt. A prompt that was reported is aborted
        // already.
        let has_arrived = matches!(reply, PostReply::Accepted | PostReply::Doubtful { .. });
        if has_arrived && self.course.is_stopping() && !self.record.chain.is_seen() {
            input.abort();
        }
        match reply {
            PostReply::Accepted => {}
            PostReply::Again(post) => {
                let call = post.begin(&mut input.core.calls, Purpose::Post);
                input.core.actions.push_back(TurnAction::Call(Box::new(call)));
                self.posting = Posting::Sent(Box::new(post));
            }
            PostReply::Doubtful { reason } if !self.record.chain.is_seen() => {
                self.posting = Posting::Doubtful { reason };
                self.look_at(input.now + input.core.settings.settle_delay);
            }
            PostReply::Doubtful { .. } => {}
            PostReply::NotSent { reason } => {
                return input.finish(TurnEnd::NotPosted { reason, is_certain: true });
            }
            PostReply::Refused(error) => return input.finish(TurnEnd::Refused(error)),
        }
        self.judge(input);
    }

    /// Aborts a prompt that arrived after the abort of the turn. The reply to the post, which would
    /// show that, may come late or never.
    pub(super) fn stop_late_prompt(&self, input: &mut TurnInput<'_>) {
        if self.course.is_stopping() {
            input.abort();
        }
    }

    /// The server has replied to an abort, or could not be reached.
    fn aborted(&mut self, input: &mut TurnInput<'_>) {
        if self.course.is_stopping() {
            self.look_at(input.now);
            self.judge(input);
        }
    }

    pub(super) fn handle_timeout(&mut self, input: &mut TurnInput<'_>) {
        if self.cancelling.is_some_and(|limit| limit <= input.now) {
            let chain = &self.record.chain;
            if chain.is_torn() || chain.is_hidden() {
                // The session may work on the turn.
                input.abort();
            }
            return input.finish(TurnEnd::Cancelled);
        }
        self.resume_asks::<PermissionKind>(input);
        self.resume_asks::<QuestionKind>(input);
        self.advance_refusals(input);
        match &self.course {
            Course::Stopping { why, since } => {
                let limit = why.limit(&input.core.settings);
                if input.now.saturating_duration_since(*since) >= limit {
                    return self.finish_stopped(input);
                }
            }
            Course::Working => {
                if let Some(deadline) = input.core.watchdog.passed(input.now) {
                    if input.core.extent == TurnExtent::Post {
                        return input.finish(TurnEnd::TimedOut { deadline, failure: None });
                    }
                    self.stop(StopCause::TimedOut(deadline), input);
                } else {
                    // The deadlines count again after an ask.
                    self.judge_retry(input);
                }
            }
        }
        self.give_up_disposal(input);
        self.judge_rest(input);
        self.look_after_silence(input);
        if let LookState::Due { at, failures } = self.look
            && at <= input.now
            && self.stream == StreamState::Open
        {
            self.begin_look(failures, input);
        }
    }

    pub(super) fn wake(&self, core: &TurnCore) -> Option<Instant> {
        let look = match (&self.look, self.stream) {
            (LookState::Due { at, .. }, StreamState::Open) => Some(*at),
            (LookState::Due { .. }, StreamState::Interrupted) | (LookState::Running { .. }, _) => {
                None
            }
            (LookState::Idle, _) => self.pulse.heard.checked_add(core.settings.look_interval),
        };
        let deadline = match &self.course {
            Course::Stopping { why, since } => since.checked_add(why.limit(&core.settings)),
            Course::Working => core.watchdog.wake(),
        };
        let (permission, question) = (self.permissions.wake(), self.questions.wake());
        let (refusal, disposal) = (self.refusals.wake(), self.disposal.wake());
        let asks = [permission, question, refusal];
        let rest = self.rest_wake(&core.settings);
        let times = [look, deadline, disposal, rest, self.cancelling];
        asks.into_iter().chain(times).flatten().min()
    }

    /// Returns whether the model was asked and is silent. That the server has the prompt is no
    /// sign of life.
    pub(super) fn is_model_silent(&self) -> bool {
        let is_waiting = matches!(self.pulse.status, Some(SessionStatus::Retry { .. }));
        !self.pulse.has_begun && !is_waiting && self.record.chain.answer_open().is_some()
    }

    /// Returns the post, unless the server has the prompt or may have the prompt.
    pub(super) fn into_unsettled_post(self) -> Option<Box<PostCall>> {
        match self.posting {
            Posting::Sent(post) if !self.record.chain.is_seen() => Some(post),
            Posting::Accepted | Posting::Doubtful { .. } | Posting::Followed | Posting::Sent(_) => {
                None
            }
        }
    }

    /// Ends the turn. A post that was stopped in flight is returned, too: the session
    /// is aborted when the server has the prompt.
    pub(super) fn end(
        self,
        end: TurnEnd,
        input: &mut TurnInput<'_>,
    ) -> (TurnOutcome, Option<Box<PostCall>>) {
        let is_stopped = self.course.is_stopping();
        let is_sent = input.core.calls.any(|purpose| *purpose == Purpose::Post);
        let is_seen = self.record.chain.is_seen();
        let Self { record, asked_model, gaps, posting, .. } = self;
        let post = match posting {
            Posting::Sent(post) if is_stopped && is_sent && !is_seen => Some(post),
            Posting::Doubtful { .. } if is_stopped && !is_seen => {
                // A prompt whose reply is lost may still have been on the way at the first abort.
                input.abort();
                None
            }
            Posting::Accepted | Posting::Doubtful { .. } | Posting::Followed | Posting::Sent(_) => {
                None
            }
        };
        let mut outcome = TurnOutcome {
            end,
            message: input.core.message.clone(),
            transcript: record.own,
            children: record.children,
            answered_with: record.chain.others.into_answered_with(),
            still_running: match is_stopped {
                true => Vec::new(),
                false => record.working.into_iter().collect(),
            },
            gaps,
            elapsed: input.now.saturating_duration_since(input.core.started),
            version: None,
        };
        let unreported: Vec<_> = outcome.transcript.unreported_errors().cloned().collect();
        if is_stopped {
            outcome.transcript.forget_aborts();
            outcome.children.iter_mut().for_each(Transcript::forget_aborts);
        }
        let used = outcome.answers().last().and_then(|answer| answer.model.as_ref());
        let error = outcome.end.agent_error();
        input.shared.learn_model(asked_model.as_ref(), used, error);
        input.shared.end_turn(input.core.number, unreported.into_iter());
        (outcome, post)
    }
}
