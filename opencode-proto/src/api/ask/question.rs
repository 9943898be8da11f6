use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::{Pending, pending};
use crate::api::call::{Call, list, nothing};
use crate::api::{ApiError, Operation, Repeat};
use crate::{QuestionId, QuestionRequest};

/// Answer to one [`Question`](crate::Question): the labels of the chosen options, or other text.
/// Mirrors `QuestionAnswer`.
///
/// ```
/// use opencode_proto::api::QuestionAnswer;
///
/// let one = QuestionAnswer::from("Red");
/// assert_eq!(one.as_slice(), ["Red"]);
/// let several: QuestionAnswer = ["Red", "Blue"].into_iter().collect();
/// assert_eq!(several.as_slice().len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct QuestionAnswer(Vec<String>);

impl QuestionAnswer {
    /// Returns the chosen labels or other texts.
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

/// Lists the open question requests of a directory. `GET /question`, since 1.1.7.
///
/// ```
/// use opencode_proto::api::{ListQuestions, Operation};
///
/// let request = ListQuestions::new().request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/question");
/// ```
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

/// Answers a question request. `POST /question/{requestID}/reply`, since 1.1.7.
///
/// The request needs the session's directory. For an answered or unknown request the server
/// responds with [`NotFound`](crate::ApiErrorKind::NotFound).
///
/// ```
/// use opencode_proto::api::{Operation, ReplyQuestion};
///
/// let answer = ReplyQuestion::new("que_1", ["Red", "Large"]);
/// assert_eq!(answer.request().uri(), "/question/que_1/reply");
/// assert_eq!(answer.request().body(), r#"{"answers":[["Red"],["Large"]]}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyQuestion {
    pub(crate) request: QuestionId,
    pub(crate) answers: Vec<QuestionAnswer>,
}

impl ReplyQuestion {
    /// Answers this request, with one answer per question, in the order of the questions.
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
        struct WireAnswers<'a> {
            answers: &'a [QuestionAnswer],
        }
        self.call().json(&WireAnswers { answers: &self.answers })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Dismisses a question request; the turn stops. `POST /question/{requestID}/reject`, since 1.1.7.
///
/// The request needs the session's directory.
///
/// ```
/// use opencode_proto::api::{Operation, RejectQuestion};
///
/// let request = RejectQuestion::new("que_1").request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/question/que_1/reject");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectQuestion {
    pub(crate) request: QuestionId,
}

impl RejectQuestion {
    /// Dismisses this request.
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
