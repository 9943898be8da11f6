use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::value::RawValue;

use crate::api::call::{Call, one, within};
use crate::api::{ApiError, Operation, Repeat};
use crate::{SessionId, SessionStatus, Todo};

/// Reads what the sessions of a directory do. `GET /session/status`, since 1.0.78.
///
/// Sessions that are idle are absent.
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

/// Reads a session's list of things to do. `GET /session/{sessionID}/todo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTodos {
    /// The session.
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
