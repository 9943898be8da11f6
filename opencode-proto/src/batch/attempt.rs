//! One attempt of a job on one server.
//!
//! # Theory of operation
//!
//! ```text
//!   Creating -- session --> Preparing -- announced --> Working -- answered, or failed --> Over
//!      |                       |                          |
//!      | no reply              | failed, cancelled        | the arrival of the prompt is unknown
//!      v                       v                          v
//!   Checking <---------------- Over                    Withdrawing, Discarding
//!      |    ^                                             |
//!      |    +---------------------------------------------+
//!      v
//!   Over: with the fault of the server, if the server does not answer
//! ```
//!
//! The prompt is announced in the results before the prompt is sent. An attempt is repeated safely
//! only when it is certain that the prompt was not accepted, and never will be.

mod action;

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

pub use action::{AttemptAction, AttemptCause, AttemptEnd, AttemptTurn};

use super::action::JobStop;
use super::withdrawal::{Withdrawal, WithdrawalCall, Withdrawn};
use crate::api::{CreateSession, DeleteSession, Health, Operation};
use crate::call::{ApiCallId, ApiReply, CallFault, CallScope, OpenCalls, read_reply};
use crate::directory::RequestedDirectory;
use crate::hub::HubEnd;
use crate::server_event::ServerEvent;
use crate::turn::TurnEnd;
use crate::{MessageId, SessionId};

/// Machine for one attempt of a job on one server.
///
/// Inputs never fail; those that do not fit the state are ignored. The only contract: take all
/// actions until [`AttemptAction::Wait`] before you wait.
///
/// ```
/// use std::time::Instant;
/// use http::Response;
/// use opencode_proto::api::CreateSession;
/// use opencode_proto::{AttemptAction, AttemptTurn, JobAttempt, JobStop, ServerOwner};
///
/// let now = Instant::now();
/// let mut attempt = JobAttempt::new(CreateSession::new(), ServerOwner::Ours);
/// let end = loop {
///     match attempt.poll_action() {
///         AttemptAction::Call(call) => {
///             // Send `call.request` to the server. This is the reply to `POST /session`.
///             let reply = Ok(Response::new(r#"{"id":"ses_1"}"#.into()));
///             attempt.handle_reply(call.id, reply, now);
///         }
///         AttemptAction::Prepare(_session) => {
///             // Write down that the prompt is about to be sent.
///             attempt.handle_prepared(now);
///         }
///         AttemptAction::Send => {
///             // Drive a `Turn` of the session. This one has a complete answer.
///             attempt.handle_turn_end(AttemptTurn::Answered, now);
///         }
///         AttemptAction::CancelTurn => { /* cancel the turn, and wait for the end */ }
///         AttemptAction::Follow(_session) => { /* pass on the events of the session */ }
///         AttemptAction::Wait(_at) => attempt.handle_timeout(Instant::now()),
///         AttemptAction::Finished(end) => break end,
///     }
/// };
/// assert_eq!(end.stop, JobStop::Done);
/// ```
#[derive(Debug)]
pub struct JobAttempt {
    state: JobAttemptState,
    calls: OpenCalls<()>,
    owner: ServerOwner,
    /// The directory that the session has to work in.
    directory: RequestedDirectory,
    /// Reason for which the server was given up meanwhile.
    lost: Option<String>,
    actions: VecDeque<AttemptAction>,
}

/// Owner of the server of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerOwner {
    /// The batch started the server. A server that is given up aborts the turns.
    Ours,
    /// Other programs use the server as well.
    Theirs,
}

#[derive(Debug)]
enum JobAttemptState {
    /// The server is asked whether it works.
    Checking(AttemptEnd),
    /// The session is being created.
    Creating(Box<CreateSession>),
    /// The session of a prompt that was not sent is being deleted.
    Discarding(AttemptEnd),
    Over,
    /// The driver prepares the session and announces the prompt.
    Preparing(SessionId),
    /// The prompt is being taken back.
    Withdrawing(Box<Withdrawal>, AttemptEnd),
    /// The turns run.
    Working(SessionId),
}

impl JobAttempt {
    /// Creates an attempt that begins with this session.
    pub fn new(create: CreateSession, owner: ServerOwner) -> Self {
        let mut attempt = Self {
            state: JobAttemptState::Over,
            calls: OpenCalls::default(),
            owner,
            directory: RequestedDirectory::of_server(),
            lost: None,
            actions: VecDeque::new(),
        };
        attempt.call(&create, CallScope::Directory);
        attempt.state = JobAttemptState::Creating(Box::new(create));
        attempt
    }

    /// Takes the directory of the job, before the first reply. The session has to work there.
    /// Without this, the directory of the server may have any name.
    pub fn handle_directory(&mut self, directory: RequestedDirectory) {
        self.directory = directory;
    }

    /// Takes the reply to [`AttemptAction::Call`].
    pub fn handle_reply(&mut self, id: ApiCallId, reply: ApiReply, now: Instant) {
        if self.calls.end(id).is_none() {
            return;
        }
        match mem::replace(&mut self.state, JobAttemptState::Over) {
            JobAttemptState::Creating(create) => self.created(&create, reply),
            JobAttemptState::Discarding(end) => self.check(end),
            JobAttemptState::Checking(mut end) => {
                if let Err(CallFault::Failed(failure)) = read_reply(&Health::new(), reply) {
                    end.fault = Some(failure.reason);
                }
                self.finish(end);
            }
            JobAttemptState::Withdrawing(mut withdrawal, end) => {
                let progress = withdrawal.handle_reply(reply, now);
                self.withdrawn(withdrawal, progress, end);
            }
            other @ (JobAttemptState::Over
            | JobAttemptState::Preparing(_)
            | JobAttemptState::Working(_)) => self.state = other,
        }
    }

    /// Takes the success of [`AttemptAction::Prepare`].
    pub fn handle_prepared(&mut self, _: Instant) {
        let state = mem::replace(&mut self.state, JobAttemptState::Over);
        if let JobAttemptState::Preparing(session) = state {
            self.state = JobAttemptState::Working(session);
            self.actions.push_back(AttemptAction::Send);
        } else {
            self.state = state;
        }
    }

    /// Takes the failure of [`AttemptAction::Prepare`]. Another try would end alike.
    pub fn handle_not_prepared(&mut self, _: Instant) {
        if let JobAttemptState::Preparing(_) = self.state {
            self.finish(AttemptEnd::new(JobStop::Failed, AttemptCause::NotPrepared));
        }
    }

    /// Takes the end of the turns.
    pub fn handle_turn_end(&mut self, turn: AttemptTurn, now: Instant) {
        let state = mem::replace(&mut self.state, JobAttemptState::Over);
        let JobAttemptState::Working(session) = state else {
            self.state = state;
            return;
        };
        let end = |stop| AttemptEnd::new(stop, AttemptCause::Turn);
        match turn {
            AttemptTurn::Answered | AttemptTurn::Misfit => self.finish(end(JobStop::Done)),
            AttemptTurn::Ended { end: turn, prompt, number } => {
                self.ended(session, turn, prompt, number, now);
            }
            AttemptTurn::NoEvents { end: HubEnd::Refused(_), .. } | AttemptTurn::Unusable => {
                self.finish(end(JobStop::Failed));
            }
            AttemptTurn::NoEvents { number, .. } => self.check(end(not_accepted(number))),
        }
    }

    /// Takes that the event stream is open for the session to follow.
    pub fn handle_stream_open(&mut self, _: Instant) {
        self.withdraw(Withdrawal::handle_opened);
    }

    /// Takes an event of the session to follow.
    pub fn handle_event(&mut self, event: &ServerEvent, _: Instant) {
        self.withdraw(|withdrawal| withdrawal.handle_event(event));
    }

    /// Takes a gap in the event stream, or the end of the stream.
    pub fn handle_stream_gap(&mut self, _: Instant) {
        self.withdraw(Withdrawal::handle_gap);
    }

    /// Takes that the batch gave the server up, for this reason.
    pub fn handle_server_lost(&mut self, reason: impl Into<String>) {
        self.lost.get_or_insert_with(|| reason.into());
    }

    /// Takes the time. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.withdraw(|withdrawal| withdrawal.handle_timeout(now));
    }

    /// Cancels the job.
    pub fn cancel(&mut self, _: Instant) {
        match self.state {
            JobAttemptState::Creating(_) | JobAttemptState::Preparing(_) => {
                self.finish(AttemptEnd::new(JobStop::Failed, AttemptCause::Cancelled));
            }
            JobAttemptState::Working(_) => self.actions.push_back(AttemptAction::CancelTurn),
            JobAttemptState::Checking(_)
            | JobAttemptState::Discarding(_)
            | JobAttemptState::Over
            | JobAttemptState::Withdrawing(..) => {}
        }
    }

    /// Returns the next action. After [`AttemptAction::Finished`], always returns
    /// [`AttemptAction::Wait`].
    pub fn poll_action(&mut self) -> AttemptAction {
        self.actions.pop_front().unwrap_or_else(|| AttemptAction::Wait(self.wake()))
    }

    fn created(&mut self, create: &CreateSession, reply: ApiReply) {
        match read_reply(create, reply) {
            Ok(session) => {
                if let Err(error) = self.directory.check_created(&session) {
                    let end = AttemptEnd::new(JobStop::Failed, AttemptCause::Directory(error));
                    self.call(&DeleteSession::new(session.id), CallScope::Session);
                    self.state = JobAttemptState::Discarding(end);
                    return;
                }
                self.state = JobAttemptState::Preparing(session.id.clone());
                self.actions.push_back(AttemptAction::Prepare(Box::new(session)));
            }
            // The answer of a server is final.
            Err(fault @ CallFault::Api(_)) => {
                self.finish(AttemptEnd::new(JobStop::Failed, AttemptCause::Session(fault)));
            }
            // At worst, a session was created that is never used.
            Err(fault @ CallFault::Failed(_)) => {
                self.check(AttemptEnd::new(JobStop::NotAccepted, AttemptCause::Session(fault)));
            }
        }
    }

    fn ended(
        &mut self,
        session: SessionId,
        turn: TurnEnd,
        prompt: MessageId,
        number: usize,
        now: Instant,
    ) {
        let end = |stop| AttemptEnd::new(stop, AttemptCause::Turn);
        match (turn, self.owner, self.lost.take()) {
            (TurnEnd::NotPosted { is_certain: true, .. }, ..) => {
                self.call(&DeleteSession::new(session), CallScope::Session);
                self.state = JobAttemptState::Discarding(end(not_accepted(number)));
            }
            (TurnEnd::NotPosted { .. }, ..) => {
                let withdrawal = Withdrawal::new(session.clone(), prompt, now);
                let end = end(not_accepted(number));
                self.state = JobAttemptState::Withdrawing(Box::new(withdrawal), end);
                self.actions.push_back(AttemptAction::Follow(session));
            }
            // A server of ours that is given up aborts all turns.
            (TurnEnd::Aborted | TurnEnd::Disposed, ServerOwner::Ours, Some(reason)) => {
                let cause = AttemptCause::ServerLost(reason);
                self.check(AttemptEnd::new(JobStop::Broken, cause));
            }
            (TurnEnd::ServerLost { .. }, ..) => self.check(end(JobStop::Broken)),
            (turn, ..) => self.finish(end(JobStop::of(&turn))),
        }
    }

    fn withdraw(&mut self, input: impl FnOnce(&mut Withdrawal) -> Withdrawn) {
        let state = mem::replace(&mut self.state, JobAttemptState::Over);
        if let JobAttemptState::Withdrawing(mut withdrawal, end) = state {
            let progress = input(&mut withdrawal);
            self.withdrawn(withdrawal, progress, end);
        } else {
            self.state = state;
        }
    }

    fn withdrawn(&mut self, withdrawal: Box<Withdrawal>, progress: Withdrawn, end: AttemptEnd) {
        match progress {
            Withdrawn::Call(call) => {
                match call {
                    WithdrawalCall::Abort(abort) => self.call(&abort, CallScope::Session),
                    WithdrawalCall::Delete(delete) => self.call(&delete, CallScope::Session),
                    WithdrawalCall::Read(read) => self.call(&read, CallScope::Session),
                }
                self.state = JobAttemptState::Withdrawing(withdrawal, end);
            }
            Withdrawn::Certainly => self.check(end),
            Withdrawn::Perhaps => self.check(AttemptEnd { stop: JobStop::Broken, ..end }),
            Withdrawn::Waiting => self.state = JobAttemptState::Withdrawing(withdrawal, end),
        }
    }

    /// Asks the server whether it works. A single call or stream that failed does not show that,
    /// and other jobs run on the server.
    fn check(&mut self, end: AttemptEnd) {
        self.call(&Health::new(), CallScope::Directory);
        self.state = JobAttemptState::Checking(end);
    }

    fn finish(&mut self, end: AttemptEnd) {
        self.state = JobAttemptState::Over;
        self.actions.push_back(AttemptAction::Finished(Box::new(end)));
    }

    fn call<O: Operation>(&mut self, operation: &O, scope: CallScope) {
        let call = self.calls.begin(operation, scope, ());
        self.actions.push_back(AttemptAction::Call(Box::new(call)));
    }

    fn wake(&self) -> Option<Instant> {
        match &self.state {
            JobAttemptState::Withdrawing(withdrawal, _) => withdrawal.wake(),
            JobAttemptState::Checking(_)
            | JobAttemptState::Creating(_)
            | JobAttemptState::Discarding(_)
            | JobAttemptState::Over
            | JobAttemptState::Preparing(_)
            | JobAttemptState::Working(_) => None,
        }
    }
}

impl JobStop {
    /// Returns the meaning of a turn's end. The turn was posted.
    fn of(end: &TurnEnd) -> Self {
        match end {
            TurnEnd::NothingToFollow(_)
            | TurnEnd::NotPosted { .. }
            | TurnEnd::ServerLost { .. }
            | TurnEnd::Torn => Self::Broken,
            TurnEnd::AgentError(_)
            | TurnEnd::Completed
            | TurnEnd::EmptyReplies
            | TurnEnd::Endless
            | TurnEnd::Rejected { .. }
            | TurnEnd::RepeatedCalls { .. } => Self::Done,
            TurnEnd::Aborted
            | TurnEnd::AnsweredByAnother { .. }
            | TurnEnd::Cancelled
            | TurnEnd::Disposed
            | TurnEnd::Refused(_)
            | TurnEnd::SessionDeleted
            | TurnEnd::ReplacedBySummary
            | TurnEnd::RetryTooLate { .. }
            | TurnEnd::TimedOut { .. }
            | TurnEnd::ToolSwitches(_) => Self::Failed,
        }
    }
}

/// Returns the meaning of a prompt that was not accepted. After an answer that did not fit, the
/// work of the attempt would be done again.
fn not_accepted(number: usize) -> JobStop {
    if number > 1 { JobStop::Broken } else { JobStop::NotAccepted }
}

#[cfg(test)]
mod tests;
