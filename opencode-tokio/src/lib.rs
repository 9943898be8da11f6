//! Drives [OpenCode](https://opencode.ai) from tokio.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), opencode_tokio::RunError> {
//! let opencode = opencode_tokio::opencode();
//! let mut run = opencode.stream("Which licence does this project have?");
//! while let Some(event) = run.next_event().await {
//!     println!("{}", event.event_type());
//! }
//! let report = run.outcome().await?;
//! println!("{}", report.text());
//! # Ok(())
//! # }
//! ```
//!
//! A single prompt is a run; a conversation is a session of a server:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use opencode_tokio::{CreateSession, ServeRequest};
//!
//! let server = opencode_tokio::opencode().serve(ServeRequest::new()).await?;
//! let session = server.create_session(CreateSession::new()).await?;
//! println!("{}", session.send("Which licence does it have?").outcome().await?.text());
//! println!("{}", session.send("Say it in one word.").outcome().await?.text());
//! # Ok(())
//! # }
//! ```
//!
//! # From this page to a working program
//!
//! 1. [`opencode`] returns the handle, an [`OpenCode`].
//! 2. [`OpenCode::stream`] takes a [`RunRequest`] and yields the events of a run (a
//!    [`Stream`](https://docs.rs/futures-core) too); [`RunReport`] is the result, [`RunError`] the
//!    failure.
//! 3. [`OpenCode::serve`] starts a [`Server`] for conversations: [`Session`], [`TurnRequest`],
//!    [`TurnStream`], [`TurnOutcome`] and [`TurnError`] are the counterparts there.
//!
//! All types come from `opencode-client`, sorted by topic in its modules ([`run`], [`session`],
//! [`turn`], [`batch`], [`policy`], [`config`] and more); this crate adds the runtime.
//!
//! Programs that are not async use the module `blocking`, behind the feature of that name.
//!
//! The tokio runtime needs the I/O and time drivers (`enable_all`) and may be of either flavour. A
//! paused clock works.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;

mod adapter;

pub use adapter::TokioRuntime;
pub use opencode_client::*;

/// Returns an [`OpenCode`] on tokio with the default settings.
pub fn opencode() -> OpenCode {
    OpenCode::new(TokioRuntime::new())
}

/// Returns the builder of an [`OpenCode`] on tokio.
pub fn builder() -> Builder {
    OpenCode::builder(TokioRuntime::new())
}

// The README of the workspace, which is not part of the package.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
struct WorkspaceReadme;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
