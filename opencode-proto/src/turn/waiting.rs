//! A prompt that waits before the post.

use super::action::TurnAction;
use super::core::{Purpose, TurnInput};
use super::outcome::TurnEnd;
use super::post::TurnPost;
use crate::api::ConfiguredModel;
use crate::call::{ApiReply, read_reply};
use crate::session::{ModelAdvice, Session};

#[derive(Debug)]
pub(super) struct WaitingTurn {
    pub(super) post: TurnPost,
    stream: GateStream,
    step: WaitingStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GateStream {
    Closed,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitingStep {
    /// The model of the prompt is not decided yet.
    Model,
    /// The configuration of the server is read for the model.
    ConfiguredModel,
    /// The event stream, or an abort, holds the prompt back.
    Gate,
    /// The driver is to call `post`.
    Ready,
}

impl WaitingTurn {
    pub(super) fn new(post: TurnPost) -> Self {
        Self { post, stream: GateStream::Closed, step: WaitingStep::Model }
    }

    pub(super) fn handle_opened(&mut self, input: &mut TurnInput<'_>) {
        self.stream = GateStream::Open;
        self.advance(input);
    }

    pub(super) fn handle_interrupted(&mut self) {
        self.stream = GateStream::Closed;
        if self.step == WaitingStep::Ready {
            self.step = WaitingStep::Gate;
        }
    }

    pub(super) fn handle_reply(
        &mut self,
        purpose: &Purpose,
        reply: ApiReply,
        input: &mut TurnInput<'_>,
    ) {
        if *purpose != Purpose::ConfiguredModel {
            return;
        }
        // Without an answer the prompt is posted unchanged: the server reports the error.
        let configured = read_reply(&ConfiguredModel, reply).ok().flatten();
        if let (Some(model), Some(place)) = (configured, self.post.missing_model()) {
            *place = Some(model);
        }
        self.step = WaitingStep::Gate;
        self.advance(input);
    }

    pub(super) fn handle_timeout(&mut self, input: &mut TurnInput<'_>) {
        match input.core.watchdog.passed(input.now) {
            Some(deadline) => input.finish(TurnEnd::TimedOut { deadline, failure: None }),
            None => self.advance(input),
        }
    }

    /// Takes the permission to post. `false`: something holds the prompt back again.
    pub(super) fn take_ready(&mut self, session: &Session) -> bool {
        if self.step != WaitingStep::Ready {
            return false;
        }
        self.step = WaitingStep::Gate;
        session.may_post()
    }

    fn advance(&mut self, input: &mut TurnInput<'_>) {
        if self.stream == GateStream::Closed {
            return;
        }
        if self.step == WaitingStep::Model {
            self.decide_model(input);
        }
        if self.step != WaitingStep::Gate {
            return;
        }
        if input.shared.may_post() {
            self.step = WaitingStep::Ready;
            input.core.actions.push_back(TurnAction::Ready);
        } else {
            input.shared.wait(input.core.number);
        }
    }

    /// Names a model where the session's own is one that does not exist.
    fn decide_model(&mut self, input: &mut TurnInput<'_>) {
        self.step = WaitingStep::Gate;
        let Some(place) = self.post.missing_model() else { return };
        match input.shared.model_advice() {
            ModelAdvice::Unneeded => {}
            ModelAdvice::Name(model) => *place = Some(model),
            ModelAdvice::Configured => {
                self.step = WaitingStep::ConfiguredModel;
                input.call(&ConfiguredModel, Purpose::ConfiguredModel);
            }
        }
    }
}
