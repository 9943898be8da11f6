//! Takes back a prompt whose arrival at the server is unknown.

use std::time::{Duration, Instant};

use crate::api::{AbortSession, ApiErrorKind, DeleteSession, ReadMessage};
use crate::call::{ApiReply, read_reply};
use crate::server_event::{ServerEvent, ServerEventKind};
use crate::{MessageId, SessionId};

/// Time to wait for the event stream, and then for the event of the deleted session.
const STREAM_LIMIT: Duration = Duration::from_secs(10);

/// Deletes the session of a prompt, so that a prompt which is still in flight finds no session.
///
/// The prompt may arrive between a look and the end of the session. OpenCode publishes the message
/// then, and the deletion only after the message. So the prompt did not arrive when the deletion is
/// heard and the message is not, on a stream that was open before the look.
#[derive(Debug)]
pub(super) struct Withdrawal {
    session: SessionId,
    prompt: MessageId,
    stream: WithdrawalStream,
    step: WithdrawalStep,
}

#[derive(Debug)]
enum WithdrawalStep {
    /// The prompt was found, and the turn is being aborted.
    Aborting,
    /// The session is being deleted.
    Deleting(WithdrawalLook),
    /// The prompt is being looked for.
    Looking(ReadMessage),
    /// The event of the deletion is still to come.
    Listening {
        until: Option<Instant>,
    },
    /// The event stream is being opened.
    Opening {
        until: Option<Instant>,
    },
    Over,
}

/// Result of the look for the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithdrawalLook {
    Missing,
    Unknown,
}

/// Evidence of the event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithdrawalStream {
    /// The session was deleted, and nothing was heard of the prompt before.
    Deleted,
    /// The stream is open.
    Open,
    /// The stream is not open yet.
    Opening,
    /// The prompt was heard of, or the stream has a gap.
    Useless,
}

/// Call of a [`Withdrawal`]. There is one at a time.
#[derive(Debug)]
pub(super) enum WithdrawalCall {
    Abort(AbortSession),
    Delete(DeleteSession),
    Read(ReadMessage),
}

/// Progress of a [`Withdrawal`].
#[derive(Debug)]
pub(super) enum Withdrawn {
    /// The withdrawal waits for the reply to this call.
    Call(WithdrawalCall),
    /// The prompt did not arrive, and will not.
    Certainly,
    /// The prompt may have arrived.
    Perhaps,
    /// The withdrawal waits for events, or for the time.
    Waiting,
}

impl Withdrawal {
    pub(super) fn new(session: SessionId, prompt: MessageId, now: Instant) -> Self {
        let step = WithdrawalStep::Opening { until: now.checked_add(STREAM_LIMIT) };
        Self { session, prompt, stream: WithdrawalStream::Opening, step }
    }

    /// The event stream is open: from now on, no event is missed.
    pub(super) fn handle_opened(&mut self) -> Withdrawn {
        if let (WithdrawalStep::Opening { .. }, WithdrawalStream::Opening) =
            (&self.step, self.stream)
        {
            self.stream = WithdrawalStream::Open;
            return self.look();
        }
        Withdrawn::Waiting
    }

    /// The event stream has a gap, or has ended.
    pub(super) fn handle_gap(&mut self) -> Withdrawn {
        if self.stream != WithdrawalStream::Deleted {
            self.stream = WithdrawalStream::Useless;
        }
        match self.step {
            WithdrawalStep::Opening { .. } => self.look(),
            WithdrawalStep::Listening { .. } => self.conclude(),
            WithdrawalStep::Aborting
            | WithdrawalStep::Deleting(_)
            | WithdrawalStep::Looking(_)
            | WithdrawalStep::Over => Withdrawn::Waiting,
        }
    }

    pub(super) fn handle_event(&mut self, event: &ServerEvent) -> Withdrawn {
        if self.stream != WithdrawalStream::Open || event.session.as_ref() != Some(&self.session) {
            return Withdrawn::Waiting;
        }
        if matches!(&event.kind, ServerEventKind::MessageUpdated(info) if info.id == self.prompt) {
            self.stream = WithdrawalStream::Useless;
        } else if matches!(event.kind, ServerEventKind::SessionDeleted(_)) {
            self.stream = WithdrawalStream::Deleted;
        } else {
            return Withdrawn::Waiting;
        }
        match self.step {
            WithdrawalStep::Listening { .. } => self.conclude(),
            WithdrawalStep::Aborting
            | WithdrawalStep::Deleting(_)
            | WithdrawalStep::Looking(_)
            | WithdrawalStep::Opening { .. }
            | WithdrawalStep::Over => Withdrawn::Waiting,
        }
    }

    /// Takes the reply to the call.
    pub(super) fn handle_reply(&mut self, reply: ApiReply, now: Instant) -> Withdrawn {
        match &self.step {
            WithdrawalStep::Looking(read) => match read_reply(read, reply) {
                // No one follows the turn any more.
                Ok(_) => {
                    self.step = WithdrawalStep::Aborting;
                    Withdrawn::Call(WithdrawalCall::Abort(AbortSession::new(self.session.clone())))
                }
                Err(fault) => {
                    let kind = fault.api().map(|error| &error.kind);
                    let is_missing = matches!(kind, Some(ApiErrorKind::NotFound { .. }));
                    let look =
                        if is_missing { WithdrawalLook::Missing } else { WithdrawalLook::Unknown };
                    self.step = WithdrawalStep::Deleting(look);
                    Withdrawn::Call(WithdrawalCall::Delete(DeleteSession::new(
                        self.session.clone(),
                    )))
                }
            },
            // A session that could not be deleted may be deleted all the same.
            WithdrawalStep::Deleting(WithdrawalLook::Missing)
                if self.stream == WithdrawalStream::Open =>
            {
                self.step = WithdrawalStep::Listening { until: now.checked_add(STREAM_LIMIT) };
                Withdrawn::Waiting
            }
            WithdrawalStep::Deleting(WithdrawalLook::Missing) => self.conclude(),
            WithdrawalStep::Aborting
            | WithdrawalStep::Deleting(WithdrawalLook::Unknown)
            | WithdrawalStep::Listening { .. }
            | WithdrawalStep::Opening { .. }
            | WithdrawalStep::Over => self.give_up(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Withdrawn {
        if self.wake().is_none_or(|at| at > now) {
            return Withdrawn::Waiting;
        }
        match self.step {
            WithdrawalStep::Opening { .. } => {
                self.stream = WithdrawalStream::Useless;
                self.look()
            }
            WithdrawalStep::Aborting
            | WithdrawalStep::Deleting(_)
            | WithdrawalStep::Listening { .. }
            | WithdrawalStep::Looking(_)
            | WithdrawalStep::Over => self.give_up(),
        }
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        match self.step {
            WithdrawalStep::Listening { until } | WithdrawalStep::Opening { until } => until,
            WithdrawalStep::Aborting
            | WithdrawalStep::Deleting(_)
            | WithdrawalStep::Looking(_)
            | WithdrawalStep::Over => None,
        }
    }

    fn look(&mut self) -> Withdrawn {
        let read = ReadMessage::new(self.session.clone(), self.prompt.clone());
        self.step = WithdrawalStep::Looking(read.clone());
        Withdrawn::Call(WithdrawalCall::Read(read))
    }

    fn conclude(&mut self) -> Withdrawn {
        self.step = WithdrawalStep::Over;
        match self.stream {
            WithdrawalStream::Deleted => Withdrawn::Certainly,
            WithdrawalStream::Open | WithdrawalStream::Opening | WithdrawalStream::Useless => {
                Withdrawn::Perhaps
            }
        }
    }

    fn give_up(&mut self) -> Withdrawn {
        self.step = WithdrawalStep::Over;
        Withdrawn::Perhaps
    }
}
