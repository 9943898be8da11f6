use std::sync::Arc;

use opencode_config::ModelRef;
use opencode_proto::SessionInfo;

use crate::server::core::ServerInner;
use crate::server::sessions::SessionState;

/// Shared core of a session handle. Cloning the core is cheap.
#[derive(Clone)]
pub(crate) struct SessionCore {
    pub(crate) server: Arc<ServerInner>,
    /// State of the session, shared with all other handles of the session.
    pub(crate) state: Arc<SessionState>,
}

impl SessionCore {
    pub(crate) fn new(
        server: &Arc<ServerInner>,
        info: &SessionInfo,
        model: Option<ModelRef>,
    ) -> Self {
        Self { server: Arc::clone(server), state: server.sessions.state(info, model) }
    }
}
