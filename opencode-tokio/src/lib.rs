//! Drive [OpenCode](https://opencode.ai) from tokio.
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
//! One prompt is a run; a conversation is a session of a server:
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
//! [`OpenCode`] is the handle, [`RunRequest`] what it runs, [`RunStream`] the events of a run (also a
//! [`Stream`](https://docs.rs/futures-core)), [`RunReport`] its end, [`RunError`] its failure; [`Server`], [`Session`],
//! [`TurnRequest`], [`TurnStream`], [`TurnOutcome`] and [`TurnError`] are the same for conversations. All of them are
//! `opencode-client`'s; this crate brings the runtime.
//!
//! Programs that are not async use `blocking`, behind the feature of that name.
//!
//! The tokio runtime needs its I/O and time drivers (`enable_all`), of either flavour. Its paused clock works.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;

mod adapter;

pub use adapter::TokioRuntime;
pub use opencode_client::*;

/// An [`OpenCode`] on tokio, with the defaults.
pub fn opencode() -> OpenCode {
    OpenCode::new(TokioRuntime::new())
}

/// An [`OpenCode`] on tokio, with choices.
pub fn builder() -> Builder {
    OpenCode::builder(TokioRuntime::new())
}

// The page of the workspace, which is not part of the package.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
struct WorkspaceReadme;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
