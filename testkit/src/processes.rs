//! Leftovers of a test: processes, files, and conditions that become true late.
//!
//! OpenCode's tools run in sessions of their own and outlive OpenCode. A test therefore finds the
//! processes of one run by an environment variable that only this run has (Linux: [`with_env`]).

mod eventually;
mod leak;
#[cfg(target_os = "linux")]
mod table;

pub use self::eventually::eventually;
pub use self::leak::LeakCheck;
#[cfg(target_os = "linux")]
pub use self::table::{Process, alive, kill, with_env};
