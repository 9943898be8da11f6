//! Permission and question requests, which turns wait for.

mod permission;
mod question;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use permission::{ListPermissions, PermissionReply, ReplyPermission, RespondPermission};
pub use question::{ListQuestions, QuestionAnswer, RejectQuestion, ReplyQuestion};

use crate::SessionId;
use crate::part::Str;

/// An open request with the session that waits for the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pending<T> {
    /// The waiting session. A subagent's requests name the subagent's session.
    #[serde(rename = "sessionID")]
    pub session: SessionId,
    /// The request.
    #[serde(flatten)]
    pub request: T,
}

impl<T> Pending<T> {
    /// Creates an open request of this session.
    pub fn new(session: SessionId, request: T) -> Self {
        Self { session, request }
    }
}

/// Adds the session to a listed request, which names the session itself, unlike the event.
fn pending<T>(raw: &RawValue, request: T) -> Result<Pending<T>, serde_json::Error> {
    #[derive(Deserialize)]
    struct WirePending<'a> {
        #[serde(borrow, rename = "sessionID")]
        session_id: Str<'a>,
    }
    let wire: WirePending<'_> = serde_json::from_str(raw.get())?;
    Ok(Pending { session: wire.session_id.as_str().into(), request })
}
