//! What a turn waits for: permissions, and answers to questions.

mod permission;
mod question;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use permission::{ListPermissions, PermissionReply, ReplyPermission, RespondPermission};
pub use question::{ListQuestions, QuestionAnswer, RejectQuestion, ReplyQuestion};

use crate::SessionId;
use crate::part::Str;

/// A request that waits for an answer, with the session that waits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pending<T> {
    /// The session. A subagent's requests name the subagent's session.
    pub session: SessionId,
    /// What it waits for.
    pub request: T,
}

impl<T> Pending<T> {
    /// A request of this session.
    pub fn new(session: SessionId, request: T) -> Self {
        Self { session, request }
    }
}

/// A listed request: unlike the event, it names its session itself.
fn pending<T>(raw: &RawValue, request: T) -> Result<Pending<T>, serde_json::Error> {
    #[derive(Deserialize)]
    struct WirePending<'a> {
        #[serde(borrow, rename = "sessionID")]
        session_id: Str<'a>,
    }
    let wire: WirePending<'_> = serde_json::from_str(raw.get())?;
    Ok(Pending { session: wire.session_id.as_str().into(), request })
}
