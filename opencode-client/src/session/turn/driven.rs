//! A turn machine with the calls that it waits for.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_channel::oneshot;
use opencode_proto::{Session, Turn, TurnAction};

use crate::http::Calls;
use crate::runtime::wait::is_due;
use crate::runtime::{Runtime, Timer};
use crate::server::hub::Delivery;
use crate::server::sessions::SessionState;

/// Part of a turn that goes on when the stream is dropped. Keeps no server alive.
///
/// Dropping this gives up everything that the turn holds in the session, so that other turns go on.
pub(super) struct DrivenTurn {
    turn: Turn,
    calls: Calls,
    session: Arc<SessionState>,
    runtime: Arc<dyn Runtime>,
}

impl DrivenTurn {
    pub(super) fn new(
        calls: Calls,
        session: Arc<SessionState>,
        runtime: Arc<dyn Runtime>,
        begin: impl FnOnce(&mut Session, Instant) -> Turn,
    ) -> Self {
        let turn = session.with(|shared| begin(shared, runtime.now()));
        Self { turn, calls, session, runtime }
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Hands an input to the machine.
    pub(super) fn input(&mut self, input: impl FnOnce(&mut Turn, &mut Session, Instant)) {
        let (turn, now) = (&mut self.turn, self.runtime.now());
        self.session.with(|session| input(turn, session, now));
    }

    /// Hands what the event stream delivers to the machine.
    pub(super) fn deliver(&mut self, delivery: &Delivery) {
        self.input(|turn, session, now| match delivery {
            Delivery::Event(event) => turn.handle_event(event, session, now),
            Delivery::Finished(end) => turn.handle_lost(end, session, now),
            Delivery::Interrupted(why) => turn.handle_interrupted(why, session, now),
            Delivery::Opened => turn.handle_opened(session, now),
        });
    }

    /// Returns the next action that is not a call. Calls are sent.
    pub(super) fn poll_action(&mut self) -> TurnAction {
        loop {
            let action = self.turn.poll_action();
            let TurnAction::Call(call) = action else { return action };
            self.calls.begin(*call);
        }
    }

    /// Has the task woken when the session has news for the turn, which get them now.
    pub(super) fn poll_session(&mut self, cx: &Context<'_>) {
        if self.session.register(self.turn.number(), cx.waker()) {
            self.input(Turn::handle_timeout);
        }
    }

    /// Hands the replies that are there to the machine. Returns whether there were any.
    pub(super) fn poll_replies(&mut self, cx: &mut Context<'_>) -> bool {
        self.calls.retain(|call| self.turn.awaits(call));
        let mut has_moved = false;
        while let Poll::Ready((call, reply)) = self.calls.poll_reply(cx) {
            self.input(|turn, session, now| turn.handle_reply(call, reply, session, now));
            has_moved = true;
        }
        has_moved
    }

    /// Hands in replies, or the time when it has come; pending while there is neither.
    pub(super) fn poll_wait(
        &mut self,
        wake: Option<Instant>,
        timer: &mut Option<Pin<Box<dyn Timer>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let has_replies = self.poll_replies(cx);
        let is_due = is_due(&*self.runtime, timer, wake, cx);
        if !has_replies && !is_due {
            return Poll::Pending;
        }
        self.input(Turn::handle_timeout);
        Poll::Ready(())
    }

    /// Drives a turn that was abandoned until nothing of it is left at the server.
    async fn wind_up(mut self) {
        let mut timer = None;
        poll_fn(|cx| {
            self.poll_session(cx);
            loop {
                // Without an application, nothing but calls matters.
                let wake = loop {
                    if let TurnAction::Wait(wake) = self.poll_action() {
                        break wake;
                    }
                };
                if self.turn.is_over() {
                    return Poll::Ready(());
                }
                ready!(self.poll_wait(wake, &mut timer, cx));
            }
        })
        .await;
    }
}

impl Drop for DrivenTurn {
    fn drop(&mut self) {
        self.session.with(|session| self.turn.release(session));
        self.session.forget(self.turn.number());
    }
}

/// A turn whose stream may be dropped anywhere: the drop leaves the turn to a task that was spawned
/// before, since a drop outside of the runtime cannot spawn one.
pub(super) struct AbortOnDrop {
    /// `None` in the drop alone.
    driven: Option<(DrivenTurn, oneshot::Sender<DrivenTurn>)>,
}

impl AbortOnDrop {
    pub(super) fn new(driven: DrivenTurn) -> Self {
        let (leave, left) = oneshot::channel::<DrivenTurn>();
        driven.runtime.spawn(Box::pin(async move {
            if let Ok(left) = left.await {
                left.wind_up().await;
            }
        }));
        Self { driven: Some((driven, leave)) }
    }
}

impl std::ops::Deref for AbortOnDrop {
    type Target = DrivenTurn;

    fn deref(&self) -> &DrivenTurn {
        &self.driven.as_ref().expect("it is there until the drop").0
    }
}

impl std::ops::DerefMut for AbortOnDrop {
    fn deref_mut(&mut self) -> &mut DrivenTurn {
        &mut self.driven.as_mut().expect("it is there until the drop").0
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let Some((mut driven, leave)) = self.driven.take() else { return };
        driven.input(Turn::abandon);
        // Without a runtime the task is gone, and the rest of the work is dropped.
        drop(leave.send(driven));
    }
}
