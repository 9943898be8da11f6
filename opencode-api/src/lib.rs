//! Every operation and every event of OpenCode's HTTP API, typed, without I/O.
//!
//! An operation is a value: `new` takes what is required, `with_*` what is optional. The trait
//! [`Operation`](opencode_proto::api::Operation) of the core creates the request and decodes the
//! reply, so that everything that sends operations of the core sends these too.
//!
//! ```
//! use http::Response;
//! use opencode_api::find::FindFiles;
//! use opencode_proto::api::{ApiErrorKind, Operation};
//!
//! let find = FindFiles::new("main").with_limit(10);
//! assert_eq!(find.request().uri(), "/find/file?query=main&limit=10");
//!
//! let files = find.decode(Response::new(r#"["src/main.rs"]"#.into()))?;
//! assert_eq!(files, ["src/main.rs"]);
//!
//! let error = find.decode(Response::new(r#"["src/main.rs", 1]"#.into())).unwrap_err();
//! let ApiErrorKind::Unreadable(reason) = &error.kind else { panic!("{error:?}") };
//! assert_eq!(reason.to_string(), "[1]: expected a string, found a number");
//! # Ok::<(), opencode_proto::ApiError>(())
//! ```
//!
//! [`Groups`] has a short method for every operation, on all senders of operations that implement
//! [`Caller`](opencode_proto::api::Caller): `server.vcs().diff(..)`, awaited or blocking.
//!
//! Modules have the names of OpenCode's groups; [`next`] has the operations below `/api`.
//! [`event`] has the events of all streams: a program decodes the data of a server-sent event with
//! `serde_json`.
//!
//! # Values
//!
//! Structs have public fields, and a field `unknown` with all fields that this version of the crate
//! does not know. Enums of texts have a variant `Other`, unions a variant `Unknown`. A value of
//! another shape is an error that names the field. A field that can be absent is an `Option`; a
//! field that can be `null` and absent is an `Option<Option<T>>`. Writing a value gives the JSON
//! that the value was read from.
//!
//! # Types of the core
//!
//! Ids and errors are those of `opencode-proto`. Its types for sessions, messages and parts decode
//! only what a turn needs, so this crate has types of its own with every field.
//!
//! # Replies
//!
//! The reply to a streaming operation is a body without an end: the sender has to hand over the
//! bytes as they arrive. The client does so with
//! `server.request_for(&operation).events::<Event>()`; the type of the events depends on the
//! operation:
//!
//! | operation | type of the events |
//! | --- | --- |
//! | [`event::StreamEvents`] | [`event::Event`] |
//! | [`global::StreamGlobalEvents`] | [`event::GlobalEvent`] |
//! | [`next::event::StreamNextEvents`] | [`event::NextEvent`] |
//! | [`next::session::StreamNextSessionEvents`] | [`event::NextEvent`] |
//!
//! Replies below `/api` are wrapped in [`Data`] or [`Located`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod agent;
pub mod auth;
mod call;
pub mod command;
pub mod config;
pub mod contract;
mod envelope;
pub mod event;
pub mod experimental;
pub mod file;
pub mod find;
pub mod formatter;
pub mod global;
mod group;
pub mod groups;
pub mod instance;
mod json;
pub mod log;
pub mod lsp;
pub mod mcp;
pub mod message;
pub mod next;
mod paging;
pub mod path;
pub mod permission;
pub mod project;
pub mod provider;
mod providers;
pub mod pty;
pub mod question;
mod reply;
pub mod session;
pub mod shared;
pub mod skill;
pub mod sync;
pub mod tool;
mod tools;
pub mod tui;
pub mod vcs;
pub mod workspace;
pub mod worktree;

pub use call::Route;
pub use groups::Groups;
pub use json::OrderedMap;
pub use reply::{Data, Located};

// Crates whose types show in signatures.
pub use {bytes, http, opencode_config, opencode_proto, serde_json};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
