//! Subagents that a turn left at work: their asks are answered until they are idle.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use opencode_proto::{
    Deadlines, DroppedFollow, FollowTarget, MessageId, Turn, TurnAction, TurnSettings,
};

use super::ask_desk::AskDesk;
use super::driven::DrivenTurn;
use super::handler::AskHandlers;
use crate::http::Calls;
use crate::runtime::Timer;
use crate::server::hub::Follower;
use crate::session::core::SessionCore;

/// A follow of a turn without a reader. Keeps no server alive, and ends with the server.
pub(super) struct LeftWork {
    driven: DrivenTurn,
    follower: Follower,
    asks: AskDesk,
    timer: Option<Pin<Box<dyn Timer>>>,
}

impl LeftWork {
    /// Follows the work of this prompt in a task, until another follow of the session begins.
    pub(super) fn spawn(core: &SessionCore, prompt: MessageId, handlers: AskHandlers) {
        let SessionCore { server, state, http } = core;
        let runtime = Arc::clone(&server.host.runtime);
        let calls = Calls::new(http.clone(), state.directory.clone());
        let message = server.next_message_id();
        // No deadline: nothing of an ended turn is to be aborted.
        let settings = TurnSettings::default().with_deadlines(Deadlines::NONE);
        let begin = |session: &mut _, now| {
            let target = FollowTarget::Prompt(prompt);
            Turn::follow(target, DroppedFollow::LeaveRunning, settings, message, session, now)
        };
        let driven = DrivenTurn::new(calls, Arc::clone(state), Arc::clone(&runtime), begin);
        let follower = server.follow(state.id.clone(), state.directory.clone());
        let left = Self { driven, follower, asks: AskDesk::new(handlers), timer: None };
        let ended = state.begin_left_work();
        let session = state.id.clone();
        tracing::debug!(%session, "turn left work");
        runtime.spawn(Box::pin(async move {
            left.drive(async move { drop(ended.wait().await) }).await;
            tracing::debug!(%session, "left work ended, or is followed");
        }));
    }

    async fn drive(mut self, taken_over: impl Future<Output = ()>) {
        let mut taken_over = pin!(taken_over);
        poll_fn(|cx| {
            if taken_over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.poll_work(cx)
        })
        .await;
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.driven.poll_session(cx);
        loop {
            let wake = match self.driven.poll_action() {
                TurnAction::AskPermission(ask) => {
                    self.asks.ask(ask);
                    continue;
                }
                TurnAction::AskQuestion(ask) => {
                    self.asks.ask(ask);
                    continue;
                }
                TurnAction::Finished(_) => return Poll::Ready(()),
                TurnAction::Link { child, parent } => {
                    self.follower.link(&child, &parent);
                    continue;
                }
                // A turn that is followed posts nothing.
                TurnAction::Call(_) | TurnAction::Event(_) | TurnAction::Ready => continue,
                TurnAction::Wait(wake) => wake,
            };
            let has_moved = self.poll_events(cx) | self.poll_answers(cx);
            let has_waited = self.driven.poll_wait(wake, &mut self.timer, cx).is_ready();
            if !has_moved && !has_waited {
                return Poll::Pending;
            }
        }
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(delivery) = self.follower.mailbox().poll_take(cx) else { return false };
        self.driven.deliver(&delivery);
        true
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let answers = self.asks.poll_answers(cx);
        let has_answers = !answers.is_empty();
        for answer in answers {
            self.driven.input(|turn, session, now| turn.answer(answer, session, now));
        }
        has_answers
    }
}
