use std::time::Instant;

use super::event::TurnEvent;
use super::outcome::TurnOutcome;
use crate::SessionId;
use crate::ask::{PermissionAsk, QuestionAsk};
use crate::call::ApiCall;

/// Order of a [`Turn`](super::Turn) to its driver.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum TurnAction {
    /// Have the application decide, and hand the decision to [`answer`](super::Turn::answer). The
    /// event of the request follows, unless another turn of the session had the request until now.
    AskPermission(PermissionAsk),
    /// Have the application answer, and hand the answers to [`answer`](super::Turn::answer). The
    /// event of the questions follows, unless another turn of the session had them until now.
    AskQuestion(QuestionAsk),
    /// Send the request, and hand the reply to [`handle_reply`](super::Turn::handle_reply). Calls
    /// that the turn does not [await](super::Turn::awaits) any more may be dropped.
    Call(Box<ApiCall>),
    /// Hand the event to the application.
    Event(Box<TurnEvent>),
    /// The turn has ended. Only calls that abort the rest of the turn may follow.
    Finished(Box<TurnOutcome>),
    /// A look found that one session is a child of another: [`Hub::link`](crate::Hub::link), so
    /// that the child's events reach the turn.
    Link {
        /// The subagent's session.
        child: SessionId,
        /// The session whose agent started the child.
        parent: SessionId,
    },
    /// Everything that the prompt waited for is there. Hand over the events that have arrived, then
    /// call [`post`](super::Turn::post).
    Ready,
    /// Nothing to do until the next input, or until this time: then call
    /// [`handle_timeout`](super::Turn::handle_timeout).
    Wait(Option<Instant>),
}
