//! The model server from the view of a client, over plain sockets.

mod answers;
mod client;
mod faults;
mod life;
mod record;

use std::time::Duration;

/// Limit on every wait, long enough for a loaded machine; only failing tests reach it.
const PATIENCE: Duration = Duration::from_secs(60);
