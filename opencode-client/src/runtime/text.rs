//! Text of a run or a turn as a stream.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::cancel::CancelHandle;

/// Stream of the text that the model writes in a run or a turn, in pieces.
///
/// Made by [`RunStream::text_stream`](crate::RunStream::text_stream) and
/// [`TurnStream::text_stream`](crate::TurnStream::text_stream). No piece is empty. When the run or
/// turn ends without a complete answer, the last item is the error. Otherwise
/// [`outcome`](Self::outcome) returns the result after the end.
///
/// ```no_run
/// # async fn example(session: opencode_tokio::Session) -> Result<(), opencode_tokio::TurnError> {
/// let mut text = session.send("Which licence does this project have?").text_stream();
/// while let Some(piece) = text.next_text().await {
///     print!("{}", piece?);
/// }
/// let outcome = text.into_outcome().expect("the turn ended without an error");
/// println!("{} USD", outcome.cost());
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Waiting for the next piece can be cancelled without loss. Dropping the stream has the effect of
/// dropping the stream of events that the text was taken from.
#[must_use = "streams do nothing unless they are polled"]
pub struct TextStream<O, E> {
    state: TextState<O, E>,
    cancel: CancelHandle,
}

enum TextState<O, E> {
    Running(Box<dyn TextSource<Outcome = O, Error = E> + Send>),
    Completed(Box<O>),
    Failed,
}

/// A stream of events that text can be taken from.
pub(crate) trait TextSource {
    type Outcome;
    type Error;

    /// Returns the text of the next event that has any, and `None` at the end.
    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>>;

    /// Returns the result. Called once, after the end.
    fn take_result(&mut self) -> Result<Self::Outcome, Self::Error>;
}

/// Polls `events` for the next one that has a text.
pub(crate) fn poll_text<S: Stream + Unpin>(
    events: &mut S,
    cx: &mut Context<'_>,
    text: impl Fn(&S::Item) -> Option<Cow<'_, str>>,
) -> Poll<Option<String>> {
    loop {
        let Some(event) = ready!(Pin::new(&mut *events).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        if let Some(text) = text(&event) {
            return Poll::Ready(Some(text.into_owned()));
        }
    }
}

impl<O, E> TextStream<O, E> {
    pub(crate) fn new(
        source: impl TextSource<Outcome = O, Error = E> + Send + 'static,
        cancel: CancelHandle,
    ) -> Self {
        Self { state: TextState::Running(Box::new(source)), cancel }
    }

    /// Returns the next piece of text, the error of the run or turn, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The error of the run or turn, once, as the last item.
    ///
    /// # Cancel safety
    ///
    /// No text is lost.
    pub async fn next_text(&mut self) -> Option<Result<String, E>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// Returns the result of the run or turn; `None` before the end, and after an error.
    pub fn outcome(&self) -> Option<&O> {
        if let TextState::Completed(outcome) = &self.state { Some(outcome) } else { None }
    }

    /// Returns the result of the run or turn; `None` before the end, and after an error.
    ///
    /// Before the end, the run or turn is dropped.
    pub fn into_outcome(self) -> Option<O> {
        if let TextState::Completed(outcome) = self.state { Some(*outcome) } else { None }
    }

    /// Returns a handle that another task can cancel the run or turn with.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String, E>>> {
        let TextState::Running(source) = &mut self.state else { return Poll::Ready(None) };
        if let Some(text) = ready!(source.poll_text(cx)) {
            return Poll::Ready(Some(Ok(text)));
        }
        match source.take_result() {
            Ok(outcome) => {
                self.state = TextState::Completed(Box::new(outcome));
                Poll::Ready(None)
            }
            Err(error) => {
                self.state = TextState::Failed;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

// The outcome is not pinned: a stream moves it out at the end.
impl<O, E> Unpin for TextStream<O, E> {}

impl<O, E> Stream for TextStream<O, E> {
    type Item = Result<String, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_piece(cx)
    }
}

impl<O, E> fmt::Debug for TextStream<O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.state {
            TextState::Running(_) => "running",
            TextState::Completed(_) => "completed",
            TextState::Failed => "failed",
        };
        f.debug_struct("TextStream").field("phase", &phase).finish_non_exhaustive()
    }
}
