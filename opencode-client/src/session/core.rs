use std::sync::Arc;

use opencode_config::ModelRef;
use opencode_proto::SessionInfo;

use crate::http::Http;
use crate::server::Server;
use crate::server::core::ServerInner;
use crate::server::sessions::SessionState;

/// Shared core of a session handle. Cloning the core is cheap.
#[derive(Clone)]
pub(crate) struct SessionCore {
    pub(crate) server: Arc<ServerInner>,
    /// The client with the options of the handle that the session was made from.
    pub(crate) http: Http,
    /// State of the session, shared with all other handles of the session.
    pub(crate) state: Arc<SessionState>,
}

impl SessionCore {
    pub(crate) fn new(server: &Server, info: &SessionInfo, model: Option<ModelRef>) -> Self {
        let (inner, http) = (Arc::clone(&server.inner), server.http.clone());
        let state = inner.sessions.state(info, model);
        Self { server: inner, http, state }
    }
    /// Returns the handle that the session was made from.
    pub(crate) fn handle(&self) -> Server {
        Server { inner: Arc::clone(&self.server), http: self.http.clone() }
    }
}
