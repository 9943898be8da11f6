//! Asks of a turn on their way to handlers and readers, and the answers back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context;

use opencode_proto::{Ask as MachineAsk, AskAnswer, Pending};

use super::handler::{AskHandlers, HandledAsk, UnhandledAsks};
use super::token::{Answers, Ask, AskToken};
use crate::runtime::wait::BoxFuture;

/// Asks of a turn, each with the handler that decides or the reader that may take it.
pub(super) struct AskDesk {
    handlers: AskHandlers,
    answers: Answers,
    /// Handlers that decide.
    deciding: Vec<BoxFuture<()>>,
    /// The ask of the last event, until the next one.
    offered: Option<Ask>,
}

impl AskDesk {
    pub(super) fn new(handlers: AskHandlers) -> Self {
        let (answers, deciding) = (Answers::default(), Vec::new());
        Self { handlers, answers, deciding, offered: None }
    }

    pub(super) fn ask<K: HandledAsk>(&mut self, ask: MachineAsk<K>) {
        // The token refuses by itself when it is dropped: when the handler panics, also before it
        // has a future, or no reader takes it.
        let pending = Pending::new(ask.session.clone(), (*ask.request).clone());
        let token = AskToken::new(ask, self.answers.clone());
        match (K::handler(&self.handlers), self.handlers.unhandled) {
            (Some(handler), _) => {
                let handler = Arc::clone(handler);
                let deciding = async move { token.reply(handler(pending).await) };
                self.deciding.push(Box::pin(deciding));
            }
            (None, UnhandledAsks::Stream) => self.offered = Some(K::offer(token)),
            (None, UnhandledAsks::Reject) => drop(token),
        }
    }

    /// Returns the handlers, for a desk that takes over.
    pub(super) fn take_handlers(&mut self) -> AskHandlers {
        std::mem::take(&mut self.handlers)
    }

    /// Returns the ask of the last event.
    pub(super) fn take_offered(&mut self) -> Option<Ask> {
        self.offered.take()
    }

    /// Lets handlers go on, and returns the answers that are there.
    pub(super) fn poll_answers(&mut self, cx: &mut Context<'_>) -> Vec<AskAnswer> {
        self.deciding.retain_mut(|deciding| {
            let polled = catch_unwind(AssertUnwindSafe(|| deciding.as_mut().poll(cx)));
            if polled.is_err() {
                // The token has refused.
                tracing::error!("handler of an ask panicked");
            }
            polled.is_ok_and(|polled| polled.is_pending())
        });
        self.answers.take(cx)
    }

    /// Drops the asks that have no answer.
    pub(super) fn close(&mut self) {
        self.deciding.clear();
    }
}
