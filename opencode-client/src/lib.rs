//! Drives [OpenCode](https://opencode.ai) from any async runtime.
//!
//! This crate knows processes, files and HTTP, and no async runtime. A program uses the adapter of
//! the runtime, for example `opencode-tokio`, which re-exports everything in this crate.
//!
//! # From this page to a working program
//!
//! 1. [`OpenCode`] is the handle: one per program, from `opencode_tokio::opencode()`.
//! 2. [`OpenCode::run`] sends one prompt and returns a [`RunReport`]; [`OpenCode::stream`] yields
//!    the events.
//! 3. [`OpenCode::serve`] starts a [`Server`] for conversations: [`Server::create_session`], then
//!    [`Session::send`].
//!
//! ```no_run
//! # async fn example() -> Result<(), opencode_tokio::RunError> {
//! let opencode = opencode_tokio::opencode();
//! let report = opencode.run("Which licence does this project have?").await?;
//! println!("{}", report.text());
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! The root has the handles, requests, events, ends and errors that most programs meet. The rest is
//! sorted by topic:
//!
//! | module | topic |
//! | --- | --- |
//! | [`run`] | one prompt by `opencode run`, over a process or a server |
//! | [`server`] | servers: starting, attaching, limits, health |
//! | [`session`] | conversations, their state, and typed answers |
//! | [`turn`] | one prompt of a session: requests, events, permission requests, questions |
//! | [`batch`] | many jobs on few servers |
//! | [`policy`] | decisions about permission requests |
//! | [`config`] | configuration, flags, permissions, isolation |
//! | [`event`] | message parts, ids and events of servers |
//! | [`tool`] | arguments, metadata and permission requests of OpenCode's tools |
//! | [`api`] | operations of the HTTP API as values |
//! | [`log`] | event logs in files |
//! | [`process`] | finding, starting and ending the program |
//! | [`runtime`] | the trait that an adapter implements |
//!
//! Types of other crates show in some signatures. The crates are re-exported in the versions that
//! fit: [`bytes`], [`serde`], [`serde_json`], [`api::http`] and [`runtime::hyper`].
//!
//! # Log lines
//!
//! Log lines go to `tracing`, at the levels `debug`, `warn` and `error`. Spans of the level `info`
//! attribute them: `run` (with the fields `directory`, `model`, `session` and `end`), `turn`
//! (`session`, `model`, `end`), `job` (`job`, `model`, `end`) and `server` (`process` and `end`, or
//! `url` and `directory`). No field contains prompts, answers or passwords.
//!
//! A program without a subscriber of `tracing` can show the lines on standard error with the
//! variable `OPENCODE_LOG` (`error`, `warn`, `info`, `debug` or `trace`). A program that sets a
//! subscriber does so before the first run, server or batch. Requests can also be observed one by
//! one: [`CallOptions::with_observer`](server::CallOptions::with_observer).
//!
//! # Platforms
//!
//! On Linux, every process that a run started is found and ended, without a race for a reused
//! process id. On other Unix systems processes are found through `ps`, by their parents. Elsewhere
//! only OpenCode itself is ended.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod batch;
mod http;
pub mod log;
mod opencode;
pub mod policy;
pub mod process;
pub mod run;
pub mod runtime;
pub mod server;
pub mod session;

/// Turns: requests, events, permission requests and questions, and ends.
pub mod turn {
    pub use crate::session::turn::{
        Ask, AskToken, FollowRequest, PermissionToken, PostError, PostedPrompt, QuestionToken,
        TurnError, TurnRequest, TurnStream, UnknownAgent,
    };
    pub use opencode_proto::{
        AskKind, AttachmentError, AttachmentFault, BackgroundWork, Choice, CommandRequest,
        DroppedFollow, FollowTarget, InitRequest, LeftAsks, NothingToFollow, Origin, OutputFormat,
        Pending, PermissionId, PermissionKind, PermissionReply, PermissionRequest, Prompt,
        PromptFile, PromptPart, PromptReply, Question, QuestionAnswer, QuestionId, QuestionKind,
        QuestionOption, QuestionReply, QuestionRequest, ShellRequest, Subtask, SummarizeRequest,
        TextKind, ToolRef, ToolSwitchError, Transcript, TurnEnd, TurnEvent, TurnEventKind,
        TurnOutcome, TurnPost, TurnSettings,
    };
}

/// Events of servers, and the parts of messages that runs and turns have in common.
pub mod event {
    pub use opencode_proto::{
        AbandonedAttempt, AgentError, ApiErrorKind, AttemptAbandoned, CallId, ContextUse, Deadline,
        DecodeError, ErrorName, FinishReason, LateRetry, MessageId, Part, PartId, PartKey,
        ProviderFailure, RawJson, RawText, ReasoningPart, ServerEvent, ServerEventKind, StepFinish,
        StepStart, StreamedText, TextOrigin, TextPart, TimeSpan, Tokens, ToolPart, ToolState,
    };
}

/// Tools: arguments, metadata and permission requests of OpenCode's own tools, decoded on demand by
/// [`ToolPart::decode_input`](event::ToolPart::decode_input),
/// [`ToolPart::decode_metadata`](event::ToolPart::decode_metadata) and
/// [`PermissionRequest::decode_metadata`](turn::PermissionRequest::decode_metadata).
pub mod tool {
    pub use opencode_proto::{
        ApplyPatchInput, ApplyPatchMetadata, BashInput, BashMetadata, EditInput, EditMetadata,
        ExternalDirectory, GlobInput, GlobMetadata, GrepInput, GrepMetadata, InvalidInput,
        LspInput, PatchedFile, PermissionDetails, ProposedEdit, QuestionInput, QuestionMetadata,
        ReadDisplay, ReadInput, ReadMetadata, SkillInput, SkillMetadata, TaskInput, TaskMetadata,
        TaskModel, TodoWriteInput, TodoWriteMetadata, ToolInput, ToolMetadata, WebFetchInput,
        WebSearchInput, WebSearchMetadata, WriteInput, WriteMetadata,
    };
}

pub use opencode_config as config;
pub use opencode_proto::api;

pub use batch::{BatchError, BatchEvent, BatchReport, BatchRequest, BatchStream, Job};
pub use config::{ModelRef, Permissions, RunConfig};
pub use opencode::{Builder, OpenCode};
pub use policy::{Policy, PolicyError};
pub use run::{RunEnd, RunError, RunEvent, RunEventKind, RunReport, RunRequest, RunStream};
pub use server::{AttachError, AttachRequest, CallError, ServeError, ServeRequest, Server};
pub use session::{AnswerSchema, CreateSession, Session, SessionId};
pub use turn::{
    Ask, PermissionReply, Prompt, QuestionReply, TurnEnd, TurnError, TurnEvent, TurnEventKind,
    TurnOutcome, TurnRequest, TurnStream,
};

pub use opencode_proto::{AgentError, ApiError, Deadlines};

// Crates whose types show in signatures.
pub use opencode_proto::{bytes, serde_json};
pub use runtime::cancel::CancelHandle;
pub use runtime::text::TextStream;
pub use serde;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
