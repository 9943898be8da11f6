use bytes::Bytes;
use http::{Request, Response};

use super::sessions;
use crate::api::call::Call;
use crate::api::{ApiError, Operation, Pace, Repeat};
use crate::{SessionId, SessionInfo};

/// Lists sessions, those that changed last first. `GET /session`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSessions {
    /// Only those of this directory. `None`: all of the project.
    pub(crate) directory: Option<String>,
    /// Whether those of subagents are listed.
    pub(crate) roots: SessionRoots,
    /// Only those that changed since then, in milliseconds since 1970 by the server's clock.
    pub(crate) start_ms: Option<u64>,
    /// Only those with this text in their title.
    pub(crate) search: Option<String>,
    /// How many at most. `None`: 100, with 1.18.33.
    pub(crate) limit: Option<u32>,
}

/// Whether sessions of subagents are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionRoots {
    /// They are.
    #[default]
    All,
    /// Only sessions that no other session started.
    Only,
}

impl ListSessions {
    /// All sessions of the project.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this directory.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<String>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Whether those of subagents are listed.
    #[must_use]
    pub fn with_roots(mut self, roots: SessionRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Only those that changed since then, in milliseconds since 1970 by the server's clock.
    #[must_use]
    pub fn with_start_ms(mut self, start_ms: u64) -> Self {
        self.start_ms = Some(start_ms);
        self
    }

    /// Only those with this text in their title.
    #[must_use]
    pub fn with_search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// This many at most.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    fn call(&self) -> Call {
        // The server decodes this parameter, and only this one, twice.
        let directory = self.directory.as_ref().map(|directory| directory.replace('%', "%25"));
        Call::get(["session"])
            .query("directory", directory)
            .query("roots", matches!(self.roots, SessionRoots::Only).then_some(true))
            .query("start", self.start_ms)
            .query("search", self.search.as_ref())
            .query("limit", self.limit)
    }
}

impl Operation for ListSessions {
    type Output = Vec<SessionInfo>;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<SessionInfo>, ApiError> {
        self.call().read(response, sessions)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

/// Lists the sessions that a session's agent started as subagents. `GET /session/{sessionID}/children`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListChildren {
    /// The session.
    pub(crate) session: SessionId,
}

impl ListChildren {
    /// Lists the child sessions of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str(), "children"])
    }
}

impl Operation for ListChildren {
    type Output = Vec<SessionInfo>;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<SessionInfo>, ApiError> {
        self.call().read(response, sessions)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}
