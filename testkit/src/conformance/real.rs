//! Runs, servers, sessions and turns on the real OpenCode; only the model is scripted.

pub mod asking;
pub mod background;
pub mod behind;
pub mod kept;
pub mod live;
pub mod runs;
pub mod sessions;

pub(super) mod aborts;
pub(super) mod answers;
pub(super) mod batches;
pub(super) mod concurrent_permissions;
pub(super) mod follows;
pub(super) mod left_work;
pub(super) mod lost_asks;
pub(super) mod lost_calls;
pub(super) mod lost_streams;
pub(super) mod permissions;
pub(super) mod permissions_in_stream;
pub(super) mod permissions_of_subagents;
pub(super) mod questions;
pub(super) mod run_answers;
pub(super) mod run_drops;
pub(super) mod run_isolation;
pub(super) mod servers;
