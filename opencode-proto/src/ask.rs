//! Asks: permission requests and questions that wait for an answer of the application.

pub(crate) mod refusals;

use std::fmt;

use serde::Serialize;

use crate::api::{
    Operation, PermissionReply, QuestionAnswer, RejectQuestion, ReplyPermission, ReplyQuestion,
    RespondPermission,
};
use crate::server_event::{PermissionRequest, QuestionRequest, ToolRef};
use crate::{PermissionId, QuestionId, SessionId};

/// A permission request that the application has to grant or refuse.
pub type PermissionAsk = Ask<PermissionKind>;

/// Questions that the application has to answer or dismiss.
pub type QuestionAsk = Ask<QuestionKind>;

/// A request that waits for the application. Answering consumes the ask, so no request is answered
/// twice.
#[must_use = "the turn waits for an answer"]
#[non_exhaustive]
pub struct Ask<K: AskKind> {
    /// The session that waits: the turn's own, or a subagent's.
    pub session: SessionId,
    /// The request.
    pub request: Box<K::Request>,
}

/// Id of a request of a session to the user.
///
/// Exhaustive on purpose: code that answers has to know every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum AskId {
    /// Id of a permission request.
    Permission(PermissionId),
    /// Id of a question request.
    Question(QuestionId),
}

impl From<PermissionId> for AskId {
    fn from(id: PermissionId) -> Self {
        Self::Permission(id)
    }
}

impl From<QuestionId> for AskId {
    fn from(id: QuestionId) -> Self {
        Self::Question(id)
    }
}

/// Kind of an [`Ask`]: [`PermissionKind`] or [`QuestionKind`].
pub trait AskKind: seal::Sealed + fmt::Debug + Send + Sync + Sized + 'static {
    /// Id of a request.
    type Id: Clone + fmt::Debug + Ord + Into<AskId> + Send + Sync;
    /// A request, as OpenCode sends it.
    type Request: Clone + fmt::Debug + PartialEq + Send + Sync;
    /// Answer of the application.
    type Reply: Clone + fmt::Debug + PartialEq + Send + Sync;

    /// Returns the id of the request.
    fn id(request: &Self::Request) -> &Self::Id;

    /// Returns the reply for a request that the application does not answer. The agent stops there.
    fn refusal() -> Self::Reply;

    /// Returns whether the agent stops at this reply.
    fn is_refusal(reply: &Self::Reply) -> bool;

    /// Returns the tool call that asks, if the request names one.
    #[doc(hidden)]
    fn tool(request: &Self::Request) -> Option<&ToolRef>;

    /// Describes the request in the words of
    /// [`TurnEnd::Rejected`](crate::TurnEnd::Rejected).
    #[doc(hidden)]
    fn subject(request: &Self::Request) -> String;

    /// Describes a request of which only the id is known.
    #[doc(hidden)]
    const UNKNOWN_SUBJECT: &'static str;

    /// Returns the request that carries a reply by the `route`-th endpoint that OpenCode has had
    /// for this kind, the newest first; `None` after the oldest.
    #[doc(hidden)]
    fn operation(
        session: &SessionId,
        id: &Self::Id,
        reply: &Self::Reply,
        route: usize,
    ) -> Option<Box<dyn Operation<Output = ()>>>;

    /// Joins an ask and the reply.
    #[doc(hidden)]
    fn answer(ask: Ask<Self>, reply: Self::Reply) -> AskAnswer;
}

/// Kind of permission requests. `permission.asked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionKind;

/// Kind of questions. `question.asked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionKind;

/// Answer to questions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuestionReply {
    /// The answers, one per question.
    Answer(Vec<QuestionAnswer>),
    /// The questions stay unanswered, and the agent stops.
    Dismiss,
}

/// An ask with the answer, the argument of [`Turn::answer`](crate::Turn::answer).
#[derive(Debug)]
pub enum AskAnswer {
    /// A permission request and the decision.
    Permission(PermissionAsk, PermissionReply),
    /// Questions and their answers.
    Question(QuestionAsk, QuestionReply),
}

impl<K: AskKind> Ask<K> {
    pub(crate) fn new(session: SessionId, request: Box<K::Request>) -> Self {
        Self { session, request }
    }

    /// Answers the request.
    pub fn reply(self, reply: K::Reply) -> AskAnswer {
        K::answer(self, reply)
    }

    /// Refuses the permission, or dismisses the questions. The agent stops there.
    pub fn refuse(self) -> AskAnswer {
        self.reply(K::refusal())
    }
}

impl<K: AskKind> fmt::Debug for Ask<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("session", &self.session)
            .field("request", &self.request)
            .finish()
    }
}

impl AskKind for PermissionKind {
    type Id = PermissionId;
    type Request = PermissionRequest;
    type Reply = PermissionReply;

    const UNKNOWN_SUBJECT: &'static str = "a permission";

    fn id(request: &PermissionRequest) -> &PermissionId {
        &request.id
    }

    fn refusal() -> PermissionReply {
        PermissionReply::reject()
    }

    fn is_refusal(reply: &PermissionReply) -> bool {
        // With a message for the model, the turn goes on.
        *reply == PermissionReply::reject()
    }

    fn tool(request: &PermissionRequest) -> Option<&ToolRef> {
        request.tool.as_ref()
    }

    fn subject(request: &PermissionRequest) -> String {
        format!("{} ({})", request.permission, request.patterns.join(", "))
    }

    fn operation(
        session: &SessionId,
        id: &PermissionId,
        reply: &PermissionReply,
        route: usize,
    ) -> Option<Box<dyn Operation<Output = ()>>> {
        let (request, reply) = (id.clone(), reply.clone());
        match route {
            0 => Some(Box::new(ReplyPermission { request, reply })),
            // The only one before 1.0.224. It cannot carry a message.
            1 => Some(Box::new(RespondPermission { session: session.clone(), request, reply })),
            _ => None,
        }
    }

    fn answer(ask: PermissionAsk, reply: PermissionReply) -> AskAnswer {
        AskAnswer::Permission(ask, reply)
    }
}

impl AskKind for QuestionKind {
    type Id = QuestionId;
    type Request = QuestionRequest;
    type Reply = QuestionReply;

    const UNKNOWN_SUBJECT: &'static str = "a question";

    fn id(request: &QuestionRequest) -> &QuestionId {
        &request.id
    }

    fn refusal() -> QuestionReply {
        QuestionReply::Dismiss
    }

    fn is_refusal(reply: &QuestionReply) -> bool {
        *reply == QuestionReply::Dismiss
    }

    fn tool(request: &QuestionRequest) -> Option<&ToolRef> {
        request.tool.as_ref()
    }

    fn subject(request: &QuestionRequest) -> String {
        let questions: Vec<_> =
            request.questions.iter().map(|question| question.question.as_str()).collect();
        questions.join(" ")
    }

    fn operation(
        _: &SessionId,
        id: &QuestionId,
        reply: &QuestionReply,
        route: usize,
    ) -> Option<Box<dyn Operation<Output = ()>>> {
        let request = id.clone();
        match (route, reply) {
            (0, QuestionReply::Answer(answers)) => {
                Some(Box::new(ReplyQuestion { request, answers: answers.clone() }))
            }
            (0, QuestionReply::Dismiss) => Some(Box::new(RejectQuestion { request })),
            (_, _) => None,
        }
    }

    fn answer(ask: QuestionAsk, reply: QuestionReply) -> AskAnswer {
        AskAnswer::Question(ask, reply)
    }
}

mod seal {
    #[allow(unnameable_types, reason = "only the two kinds here may be kinds")]
    pub trait Sealed {}

    impl Sealed for super::PermissionKind {}
    impl Sealed for super::QuestionKind {}
}
