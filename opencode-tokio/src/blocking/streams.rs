use opencode_client::api::Paged;
use opencode_client::batch::{BatchCounts, Spend};
use opencode_client::event::MessageId;
use opencode_client::run::Answer;
use opencode_client::server::{ServerNews, ServerOutputEvent};
use opencode_client::session::{Misfit, StructuredError, StructuredOutcome};
use opencode_client::turn::Transcript;
use opencode_client::{
    Ask, BatchError, BatchEvent, BatchReport, CallError, CancelHandle, RunError, RunEvent,
    RunReport, TurnError, TurnEvent, TurnOutcome,
};

use super::worker::Held;

/// Blocking form of [`RunStream`](crate::RunStream), an iterator of events.
#[derive(Debug)]
#[must_use = "a run does nothing unless it is read"]
pub struct RunStream(pub(super) Held<crate::RunStream>);

impl RunStream {
    /// Blocking form of [`RunStream::outcome`](crate::RunStream::outcome).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn outcome(self) -> Result<RunReport, RunError> {
        self.0.end(crate::RunStream::outcome)
    }

    /// Returns a handle that another thread can cancel the run with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }

    /// Blocking form of [`RunStream::cancel`](crate::RunStream::cancel).
    pub fn cancel(&mut self) {
        self.0.cancel();
    }

    /// Blocking form of [`RunStream::text_stream`](crate::RunStream::text_stream).
    pub fn text_stream(self) -> TextStream<RunReport, RunError> {
        TextStream(self.0.map(crate::RunStream::text_stream))
    }

    /// Blocking form of [`RunStream::answer`](crate::RunStream::answer).
    pub fn answer(&self) -> Option<&Answer> {
        self.0.answer()
    }
}

impl Iterator for RunStream {
    type Item = RunEvent;

    fn next(&mut self) -> Option<RunEvent> {
        self.0.wait_mut(crate::RunStream::next_event)
    }
}

/// Blocking form of [`TurnStream`](crate::TurnStream), an iterator of events.
#[derive(Debug)]
#[must_use = "a turn does nothing unless it is read"]
pub struct TurnStream(pub(super) Held<crate::TurnStream>);

impl TurnStream {
    /// Blocking form of [`TurnStream::outcome`](crate::TurnStream::outcome).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn outcome(self) -> Result<TurnOutcome, TurnError> {
        self.0.end(crate::TurnStream::outcome)
    }

    /// Returns a handle that another thread can cancel the turn with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }

    /// Blocking form of [`TurnStream::cancel`](crate::TurnStream::cancel).
    pub fn cancel(&mut self) {
        self.0.cancel();
    }

    /// Blocking form of [`TurnStream::text_stream`](crate::TurnStream::text_stream).
    ///
    /// ```no_run
    /// # use opencode_tokio::blocking::Session;
    /// # fn example(session: Session) -> Result<(), opencode_tokio::TurnError> {
    /// for piece in session.send("Which licence does this project have?").text_stream() {
    ///     print!("{}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_stream(self) -> TextStream<TurnOutcome, TurnError> {
        TextStream(self.0.map(crate::TurnStream::text_stream))
    }

    /// Blocking form of [`TurnStream::take_ask`](crate::TurnStream::take_ask).
    pub fn take_ask(&mut self) -> Option<Ask> {
        self.0.take_ask()
    }

    /// Blocking form of [`TurnStream::transcript`](crate::TurnStream::transcript).
    pub fn transcript(&self) -> Option<&Transcript> {
        self.0.transcript()
    }

    /// Blocking form of [`TurnStream::message`](crate::TurnStream::message).
    pub fn message(&self) -> Option<&MessageId> {
        self.0.message()
    }
}

impl Iterator for TurnStream {
    type Item = TurnEvent;

    fn next(&mut self) -> Option<TurnEvent> {
        self.0.wait_mut(crate::TurnStream::next_event)
    }
}

/// Blocking form of [`StructuredStream`](crate::session::StructuredStream), an iterator of events.
#[derive(Debug)]
#[must_use = "nothing is asked unless the events are read"]
pub struct StructuredStream(pub(super) Held<crate::session::StructuredStream>);

impl StructuredStream {
    /// Blocking form of [`StructuredStream::outcome`](crate::session::StructuredStream::outcome).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn outcome(self) -> Result<StructuredOutcome, StructuredError> {
        self.0.end(crate::session::StructuredStream::outcome)
    }

    /// Returns a handle that another thread can cancel the turns with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }

    /// Blocking form of [`StructuredStream::cancel`](crate::session::StructuredStream::cancel).
    pub fn cancel(&mut self) {
        self.0.cancel();
    }

    /// Blocking form of [`StructuredStream::take_ask`](crate::session::StructuredStream::take_ask).
    pub fn take_ask(&mut self) -> Option<Ask> {
        self.0.take_ask()
    }

    /// Blocking form of [`StructuredStream::misfits`](crate::session::StructuredStream::misfits).
    pub fn misfits(&self) -> &[Misfit] {
        self.0.misfits()
    }

    /// Blocking form of
    /// [`StructuredStream::transcript`](crate::session::StructuredStream::transcript).
    pub fn transcript(&self) -> Option<&Transcript> {
        self.0.transcript()
    }
}

impl Iterator for StructuredStream {
    type Item = TurnEvent;

    fn next(&mut self) -> Option<TurnEvent> {
        self.0.wait_mut(crate::session::StructuredStream::next_event)
    }
}

/// Blocking form of [`TextStream`](crate::TextStream), an iterator of pieces of text.
#[derive(Debug)]
#[must_use = "nothing happens unless the text is read"]
pub struct TextStream<O, E>(pub(super) Held<crate::TextStream<O, E>>);

impl<O, E> TextStream<O, E> {
    /// Blocking form of [`TextStream::outcome`](crate::TextStream::outcome).
    pub fn outcome(&self) -> Option<&O> {
        self.0.outcome()
    }

    /// Blocking form of [`TextStream::into_outcome`](crate::TextStream::into_outcome).
    pub fn into_outcome(self) -> Option<O> {
        self.0.end(async |text| text.into_outcome())
    }

    /// Returns a handle that another thread can cancel the run or turn with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }
}

impl<O, E> Iterator for TextStream<O, E> {
    type Item = Result<String, E>;

    fn next(&mut self) -> Option<Result<String, E>> {
        self.0.wait_mut(crate::TextStream::next_text)
    }
}

/// Blocking form of [`PageStream`](crate::server::PageStream), an iterator of items.
#[derive(Debug)]
#[must_use = "nothing is requested until the items are read"]
pub struct PageStream<O: Paged>(pub(super) Held<crate::server::PageStream<O>>);

impl<O: Paged<Item: Send> + Send + Sync + 'static> Iterator for PageStream<O> {
    type Item = Result<O::Item, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.wait_mut(crate::server::PageStream::next_item)
    }
}

/// Blocking form of [`BatchStream`](crate::BatchStream), an iterator of events.
#[derive(Debug)]
#[must_use = "a batch does nothing unless it is read"]
pub struct BatchStream(pub(super) Held<crate::BatchStream>);

impl BatchStream {
    /// Blocking form of [`BatchStream::outcome`](crate::BatchStream::outcome).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn outcome(self) -> Result<BatchReport, BatchError> {
        self.0.end(crate::BatchStream::outcome)
    }

    /// Returns a handle that another thread can cancel the batch with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }

    /// Blocking form of [`BatchStream::cancel`](crate::BatchStream::cancel).
    pub fn cancel(&mut self) {
        self.0.cancel();
    }

    /// Blocking form of [`BatchStream::spend`](crate::BatchStream::spend).
    pub fn spend(&self) -> Spend {
        self.0.spend()
    }

    /// Blocking form of [`BatchStream::counts`](crate::BatchStream::counts).
    pub fn counts(&self) -> Option<BatchCounts> {
        self.0.counts()
    }
}

impl Iterator for BatchStream {
    type Item = BatchEvent;

    fn next(&mut self) -> Option<BatchEvent> {
        self.0.wait_mut(crate::BatchStream::next_event)
    }
}

/// Blocking form of [`ServerOutput`](crate::server::ServerOutput), an iterator of events. The
/// iterator ends when the process has exited and all events were read.
///
/// To read the output of a server that is being started, create the output with
/// [`OpenCode::server_output`](super::OpenCode::server_output), and read it on another thread.
#[derive(Clone, Debug)]
#[must_use = "output waits until it is read"]
pub struct ServerOutput(pub(super) Held<crate::server::ServerOutput>);

impl ServerOutput {
    /// Blocking form of [`ServerOutput::missed`](crate::server::ServerOutput::missed).
    pub fn missed(&self) -> u64 {
        self.0.missed()
    }

    /// Returns the async form, for [`ServeRequest::with_output`](crate::ServeRequest::with_output).
    pub fn as_async(&self) -> &crate::server::ServerOutput {
        &self.0
    }
}

impl Iterator for ServerOutput {
    type Item = ServerOutputEvent;

    fn next(&mut self) -> Option<ServerOutputEvent> {
        self.0.wait_mut(crate::server::ServerOutput::next_event)
    }
}

/// Blocking form of [`ServerEvents`](crate::server::ServerEvents), an iterator of events.
#[derive(Debug)]
#[must_use = "events wait until they are read"]
pub struct ServerEvents(pub(super) Held<crate::server::ServerEvents>);

impl Iterator for ServerEvents {
    type Item = ServerNews;

    fn next(&mut self) -> Option<ServerNews> {
        self.0.wait_mut(crate::server::ServerEvents::next_event)
    }
}
