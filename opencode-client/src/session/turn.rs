//! Turns of a session, driven by the reader of their events. The decisions are those of
//! [`opencode_proto::Turn`].

mod agent;
mod ask_desk;
mod driven;
mod driver;
mod error;
mod follow;
pub(crate) mod handler;
mod left;
pub(crate) mod post;
mod request;
mod token;

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use opencode_proto::{MessageId, Transcript, TurnEvent, TurnOutcome};

use crate::log::EventLogError;
use crate::runtime::cancel::{CancelHandle, CancelSignal};
use crate::runtime::span::WorkSpan;
use crate::runtime::text::{TextSource, TextStream, poll_text};
use crate::runtime::wait::BoxFuture;
use crate::session::core::SessionCore;

pub use agent::UnknownAgent;
use driver::{TurnDriver, TurnProgress};
pub use error::TurnError;
pub use follow::FollowRequest;
pub use post::{PostError, PostedPrompt};
pub use request::TurnRequest;
use request::{TurnBegin, TurnStart};
pub use token::{Ask, AskToken, PermissionToken, QuestionToken};

/// Events of a turn, as they happen.
///
/// The stream ends with the turn; [`outcome`](Self::outcome) returns the result. Only polling
/// drives the turn; between polls the server works on, and the events wait.
///
/// # Cancel safety
///
/// Waiting for the next event loses nothing when it is cancelled. Dropping the stream aborts the
/// turn on the server, in the background; the next prompt of the session waits for that. A turn that
/// is [followed](crate::Session::follow) goes on when the stream is dropped, unless the request
/// says otherwise.
///
/// ```no_run
/// # async fn example(session: opencode_tokio::Session) -> Result<(), opencode_tokio::TurnError> {
/// let mut turn = session.send("Which licence does it have?");
/// while let Some(event) = turn.next_event().await {
///     print!("{}", event.text().unwrap_or_default());
/// }
/// println!("\n{}", turn.outcome().await?.tokens());
/// # Ok(())
/// # }
/// ```
#[must_use = "a turn does nothing unless it is polled"]
pub struct TurnStream {
    core: SessionCore,
    phase: StreamPhase,
    cancel: CancelSignal,
    span: WorkSpan,
}

enum StreamPhase {
    Created(Box<TurnStart>),
    Cancelled(Box<TurnStart>),
    Running(Box<TurnDriver>),
    Closing(Box<TurnOutcome>, BoxFuture<Result<(), EventLogError>>),
    Ended(Box<Result<TurnOutcome, TurnError>>),
    Taken,
}

impl TurnStream {
    pub(crate) fn new(core: SessionCore, request: TurnRequest) -> Self {
        Self::begin(core, request.into())
    }

    pub(crate) fn follow(core: SessionCore, request: FollowRequest) -> Self {
        Self::begin(core, request.into())
    }

    fn begin(core: SessionCore, start: TurnStart) -> Self {
        let model = match &start.begin {
            TurnBegin::Follow(..) => None,
            TurnBegin::Post(post) => post.model(),
        };
        let span = WorkSpan::of_turn(&core.state.id, core.server.version(), model);
        let phase = StreamPhase::Created(Box::new(start));
        Self { core, phase, cancel: CancelSignal::new(), span }
    }

    /// Returns the next event, `None` when there are no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<TurnEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Takes the ask of the last event, when the request was made
    /// [`with_asks_in_stream`](TurnRequest::with_asks_in_stream). An ask that is not taken before
    /// the next event is refused.
    pub fn take_ask(&mut self) -> Option<Ask> {
        if let StreamPhase::Running(driver) = &mut self.phase { driver.take_ask() } else { None }
    }

    /// Returns the messages so far; `None` before the prompt is posted or found, and after the end.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.running()?.transcript()
    }

    /// Returns the prompt's message; `None` before the prompt is posted or found, and after the
    /// end.
    pub fn message(&self) -> Option<&MessageId> {
        let turn = self.running()?.turn();
        turn.transcript().map(|_| turn.message())
    }

    /// Aborts the turn, unless the turn is over. The stream goes on to its end.
    pub fn cancel(&mut self) {
        self.phase = match mem::replace(&mut self.phase, StreamPhase::Taken) {
            StreamPhase::Created(start) => StreamPhase::Cancelled(start),
            StreamPhase::Running(mut driver) => {
                driver.cancel();
                StreamPhase::Running(driver)
            }
            phase @ (StreamPhase::Cancelled(_)
            | StreamPhase::Closing(..)
            | StreamPhase::Ended(_)
            | StreamPhase::Taken) => phase,
        };
    }

    /// Waits for the end of the turn, dropping the events that were not taken.
    ///
    /// # Errors
    ///
    /// [`TurnError::Ended`] with everything that was gathered when the turn ended in any way but
    /// with a complete answer; the other kinds when the turn could not begin or could not be
    /// logged.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the stream.
    pub async fn outcome(mut self) -> Result<TurnOutcome, TurnError> {
        while self.next_event().await.is_some() {}
        self.conclude()
    }

    /// Yields only the text of the model: see [`TurnEvent::text`].
    ///
    /// Permission requests and questions without a handler are rejected.
    ///
    /// A piece cannot be taken back. When a provider breaks off in the middle of an answer and
    /// OpenCode repeats the call, the pieces of both attempts come. The text of the outcome is that
    /// of the last attempt, and [`StreamedText`](crate::event::StreamedText) keeps a text that
    /// follows the events.
    ///
    /// ```no_run
    /// # async fn example(session: opencode_tokio::Session) -> Result<(), opencode_tokio::TurnError> {
    /// let mut text = session.send("Which licence does this project have?").text_stream();
    /// while let Some(piece) = text.next_text().await {
    ///     print!("{}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_stream(self) -> TextStream<TurnOutcome, TurnError> {
        let cancel = self.cancel_handle();
        TextStream::new(self, cancel)
    }

    /// Returns a handle that another task can cancel the turn with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.handle()
    }

    /// Returns the result, after the end and once.
    fn conclude(&mut self) -> Result<TurnOutcome, TurnError> {
        match mem::replace(&mut self.phase, StreamPhase::Taken) {
            StreamPhase::Ended(result) => *result,
            StreamPhase::Created(_)
            | StreamPhase::Cancelled(_)
            | StreamPhase::Running(_)
            | StreamPhase::Closing(..)
            | StreamPhase::Taken => unreachable!("the events have ended"),
        }
    }

    fn running(&self) -> Option<&TurnDriver> {
        if let StreamPhase::Running(driver) = &self.phase { Some(driver) } else { None }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        let span = self.span.span();
        let _entered = span.enter();
        if self.cancel.poll_requested(cx) {
            self.cancel();
        }
        loop {
            self.phase = match mem::replace(&mut self.phase, StreamPhase::Taken) {
                StreamPhase::Created(start) => {
                    let driver = TurnDriver::new(self.core.clone(), *start);
                    StreamPhase::Running(Box::new(driver))
                }
                StreamPhase::Cancelled(start) => {
                    let mut driver = TurnDriver::new(self.core.clone(), *start);
                    driver.cancel();
                    StreamPhase::Running(Box::new(driver))
                }
                StreamPhase::Running(mut driver) => match driver.poll_progress(cx) {
                    Poll::Pending => {
                        self.phase = StreamPhase::Running(driver);
                        return Poll::Pending;
                    }
                    Poll::Ready(TurnProgress::Event(event)) => {
                        self.phase = StreamPhase::Running(driver);
                        return Poll::Ready(Some(*event));
                    }
                    Poll::Ready(TurnProgress::Failed(error)) => {
                        self.span.record_end("not_posted");
                        StreamPhase::Ended(Box::new(Err(error)))
                    }
                    Poll::Ready(TurnProgress::Finished(outcome)) => {
                        self.span.record_end(outcome.end.name());
                        StreamPhase::Closing(outcome, Box::pin(driver.close()))
                    }
                },
                StreamPhase::Closing(outcome, mut closing) => match closing.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.phase = StreamPhase::Closing(outcome, closing);
                        return Poll::Pending;
                    }
                    Poll::Ready(closed) => {
                        StreamPhase::Ended(Box::new(error::conclude(outcome, closed)))
                    }
                },
                phase @ (StreamPhase::Ended(_) | StreamPhase::Taken) => {
                    self.phase = phase;
                    return Poll::Ready(None);
                }
            };
        }
    }
}

impl Stream for TurnStream {
    type Item = TurnEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl IntoFuture for TurnStream {
    type Output = Result<TurnOutcome, TurnError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Waits for the end: the same as [`outcome`](Self::outcome).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcome())
    }
}

impl TextSource for TurnStream {
    type Outcome = TurnOutcome;
    type Error = TurnError;

    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        poll_text(self, cx, TurnEvent::text)
    }

    fn take_result(&mut self) -> Result<TurnOutcome, TurnError> {
        self.conclude()
    }
}

impl fmt::Debug for TurnStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            StreamPhase::Created(_) | StreamPhase::Cancelled(_) => "created",
            StreamPhase::Running(driver) if driver.turn().is_waiting() => "waiting",
            StreamPhase::Running(_) => "running",
            StreamPhase::Closing(..) => "closing",
            StreamPhase::Ended(_) | StreamPhase::Taken => "ended",
        };
        f.debug_struct("TurnStream")
            .field("session", &self.core.state.id)
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}
