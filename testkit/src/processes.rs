//! What is left behind: processes, files, and conditions that come true late.
//!
//! OpenCode's tools run in sessions of their own and outlive it, so a test recognises the processes of
//! one run by an environment variable that it alone has set (Linux: [`with_env`]).

mod eventually;
mod leak;
#[cfg(target_os = "linux")]
mod table;

pub use self::eventually::eventually;
pub use self::leak::LeakCheck;
#[cfg(target_os = "linux")]
pub use self::table::{Process, alive, kill, with_env};
