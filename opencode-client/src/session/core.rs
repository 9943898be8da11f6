use std::sync::Arc;

use opencode_config::ModelRef;
use opencode_proto::SessionInfo;

use crate::server::core::ServerInner;
use crate::server::sessions::SessionState;

/// A session of a server. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct SessionCore {
    pub(crate) server: Arc<ServerInner>,
    /// Shared with all other handles of the session.
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
