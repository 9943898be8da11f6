//! Drive [OpenCode](https://opencode.ai) from async-std, and from any executor that has no adapter of its own.
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
//! The names are those of `opencode-tokio`, and so is everything they do: they are `opencode-client`'s, and this crate
//! brings the runtime.
//!
//! # async-std is discontinued
//!
//! Its last release recommends smol. Programs that use it still do, so this crate does too: in one small module
//! (`runtime.rs`), and nowhere else. Timers and processes come from `async-io` and `async-process`, which are cared for.
//!
//! async-std brings its reactor and its worker threads with it, wherever the futures of this crate are polled: `smol::block_on`
//! or the executor of `futures` does as well. The conformance tests run on all three. New programs should choose a runtime
//! that is cared for.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;

pub use adapter::AsyncStdRuntime;
pub use opencode_client::*;

/// An [`OpenCode`] on async-std, with the defaults.
pub fn opencode() -> OpenCode {
    OpenCode::new(AsyncStdRuntime::new())
}

/// An [`OpenCode`] on async-std, with choices.
pub fn builder() -> Builder {
    OpenCode::builder(AsyncStdRuntime::new())
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
