use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::value::RawValue;

use crate::api::call::{Call, one, within};
use crate::api::{ApiError, Operation, Repeat};
use crate::{SessionId, SessionStatus, Todo};

/// Reads the statuses of a directory's sessions. `GET /session/status`, since 1.0.78.
///
/// Idle sessions are absent.
///
/// ```
/// use http::Response;
/// use opencode_proto::SessionStatus;
/// use opencode_proto::api::{Operation, SessionStatuses};
///
/// let reply = Response::new(r#"{"ses_1":{"type":"busy"}}"#.into());
/// let statuses = SessionStatuses::new().decode(reply)?;
/// assert_eq!(statuses[&"ses_1".into()], SessionStatus::Busy);
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStatuses;

impl SessionStatuses {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["session", "status"])
    }
}

impl Operation for SessionStatuses {
    type Output = BTreeMap<SessionId, SessionStatus>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError> {
        Self::call().read(response, |body| {
            let statuses: BTreeMap<SessionId, &RawValue> = serde_json::from_slice(body)?;
            let read = |(id, raw)| match SessionStatus::decode(raw) {
                Ok(status) => Ok((id, status)),
                Err(error) => Err(within("status of", &id, &error)),
            };
            statuses.into_iter().map(read).collect()
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Reads the to-do list of a session. `GET /session/{sessionID}/todo`.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{Operation, SessionTodos};
///
/// let reply = r#"[{"content":"Write tests","status":"in_progress","priority":"high"}]"#;
/// let todos = SessionTodos::new("ses_1").decode(Response::new(reply.into()))?;
/// assert_eq!(todos[0].content, "Write tests");
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTodos {
    pub(crate) session: SessionId,
}

impl SessionTodos {
    /// Reads the to-do list of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str(), "todo"])
    }
}

impl Operation for SessionTodos {
    type Output = Vec<Todo>;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<Todo>, ApiError> {
        self.call().read(response, |body| one(body, Todo::decode_all))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}
