use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use opencode_proto::{
    ErrorName, OutputFormat, Prompt, PromptReply, RawJson, Transcript, TurnEnd, TurnEvent,
    TurnOutcome,
};

use super::error::StructuredError;
use super::misfit::Misfit;
use super::outcome::StructuredOutcome;
use super::pause::Pause;
use super::schema::AnswerSchema;
use crate::log::EventLogMode;
use crate::runtime::cancel::{CancelHandle, CancelSignal};
use crate::session::Session;
use crate::session::turn::{Ask, TurnError, TurnRequest, TurnStream};

/// Events of all tries to get an answer that fits, in order of arrival.
///
/// The stream is a [`TurnStream`] over several turns, one after the other: when a new turn begins,
/// [`misfits`](Self::misfits) holds the reason why the answer of the previous turn was rejected.
///
/// # Cancel safety
///
/// Cancelling the wait for the next event loses nothing. Dropping the stream aborts the turn on the
/// server, in the background; the next prompt of the session waits for the abort.
#[must_use = "nothing is asked unless it is polled"]
pub struct StructuredStream {
    session: Session,
    schema: AnswerSchema,
    /// Request of the next try, without the text of the prompt.
    request: TurnRequest,
    phase: AskPhase,
    pause: Pause,
    /// Elapsed part of the overall deadline.
    used: Duration,
    turns: Vec<TurnOutcome>,
    misfits: Vec<Misfit>,
    is_cancelled: bool,
    cancel: CancelSignal,
}

enum AskPhase {
    Turn(TurnStream),
    Concluding(Pin<Box<dyn Future<Output = Result<TurnOutcome, TurnError>> + Send>>),
    Ended(Box<Result<StructuredOutcome, StructuredError>>),
    Taken,
}

impl StructuredStream {
    pub(super) fn new(session: Session, mut request: TurnRequest, schema: AnswerSchema) -> Self {
        let phase = match prepare(&mut request, &schema) {
            Ok(()) => AskPhase::Turn(session.send(request.clone())),
            Err(error) => AskPhase::Ended(Box::new(Err(error))),
        };
        // The text of the first prompt stays in the conversation.
        if let Some(prompt) = request.prompt_mut() {
            *prompt = mem::take(prompt).without_parts();
        }
        request.log = request.log.map(|log| log.with_mode(EventLogMode::Append));
        Self {
            session,
            schema,
            request,
            phase,
            pause: Pause::default(),
            used: Duration::ZERO,
            turns: Vec::new(),
            misfits: Vec::new(),
            is_cancelled: false,
            cancel: CancelSignal::new(),
        }
    }

    /// Returns the next event of any try, or `None` after the last event.
    ///
    /// # Cancel safety
    ///
    /// Cancelling the future loses no event.
    pub async fn next_event(&mut self) -> Option<TurnEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Takes the ask of the last event: see [`TurnStream::take_ask`].
    pub fn take_ask(&mut self) -> Option<Ask> {
        match &mut self.phase {
            AskPhase::Turn(turn) => turn.take_ask(),
            AskPhase::Concluding(_) | AskPhase::Ended(_) | AskPhase::Taken => None,
        }
    }

    /// Returns the reasons for the rejection of the answers so far, one for each finished try.
    pub fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }

    /// Returns everything gathered so far in this try; `None` before the prompt is posted and after
    /// the end.
    pub fn transcript(&self) -> Option<&Transcript> {
        match &self.phase {
            AskPhase::Turn(turn) => turn.transcript(),
            AskPhase::Concluding(_) | AskPhase::Ended(_) | AskPhase::Taken => None,
        }
    }

    /// Aborts the turn, unless it has ended, and prevents further tries. The stream continues to
    /// the end.
    pub fn cancel(&mut self) {
        self.is_cancelled = true;
        if let AskPhase::Turn(turn) = &mut self.phase {
            turn.cancel();
        }
    }

    /// Returns a handle with which another task can cancel the turns.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.handle()
    }

    /// Waits for an answer that fits, and drops the events that were not read.
    ///
    /// # Errors
    ///
    /// [`StructuredError::Misfit`] when no answer fits, [`StructuredError::Turn`] when a turn
    /// failed; the other variants when there was nothing to post.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as dropping the stream.
    pub async fn outcome(mut self) -> Result<StructuredOutcome, StructuredError> {
        while self.next_event().await.is_some() {}
        match mem::replace(&mut self.phase, AskPhase::Taken) {
            AskPhase::Ended(result) => *result,
            AskPhase::Turn(_) | AskPhase::Concluding(_) | AskPhase::Taken => {
                unreachable!("the events have ended")
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        if self.cancel.poll_requested(cx) {
            self.cancel();
        }
        loop {
            match &mut self.phase {
                AskPhase::Turn(turn) => {
                    if let Some(event) = ready!(Pin::new(turn).poll_next(cx)) {
                        let now = self.now();
                        self.pause.handle_event(&event, now);
                        return Poll::Ready(Some(event));
                    }
                    let AskPhase::Turn(turn) = mem::replace(&mut self.phase, AskPhase::Taken)
                    else {
                        unreachable!("it was just looked at")
                    };
                    self.phase = AskPhase::Concluding(Box::pin(turn.outcome()));
                }
                AskPhase::Concluding(outcome) => {
                    let result = ready!(outcome.as_mut().poll(cx));
                    self.phase = self.conclude(result);
                }
                AskPhase::Ended(_) | AskPhase::Taken => return Poll::Ready(None),
            }
        }
    }

    /// Evaluates a finished try and returns the next phase.
    fn conclude(&mut self, result: Result<TurnOutcome, TurnError>) -> AskPhase {
        let (turn, given) = match answered(result) {
            Ok(answered) => answered,
            Err(source) => {
                let (misfits, turns) = self.take_tries();
                let source = Box::new(source);
                return ended(Err(StructuredError::Turn { source, misfits, turns }));
            }
        };
        self.used += turn.elapsed.saturating_sub(mem::take(&mut self.pause).finish(self.now()));
        self.turns.push(turn);
        let checked = match given {
            Some(given) => self.schema.check(&given),
            None => Err(Misfit::Missing),
        };
        let misfit = match checked {
            Ok(value) => {
                let (misfits, turns) = self.take_tries();
                return ended(Ok(StructuredOutcome { value, turns, misfits }));
            }
            Err(misfit) => misfit,
        };
        tracing::debug!(session = %self.session.id(), "answer did not fit the schema");
        self.misfits.push(misfit);
        if self.turns.len() > self.schema.asks_max() as usize {
            let (misfits, turns) = self.take_tries();
            return ended(Err(StructuredError::Misfit { misfits, turns }));
        }
        AskPhase::Turn(self.ask_again())
    }

    fn ask_again(&self) -> TurnStream {
        let mut request = self.request.clone();
        if let (Some(prompt), Some(misfit)) = (request.prompt_mut(), self.misfits.last()) {
            *prompt = mem::take(prompt).with_part(reminder(misfit));
        }
        let deadlines = request.settings().deadlines();
        if let Some(limit) = deadlines.overall() {
            request =
                request.with_deadlines(deadlines.with_overall(limit.saturating_sub(self.used)));
        }
        let mut turn = self.session.send(request);
        if self.is_cancelled {
            turn.cancel();
        }
        turn
    }

    fn take_tries(&mut self) -> (Vec<Misfit>, Vec<TurnOutcome>) {
        (mem::take(&mut self.misfits), mem::take(&mut self.turns))
    }

    fn now(&self) -> Instant {
        self.session.core.server.host.runtime.now()
    }
}

/// Returns whether a prompt may ask for a structured answer.
pub(crate) fn is_suitable(prompt: &Prompt) -> bool {
    prompt.reply() == PromptReply::Reply && *prompt.format() == OutputFormat::Text
}

/// Sets the output format of the request, if the request supports an output format.
fn prepare(request: &mut TurnRequest, schema: &AnswerSchema) -> Result<(), StructuredError> {
    let Some(prompt) = request.prompt_mut().filter(|prompt| is_suitable(prompt)) else {
        return Err(StructuredError::Unsuitable);
    };
    let schema = schema.schema().map_err(Clone::clone)?;
    *prompt = mem::take(prompt).with_format(OutputFormat::json_schema(schema.clone()));
    Ok(())
}

/// Returns the turn and the model's structured output, if the turn ended with any answer.
fn answered(
    result: Result<TurnOutcome, TurnError>,
) -> Result<(TurnOutcome, Option<RawJson>), TurnError> {
    let turn = match result {
        Ok(turn) => turn,
        Err(TurnError::Ended(turn)) if is_formless(&turn.end) => return Ok((*turn, None)),
        Err(error) => return Err(error),
    };
    let given = turn.structured().cloned();
    Ok((turn, given))
}

fn is_formless(end: &TurnEnd) -> bool {
    matches!(end, TurnEnd::AgentError(error) if error.name == ErrorName::STRUCTURED_OUTPUT)
}

/// Returns the text that asks the model for a new answer.
fn reminder(misfit: &Misfit) -> String {
    let problems = misfit.problems();
    if problems.is_empty() {
        return format!("Not done: {misfit}. Call the StructuredOutput tool with your answer.");
    }
    let mut text =
        "The answer that you gave with the StructuredOutput tool does not fit:\n".to_owned();
    for problem in problems {
        text.push_str(&format!("- {problem}\n"));
    }
    text.push_str(
        "Call the StructuredOutput tool again, with a whole answer that fits its schema.",
    );
    text
}

fn ended(result: Result<StructuredOutcome, StructuredError>) -> AskPhase {
    AskPhase::Ended(Box::new(result))
}

impl Stream for StructuredStream {
    type Item = TurnEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl IntoFuture for StructuredStream {
    type Output = Result<StructuredOutcome, StructuredError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Waits for the end: the same as [`outcome`](Self::outcome).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

impl fmt::Debug for StructuredStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            AskPhase::Turn(_) | AskPhase::Concluding(_) => "asking",
            AskPhase::Ended(_) | AskPhase::Taken => "ended",
        };
        f.debug_struct("StructuredStream")
            .field("session", self.session.id())
            .field("tries", &(self.turns.len() + 1))
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}
