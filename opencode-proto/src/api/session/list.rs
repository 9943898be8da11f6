use bytes::Bytes;
use http::{Request, Response};

use super::sessions;
use crate::api::call::Call;
use crate::api::{ApiError, Operation, Pace, Repeat};
use crate::{SessionId, SessionInfo};

/// Lists sessions, the last changed first. `GET /session`.
///
/// ```
/// use opencode_proto::api::{ListSessions, Operation, SessionRoots};
///
/// let list = ListSessions::new().with_roots(SessionRoots::Only).with_limit(10);
/// assert_eq!(list.request().uri(), "/session?roots=true&limit=10");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSessions {
    pub(crate) directory: Option<String>,
    pub(crate) roots: SessionRoots,
    pub(crate) start_ms: Option<u64>,
    pub(crate) search: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// Selection of sessions by their parents.
///
/// Exhaustive on purpose: this is OpenCode's truth value `roots`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionRoots {
    /// All sessions, with those of subagents.
    #[default]
    All,
    /// Only sessions without a parent.
    Only,
}

impl ListSessions {
    /// Lists all sessions of the project, up to the server's own limit (100 in 1.18.33).
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists only sessions of this directory.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<String>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Selects sessions by their parents.
    #[must_use]
    pub fn with_roots(mut self, roots: SessionRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Lists only sessions that changed since this time, in milliseconds since 1970 by the server's
    /// clock.
    #[must_use]
    pub fn with_start_ms(mut self, start_ms: u64) -> Self {
        self.start_ms = Some(start_ms);
        self
    }

    /// Lists only sessions with this text in their title.
    #[must_use]
    pub fn with_search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// Sets the maximum number of sessions.
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

/// Lists the sessions of a session's subagents. `GET /session/{sessionID}/children`.
///
/// ```
/// use opencode_proto::api::{ListChildren, Operation};
///
/// let request = ListChildren::new("ses_1").request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/session/ses_1/children");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListChildren {
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
