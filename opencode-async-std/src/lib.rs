//! Drives [OpenCode](https://opencode.ai) from async-std, and from executors without an adapter of
//! their own.
//!
//! ```no_run
//! # fn main() -> Result<(), opencode_async_std::RunError> {
//! async_std::task::block_on(async {
//!     let opencode = opencode_async_std::opencode();
//!     let report = opencode.run("Which licence does this project have?").await?;
//!     println!("{}", report.text());
//!     Ok(())
//! })
//! # }
//! ```
//!
//! All types come from `opencode-client`, as in `opencode-tokio`, with the same names and
//! behaviour; this crate adds the runtime.
//!
//! # async-std is discontinued
//!
//! The last release of async-std recommends smol. This crate serves the programs that still use
//! async-std; one small module (`adapter.rs`) depends on the runtime. Timers and processes come
//! from the maintained crates `async-io` and `async-process`.
//!
//! async-std starts a reactor and worker threads wherever the futures of this crate are polled, so
//! `smol::block_on` and the executor of `futures` work too. The conformance tests run on all three.
//! New programs should choose a maintained runtime.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;

pub use adapter::AsyncStdRuntime;
pub use opencode_client::*;

/// Returns an [`OpenCode`] on async-std with the default settings.
pub fn opencode() -> OpenCode {
    OpenCode::new(AsyncStdRuntime::new())
}

/// Returns the builder of an [`OpenCode`] on async-std.
pub fn builder() -> Builder {
    OpenCode::builder(AsyncStdRuntime::new())
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
