//! Asks: who answers them, and how the answers get to the server.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use opencode_proto::api::{
    ApiErrorKind, Operation, PermissionReply, RejectQuestion, ReplyPermission, ReplyQuestion,
    RespondPermission,
};
use opencode_proto::{
    Arrival, AskId, AskReply, PermissionAsk, PermissionRequest, QuestionAsk, QuestionReply,
    QuestionRequest, SessionId,
};

use super::look::Site;

/// What a turn asks, handed to whoever reads its stream. It can be answered from anywhere, at any time; dropping it
/// refuses or dismisses it.
#[derive(Debug)]
#[must_use = "an ask that is dropped is refused"]
pub enum Ask {
    /// A permission.
    Permission(PermissionToken),
    /// Questions.
    Question(QuestionToken),
}

/// A permission that a turn waits for. Answering consumes it; dropping it refuses.
#[must_use = "a permission that is dropped is refused"]
pub struct PermissionToken {
    ask: Option<PermissionAsk>,
    answers: Answers,
}

/// Questions that a turn waits for. Answering consumes it; dropping it dismisses them.
#[must_use = "questions that are dropped are dismissed"]
pub struct QuestionToken {
    ask: Option<QuestionAsk>,
    answers: Answers,
}

/// Answers on their way from wherever they are given to the turn.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    answers: Vec<Answer>,
    waker: Option<Waker>,
}

/// An ask with its answer.
pub(super) enum Answer {
    Permission(PermissionAsk, PermissionReply),
    Question(QuestionAsk, QuestionReply),
}

impl PermissionToken {
    pub(super) fn new(ask: PermissionAsk, answers: Answers) -> Self {
        Self { ask: Some(ask), answers }
    }

    /// The session that asks: the turn's own, or a subagent's.
    pub fn session(&self) -> &SessionId {
        &self.ask().session
    }

    /// What is asked.
    pub fn request(&self) -> &PermissionRequest {
        &self.ask().request
    }

    /// Answers.
    pub fn reply(mut self, reply: PermissionReply) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(Answer::Permission(ask, reply));
        }
    }

    fn ask(&self) -> &PermissionAsk {
        self.ask.as_ref().expect("it is taken when it is consumed")
    }
}

impl Drop for PermissionToken {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(Answer::Permission(ask, PermissionReply::reject()));
        }
    }
}

impl fmt::Debug for PermissionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PermissionToken").field(&self.ask).finish()
    }
}

impl QuestionToken {
    pub(super) fn new(ask: QuestionAsk, answers: Answers) -> Self {
        Self { ask: Some(ask), answers }
    }

    /// The session that asks: the turn's own, or a subagent's.
    pub fn session(&self) -> &SessionId {
        &self.ask().session
    }

    /// What is asked.
    pub fn request(&self) -> &QuestionRequest {
        &self.ask().request
    }

    /// Answers, or dismisses.
    pub fn reply(mut self, reply: QuestionReply) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(Answer::Question(ask, reply));
        }
    }

    fn ask(&self) -> &QuestionAsk {
        self.ask.as_ref().expect("it is taken when it is consumed")
    }
}

impl Drop for QuestionToken {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.answers.give(Answer::Question(ask, QuestionReply::Dismiss));
        }
    }
}

impl fmt::Debug for QuestionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuestionToken").field(&self.ask).finish()
    }
}

impl Answers {
    pub(super) fn give(&self, answer: Answer) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.answers.push(answer);
        let waker = given.waker.take();
        drop(given);
        waker.into_iter().for_each(Waker::wake);
    }

    /// What has been answered since the last time. Whoever asks is woken when there is more.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Vec<Answer> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.waker = Some(cx.waker().clone());
        std::mem::take(&mut given.answers)
    }
}

/// Tells the server an answer.
pub(super) async fn reply(site: Site, reply: AskReply) -> (AskId, Arrival) {
    match reply {
        AskReply::Permission { session, id, reply } => {
            let arrival = reply_permission(&site, session, &id, reply).await;
            (AskId::Permission(id), arrival)
        }
        AskReply::Question { id, reply, .. } => {
            let request = id.clone();
            let arrival = match reply {
                QuestionReply::Answer(answers) => {
                    send(&site, &ReplyQuestion::new(request, answers)).await
                }
                QuestionReply::Dismiss => send(&site, &RejectQuestion::new(request)).await,
            };
            (AskId::Question(id), arrival.unwrap_or(Arrival::Arrived))
        }
    }
}

async fn reply_permission(
    site: &Site,
    session: SessionId,
    id: &opencode_proto::PermissionId,
    reply: PermissionReply,
) -> Arrival {
    let request = id.clone();
    let new = ReplyPermission::new(request.clone(), reply.clone());
    if let Some(arrival) = send(site, &new).await {
        return arrival;
    }
    // Before 1.0.224 there was another way, which cannot carry a message.
    let old = RespondPermission::new(session, request, reply);
    send(site, &old).await.unwrap_or(Arrival::Arrived)
}

/// `None`: the server does not have the endpoint.
async fn send<O: Operation>(site: &Site, operation: &O) -> Option<Arrival> {
    let Err(error) = site.http.call(operation, site.directory.as_deref()).await else {
        return Some(Arrival::Arrived);
    };
    match error.api() {
        Some(api) if api.kind == ApiErrorKind::UnknownRoute => None,
        // Old servers do not say that it is the request which is not there.
        Some(api) if matches!(api.kind, ApiErrorKind::NotFound { .. }) && api.name().is_none() => {
            None
        }
        // Whatever it says, saying it again does not help: it is answered, or it is over.
        Some(api) => {
            tracing::debug!(error = %api, "an answer was not wanted");
            Some(Arrival::Arrived)
        }
        None => Some(Arrival::Unknown),
    }
}
