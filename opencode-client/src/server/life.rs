use std::sync::Arc;

use opencode_proto::ServeOutcome;

use crate::runtime::latch::Latch;

/// Known states of a server's process.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The URL on which the server listens.
    pub(super) ready: Latch<String>,
    pub(super) ended: Latch<ServeOutcome>,
}

/// The exit of a server's process. Does not keep the process alive.
#[derive(Clone, Debug)]
pub(crate) struct ServerExit {
    /// `None` for an attached server.
    pub(super) life: Option<Arc<Life>>,
}

impl ServerExit {
    /// Returns whether this library started the server.
    pub(crate) fn is_local(&self) -> bool {
        self.life.is_some()
    }

    /// Waits for the process to exit; waits forever for an attached server.
    pub(crate) async fn exited(&self) -> Arc<ServeOutcome> {
        match &self.life {
            Some(life) => life.ended.wait().await,
            None => std::future::pending().await,
        }
    }
}
