use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::{Pending, pending};
use crate::api::call::{Call, list, nothing};
use crate::api::{ApiError, Operation, Repeat};
use crate::{QuestionId, QuestionRequest};

/// The answer to one [`Question`](crate::Question): the labels of the chosen options, or other text. Mirrors
/// `QuestionAnswer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct QuestionAnswer(Vec<String>);

impl QuestionAnswer {
    /// What was chosen or said.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl From<&str> for QuestionAnswer {
    fn from(text: &str) -> Self {
        Self(vec![text.to_owned()])
    }
}

impl From<String> for QuestionAnswer {
    fn from(text: String) -> Self {
        Self(vec![text])
    }
}

impl From<Vec<String>> for QuestionAnswer {
    fn from(texts: Vec<String>) -> Self {
        Self(texts)
    }
}

impl<S: Into<String>> FromIterator<S> for QuestionAnswer {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }
}

/// Lists the questions that turns of a directory wait for. `GET /question`, since 1.1.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListQuestions;

impl ListQuestions {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["question"])
    }
}

impl Operation for ListQuestions {
    type Output = Vec<Pending<QuestionRequest>>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError> {
        Self::call()
            .read(response, |body| list(body, |raw| pending(raw, QuestionRequest::decode(raw)?)))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Answers questions. `POST /question/{requestID}/reply`, since 1.1.7.
///
/// Needs the session's directory. A request that was answered, or is not known, is
/// [`NotFound`](crate::ApiErrorKind::NotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyQuestion {
    /// The request.
    pub(crate) request: QuestionId,
    /// One answer per question, in their order.
    pub(crate) answers: Vec<QuestionAnswer>,
}

impl ReplyQuestion {
    /// Answers this request, with one answer per question.
    pub fn new(
        request: impl Into<QuestionId>,
        answers: impl IntoIterator<Item = impl Into<QuestionAnswer>>,
    ) -> Self {
        Self { request: request.into(), answers: answers.into_iter().map(Into::into).collect() }
    }

    fn call(&self) -> Call {
        Call::post(["question", self.request.as_str(), "reply"])
    }
}

impl Operation for ReplyQuestion {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            answers: &'a [QuestionAnswer],
        }
        self.call().json(&Body { answers: &self.answers })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Refuses to answer questions; the turn stops. `POST /question/{requestID}/reject`, since 1.1.7.
///
/// Needs the session's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectQuestion {
    /// The request.
    pub(crate) request: QuestionId,
}

impl RejectQuestion {
    /// Rejects this request.
    pub fn new(request: impl Into<QuestionId>) -> Self {
        Self { request: request.into() }
    }

    fn call(&self) -> Call {
        Call::post(["question", self.request.as_str(), "reject"])
    }
}

impl Operation for RejectQuestion {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}
