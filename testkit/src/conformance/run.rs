//! Run mode on a fake program, for behaviour that the real OpenCode does not show on demand.

mod held;

pub(super) mod binary;
pub(super) mod cancel;
pub(super) mod deadlines;
pub(super) mod dropped;
pub(super) mod ends;
pub(super) mod environment;
pub(super) mod guardian;
pub(super) mod input;
pub(super) mod log;
pub(super) mod output;
pub(super) mod pacing;
pub(super) mod retry;
pub(super) mod secrets;
pub(super) mod shortcuts;
pub(super) mod spawn;
pub(super) mod stream;
pub(super) mod tools;
pub(super) mod version;
