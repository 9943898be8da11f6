//! Asks that the application may answer from anywhere.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use opencode_proto::{
    Ask as MachineAsk, AskAnswer, AskKind, PermissionKind, QuestionKind, SessionId,
};

/// A permission request, or questions, handed to the reader of a stream. It can be answered from
/// anywhere, at any time; dropping it refuses or dismisses it.
#[derive(Debug)]
#[must_use = "an ask that is dropped is refused"]
pub enum Ask {
    /// A permission request.
    Permission(PermissionToken),
    /// Questions.
    Question(QuestionToken),
}

/// A permission request that a turn waits for. Answering consumes it; dropping it refuses.
pub type PermissionToken = AskToken<PermissionKind>;

/// Questions that a turn waits for. Answering consumes them; dropping them dismisses them.
pub type QuestionToken = AskToken<QuestionKind>;

/// A request that a turn waits for. Answering consumes the token; dropping it refuses the
/// permission or dismisses the questions.
///
/// ```no_run
/// # async fn example(session: opencode_tokio::Session) {
/// use opencode_tokio::turn::Ask;
/// use opencode_tokio::{PermissionReply, Prompt, TurnRequest};
///
/// let request = TurnRequest::from(Prompt::from("Tidy up.")).with_asks_in_stream();
/// let mut turn = session.send(request);
/// while turn.next_event().await.is_some() {
///     match turn.take_ask() {
///         Some(Ask::Permission(ask)) => ask.reply(PermissionReply::Once),
///         // A dropped question is dismissed.
///         Some(Ask::Question(_)) | None => {}
///     }
/// }
/// # }
/// ```
#[must_use = "an ask that is dropped is refused"]
pub struct AskToken<K: AskKind> {
    /// `None` in the drop alone.
    ask: Option<MachineAsk<K>>,
    answers: Answers,
}

impl<K: AskKind> AskToken<K> {
    pub(super) fn new(ask: MachineAsk<K>, answers: Answers) -> Self {
        Self { ask: Some(ask), answers }
    }

    /// Returns the session that asks: the turn's own, or a subagent's.
    pub fn session(&self) -> &SessionId {
        &self.ask().session
    }

    /// Returns the request.
    pub fn request(&self) -> &K::Request {
        &self.ask().request
    }

    /// Answers.
    pub fn reply(mut self, reply: K::Reply) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(ask.reply(reply));
        }
    }

    fn ask(&self) -> &MachineAsk<K> {
        self.ask.as_ref().expect("it is there until the token is consumed")
    }
}

impl<K: AskKind> Drop for AskToken<K> {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(ask.refuse());
        }
    }
}

impl<K: AskKind> fmt::Debug for AskToken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AskToken").field(&self.ask).finish()
    }
}

/// Answers on their way to the turn.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<AnswersGiven>>);

#[derive(Default)]
struct AnswersGiven {
    answers: Vec<AskAnswer>,
    waker: Option<Waker>,
}

impl Answers {
    fn give(&self, answer: AskAnswer) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.answers.push(answer);
        let waker = given.waker.take();
        drop(given);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes the answers since the last call. The task is woken when there are more.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Vec<AskAnswer> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.waker = Some(cx.waker().clone());
        std::mem::take(&mut given.answers)
    }
}
