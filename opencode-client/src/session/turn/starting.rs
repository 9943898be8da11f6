//! A turn that waits until it can be posted.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use opencode_proto::{Turn, TurnAction, TurnSettings};

use crate::runtime::Timer;
use crate::runtime::wait::poll_timer;
use crate::session::core::SessionCore;

use super::error::TurnError;
use super::request::TurnRequest;
use super::running::{Running, start};
use crate::runtime::wait::BoxFuture;

/// Waits for the event stream, and for aborts of the session; no longer than the deadlines of the turn allow.
pub(super) struct Starting {
    core: SessionCore,
    settings: TurnSettings,
    begun: Instant,
    running: BoxFuture<Result<Running, TurnError>>,
    timer: Option<Pin<Box<dyn Timer>>>,
}

impl Starting {
    pub(super) fn new(core: &SessionCore, request: TurnRequest) -> Self {
        let begun = core.server.host.runtime.now();
        Self {
            core: core.clone(),
            settings: request.settings.clone(),
            begun,
            running: Box::pin(start(core.clone(), request, begun)),
            timer: None,
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_cancelled: bool,
    ) -> Poll<Result<Box<Running>, TurnError>> {
        if is_cancelled {
            return Poll::Ready(Err(cancelled(&self.core, self.settings.clone())));
        }
        if let Poll::Ready(running) = self.running.as_mut().poll(cx) {
            return Poll::Ready(running.map(Box::new));
        }
        let runtime = &*self.core.server.host.runtime;
        let deadlines = self.settings.deadlines;
        let limit = [deadlines.overall, deadlines.first_event].into_iter().flatten().min();
        let Some(at) = limit.and_then(|limit| self.begun.checked_add(limit)) else {
            return Poll::Pending;
        };
        let (core, settings, begun) = (&self.core, &self.settings, self.begun);
        poll_timer(runtime, &mut self.timer, at, cx).map(|()| {
            let end = |turn: &mut Turn| turn.handle_timeout(runtime.now().max(at));
            Err(not_posted(core, settings.clone(), begun, end))
        })
    }
}

/// What a turn comes to that was cancelled before it was posted.
pub(super) fn cancelled(core: &SessionCore, settings: TurnSettings) -> TurnError {
    let now = core.server.host.runtime.now();
    not_posted(core, settings, now, |turn| turn.cancel(now))
}

fn not_posted(
    core: &SessionCore,
    settings: TurnSettings,
    begun: Instant,
    end: impl FnOnce(&mut Turn),
) -> TurnError {
    let mut turn = Turn::new(core.state.id.clone(), core.server.next_message_id(), settings, begun);
    end(&mut turn);
    let action = turn.poll_action();
    let TurnAction::Finished(outcome) = action else {
        unreachable!("a turn that ends before it is posted is over at once: {action:?}")
    };
    TurnError::Ended(outcome)
}
