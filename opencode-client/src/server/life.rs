use std::sync::Arc;

use opencode_proto::ServeOutcome;

use crate::runtime::latch::Latch;

/// What is known of a server's process.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Where it listens.
    pub(super) ready: Latch<String>,
    pub(super) ended: Latch<ServeOutcome>,
}

/// The end of a server's process. Does not keep it alive.
#[derive(Clone, Debug)]
pub(crate) struct ServerExit {
    /// `None`: somebody else's.
    pub(super) life: Option<Arc<Life>>,
}

impl ServerExit {
    /// Waits until the process has ended; for ever when it is somebody else's.
    pub(crate) async fn exited(&self) -> Arc<ServeOutcome> {
        match &self.life {
            Some(life) => life.ended.wait().await,
            None => std::future::pending().await,
        }
    }
}
