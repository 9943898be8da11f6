//! Drives [OpenCode](https://opencode.ai) from any async runtime.
//!
//! This crate knows processes, files and streams, and no runtime. A program uses the adapter for its runtime, for example
//! `opencode-tokio`, which re-exports everything in here.
//!
//! # How a run goes
//!
//! [`OpenCode::stream`] takes a [`RunRequest`] and hands out the events of the run; [`OpenCode::run`] waits for its end.
//! Both locate the program, lay out the run's private directory, start `opencode run --format json` with the prompt on
//! its standard input, and drive [`opencode_proto::Run`], which decides everything. In the end the processes and files of
//! the run are gone, and the [`RunReport`] has what was gathered, also when the run failed ([`RunError::report`]).
//!
//! # How a conversation goes
//!
//! [`OpenCode::serve`] starts a [`Server`], [`OpenCode::attach`] uses one that runs already.
//! [`Server::create_session`] makes a [`Session`], and [`Session::send`] a [`TurnStream`]: the events of one turn, until
//! [`opencode_proto::Turn`] decides that it has really ended. All sessions of a directory share one event stream,
//! which is opened again when it breaks. [`Server::call`] carries out any operation of [`api`].
//!
//! ```no_run
//! use opencode_client::{CreateSession, PermissionReply, ServeRequest};
//!
//! # async fn example(opencode: opencode_client::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
//! let server = opencode.serve(ServeRequest::new().with_directory("/src/project")).await?;
//! let session = server.create_session(CreateSession::new().with_title("tidy")).await?;
//! let session = session.on_permission(|_| async { PermissionReply::Once });
//! let mut turn = session.send("Tidy up.");
//! while let Some(event) = turn.next_event().await {
//!     if let Some(text) = event.text() {
//!         print!("{text}");
//!     }
//! }
//! let outcome = turn.outcome().await?;
//! println!("{} tool calls, {} USD", outcome.tools().count(), outcome.cost());
//! # Ok(())
//! # }
//! ```
//!
//! # Writing an adapter
//!
//! Implement [`Runtime`]: a clock, a timer, a place for blocking work and one for tasks, a way to start a process and
//! poll its streams ([`ByteSource`], [`ByteSink`], [`ProcessExit`]), and one to connect to a server ([`Connection`]).
//! [`ChunkBuffer`] reads without copying. `opencode-tokio` is about a hundred lines of it. Then
//! `OpenCode::new(MyRuntime)` has every feature.
//!
//! # Platforms
//!
//! On Linux, all processes that a run started are found and ended, with no race for a reused process id. On other Unix
//! systems they are found through `ps`, by their parents. Elsewhere only OpenCode itself is ended.

mod binary;
mod blocking;
mod child;
mod command;
mod error;
mod event_log;
mod guardian;
mod http;
mod hub;
mod inner;
mod latch;
mod log;
mod opencode;
mod pacing;
mod private_dir;
mod process_tree;
mod race;
mod random;
mod remains;
mod request;
mod run_stream;
mod runtime;
mod server;
mod server_events;
mod session;
mod start;
mod tree_jobs;
mod turn_stream;
mod version;
mod within;

pub use crate::http::{CallError, Endpoint, HttpLimits, Reached, UrlError};
pub use binary::{Binary, BinaryFault, BinaryNotFound, Tried, Version, parse_version};
pub use error::{CleanupError, RunError, RunReport, VersionError, Warning};
pub use event_log::{EventLogConfig, EventLogError, EventLogMode};
pub use guardian::GuardianError;
pub use opencode::{Builder, OpenCode};
pub use pacing::StartPacing;
pub use private_dir::PrivateDirError;
pub use process_tree::{ProcessTreeError, Survivor, Survivors, SweepError};
pub use request::{RunRequest, StartupRetry};
pub use run_stream::RunStream;
pub use runtime::{
    ByteSink, ByteSource, ChunkBuffer, Connecting, Connection, Process, ProcessExit, Runtime, Timer,
};
pub use server::{
    AttachError, AttachRequest, HealthError, ServeError, ServeRequest, Server, ServerReport,
    StopError,
};
pub use server_events::{ServerEvents, ServerNews};
pub use session::Session;
pub use turn_stream::{Ask, PermissionToken, QuestionToken, TurnError, TurnRequest, TurnStream};

pub use opencode_config::{
    Approval, Attach, CacheHome, ConfigWarning, Credentials, DataHome, Environment, ExtraFlags,
    FlagValue, History, Isolation, LogLevel, LogOutput, ModelRef, ModelRefError, PermissionAction,
    PermissionError, PermissionRule, Permissions, Plugins, ProjectConfig, Reasoning, Resume,
    ResumeTarget, RunConfig, RunConfigError, RunFlags, ServeFlags, Sharing, TempHome, ToolSwitch,
    UserConfig,
};
pub use opencode_proto::api::{self, CreateSession, ServerHealth};
pub use opencode_proto::{
    AgentError, AgentFallback, Answer, ApiError, ApiErrorKind, Artifact, ArtifactChange, CallId,
    Choice, Deadline, Deadlines, DecodeError, Diagnostic, ErrorName, EventStream, Exit, FileDiff,
    FinishReason, HubEnd, HubSettings, Interruption, LineCounts, MessageId, MessageInfo,
    MessageWithParts, Notice, Origin, OutputFormat, Part, PartId, PartKey, Pending, PermissionId,
    PermissionReply, PermissionRequest, Prompt, PromptFile, PromptPart, PromptReply, Question,
    QuestionAnswer, QuestionId, QuestionOption, QuestionReply, QuestionRequest, RawJson, RawText,
    ReasoningPart, Retention, RetryPolicy, Role, RunEnd, RunEvent, RunEventKind, RunOutcome,
    RunSettings, ServeEnd, ServeOutcome, ServeSettings, ServerEvent, ServerEventKind, SessionId,
    SessionInfo, SessionRevert, SessionStatus, Step, StepFinish, StepRole, StepStart, Subtask,
    TextKind, TextOrigin, TextPart, TimeSpan, Todo, Tokens, ToolPart, ToolRef, ToolState,
    Transcript, TurnEnd, TurnEvent, TurnEventKind, TurnKind, TurnOutcome, TurnSettings,
};
