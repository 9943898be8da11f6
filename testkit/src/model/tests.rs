//! The server as a client sees it, over plain sockets.

mod answers;
mod client;
mod faults;
mod life;
mod record;

use std::time::Duration;

/// Long enough for a loaded machine; only failing tests wait for it.
const PATIENCE: Duration = Duration::from_secs(60);
