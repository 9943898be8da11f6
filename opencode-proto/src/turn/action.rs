use std::time::Instant;

use super::event::TurnEvent;
use super::outcome::TurnOutcome;
use crate::server_event::{PermissionRequest, QuestionRequest};
use crate::{MessageId, PermissionId, PermissionReply, QuestionAnswer, QuestionId, SessionId};

/// What the driver of a [`Turn`](super::Turn) must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum TurnAction {
    /// Abort the session (`POST /session/{id}/abort`), then [`handle_aborted`](super::Turn::handle_aborted).
    Abort,
    /// Somebody has to decide: [`answer_permission`](super::Turn::answer_permission). The event that tells of it follows.
    ///
    /// Of several turns of a session that go on at once, more than one may be asked: one answers. The others drop the ask,
    /// and wait until its answer is told.
    AskPermission(PermissionAsk),
    /// Somebody has to answer: [`answer_question`](super::Turn::answer_question). The event that tells of it follows.
    /// Of several turns, one answers.
    AskQuestion(QuestionAsk),
    /// Tell the application.
    Event(Box<TurnEvent>),
    /// Over. Nothing follows.
    Finished(Box<TurnOutcome>),
    /// Find out what the server knows, then [`handle_look`](super::Turn::handle_look). A look that is still under way
    /// is replaced: its findings are not to be told any more.
    Look(Look),
    /// Post the prompt, once, then [`handle_posted`](super::Turn::handle_posted).
    Post,
    /// Tell the server the answer to an ask, then [`handle_replied`](super::Turn::handle_replied).
    Reply(AskReply),
    /// Nothing to do until there is another input, or until the wake: then call
    /// [`handle_timeout`](super::Turn::handle_timeout).
    Wait(Option<Instant>),
}

/// A permission that somebody has to grant or refuse. Answering consumes it, so nothing is answered twice.
#[derive(Debug)]
#[must_use = "the turn waits for an answer"]
#[non_exhaustive]
pub struct PermissionAsk {
    /// The session that asks: the turn's own, or a subagent's.
    pub session: SessionId,
    /// What is asked.
    pub request: Box<PermissionRequest>,
}

/// Questions that somebody has to answer or dismiss. Answering consumes it, so nothing is answered twice.
#[derive(Debug)]
#[must_use = "the turn waits for an answer"]
#[non_exhaustive]
pub struct QuestionAsk {
    /// The session that asks: the turn's own, or a subagent's.
    pub session: SessionId,
    /// What is asked.
    pub request: Box<QuestionRequest>,
}

/// What becomes of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuestionReply {
    /// The answers, one per question.
    Answer(Vec<QuestionAnswer>),
    /// Nobody answers. The turn ends there.
    Dismiss,
}

/// An answer on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskReply {
    /// To a permission.
    Permission {
        /// The session that asked.
        session: SessionId,
        /// The request.
        id: PermissionId,
        /// The answer.
        reply: PermissionReply,
    },
    /// To questions.
    Question {
        /// The session that asked.
        session: SessionId,
        /// The request.
        id: QuestionId,
        /// The answer.
        reply: QuestionReply,
    },
}

/// What to find out: the status of the session, its messages back to the turn's own, its children and theirs, and what
/// is asked in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// The turn's session.
    pub session: SessionId,
    /// The turn's own message: nothing before it matters.
    pub message: MessageId,
    /// Answers that are not complete, for servers that cannot list the messages of a session.
    pub open: Vec<MessageId>,
}
