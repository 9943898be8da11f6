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
//! # How a run goes over a server
//!
//! A process takes seconds and half a gigabyte. With [`RunRequest::with_backend`], a run is a turn of a server instead: one
//! that is started for it ([`Backend::NewServer`]), or one that any number of runs share ([`Backend::Server`]). Events,
//! [`RunReport`] and [`RunError`] are the same, and a log holds the same lines.
//!
//! ```no_run
//! use opencode_client::{RunRequest, ServeRequest};
//!
//! # async fn example(opencode: opencode_client::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
//! let server = opencode.serve(ServeRequest::new().with_directory("/src/project")).await?;
//! let request = RunRequest::new("Which licence does this project have?").with_backend(&server);
//! let mut run = opencode.stream(request);
//! while let Some(event) = run.next_event().await {
//!     if let Some(text) = event.text() {
//!         print!("{text}");
//!     }
//! }
//! let report = run.outcome().await?;
//! println!("{} tool calls, {} USD", report.answer().tools().len(), report.answer().cost());
//! # Ok(())
//! # }
//! ```
//!
//! What differs:
//!
//! - Text is also told while it is written ([`RunEventKind::TextDelta`]); [`RunEvent::text`] tells it once over both.
//! - A turn that is aborted, by a deadline for example, ends with the text that was written until then, and with an error
//!   that says so. A process that is ended prints neither.
//! - Of a model that does not exist, a server says which; a process only that something went wrong.
//! - Some ends only a server has ([`RunEnd::ServerLost`], [`RunEnd::Aborted`]); a run that is resumed may be one of another
//!   directory.
//! - Permissions are refused, unless [`Approval::Auto`] grants them; questions are never asked of a new session, and
//!   dismissed. An agent that is not there is looked for before the prompt is sent ([`AgentFallback`]).
//! - A shared server cannot be told what it was started with: environment, isolation, MCP servers, permissions and the
//!   like ([`RunError::Setting`]). Extra flags have no meaning over any server ([`RunError::Flag`]).
//! - [`RunSettings::linger_limit`] and [`RunSettings::line_size_max`] are about processes.
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
//! # How a batch goes
//!
//! [`OpenCode::batch`] runs many [`Job`]s, each with a prompt, directory, configuration, [`Policy`] and [`AnswerSchema`] of its
//! own, on as few servers as their configurations allow. [`opencode_proto::Batch`] decides which job begins where and when; the
//! [`BatchStream`] tells what happens, [`BatchResults`] writes it down and goes on from it, and the [`BatchReport`] has all
//! in order. Jobs fail by themselves ([`JobReport::error`]); the batch does not.
//!
//! # Writing an adapter
//!
//! `opencode-tokio` and `opencode-async-std` are two; a third is one type and one test, about two hundred lines.
//!
//! 1. Implement [`Runtime`]. [`now`](Runtime::now) and [`timer`](Runtime::timer) go by one clock. A
//!    [`timer`](Runtime::timer) can be set anew, also after it was ready. [`blocking`](Runtime::blocking) and
//!    [`spawn`](Runtime::spawn) finish what they were given, whoever waits.
//! 2. Start processes ([`process`](Runtime::process)): hand out the three pipes as [`ByteSink`] and [`ByteSource`], and the
//!    end as [`ProcessExit`]. [`ChunkBuffer`] reads without copying. A dropped [`Process`] goes on and is reaped; one that
//!    has ended already is reaped before the drop returns.
//! 3. Connect ([`connect`](Runtime::connect)): a [`Connection`] is a socket with the byte traits of `hyper`. Turn off the
//!    delay of small writes.
//! 4. Re-export this crate, and add `opencode()` and `builder()`: a program changes its runtime by changing one name.
//! 5. Expand the list of conformance tests, in `tests/conformance.rs`. It tells what was forgotten.
//!
//! ```ignore
//! struct Mine;
//!
//! impl testkit::conformance::Adapter for Mine {
//!     fn runtime() -> impl Runtime {
//!         MyRuntime::new()
//!     }
//!
//!     fn block_on<F: Future>(future: F) -> F::Output {
//!         my_runtime::block_on(future)
//!     }
//! }
//!
//! testkit::conformance!(Mine);
//! ```
//!
//! # Platforms
//!
//! On Linux, all processes that a run started are found and ended, with no race for a reused process id. On other Unix
//! systems they are found through `ps`, by their parents. Elsewhere only OpenCode itself is ended.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod http;
mod log;
mod opencode;
mod policy;
mod process;
mod run;
mod runtime;
mod server;
mod session;

pub use crate::http::{CallError, Endpoint, HttpLimits, Reached, UrlError};
pub use batch::{
    BatchError, BatchEvent, BatchReport, BatchRequest, BatchResults, BatchServers, BatchStream,
    Earlier, GivenServer, Job, JobError, JobRecord, JobReport, ResultsError, Standing,
};
pub use log::{EventLogConfig, EventLogError, EventLogMode};
pub use opencode::{Builder, OpenCode};
pub use opencode_proto::policy::{PolicyReason, PolicySettings, PolicyVerdict, Unruled};
pub use policy::{Policy, PolicyError};
pub use process::binary::{Binary, BinaryFault, BinaryNotFound, Tried, Version, parse_version};
pub use process::cleanup::CleanupError;
pub use process::guardian::GuardianError;
pub use process::pacing::StartPacing;
pub use process::private_dir::PrivateDirError;
pub use process::process_tree::{ProcessTreeError, Survivor, Survivors, SweepError};
pub use process::startup_retry::StartupRetry;
pub use process::version::VersionError;
pub use process::warning::Warning;
pub use run::{Backend, RunError, RunReport, RunRequest, RunStream};
pub use runtime::{
    ByteSink, ByteSource, ChunkBuffer, Connecting, Connection, Process, ProcessControl,
    ProcessExit, Runtime, Timer,
};
pub use server::{
    AttachError, AttachRequest, HealthError, ServeError, ServeRequest, Server, ServerEvents,
    ServerNews, ServerReport, StopError,
};
pub use session::Session;
pub use session::structured::{
    AnswerSchema, Misfit, Problem, SchemaError, StructuredError, StructuredOutcome,
    StructuredStream,
};
pub use session::turn::{
    Ask, AskToken, PermissionToken, QuestionToken, TurnError, TurnRequest, TurnStream,
};

#[cfg(feature = "schema")]
pub use schemars;

pub use opencode_config::{
    Approval, Attach, CacheHome, ConfigWarning, Credentials, DataHome, Environment, ExtraFlags,
    FlagValue, Isolation, Json, JsonObject, JsoncError, LogLevel, LogOutput, ModelRef,
    ModelRefError, PermissionAction, PermissionError, PermissionRule, Permissions, Plugins,
    ProjectConfig, Questions, Reasoning, Resume, RunConfig, RunConfigError, RunFlags, ServeFlags,
    Sharing, TempHome, ToolSwitch, UserConfig,
};
pub use opencode_proto::api::{self, CreateSession, ServerHealth};
pub use opencode_proto::{
    Again, AgentError, AgentFallback, Answer, ApiError, ApiErrorKind, Artifact, ArtifactChange,
    AskKind, BatchCounts, BatchSettings, Budget, CallId, Choice, CommandRequest, Deadline,
    Deadlines, DecodeError, Diagnostic, ErrorName, EventStream, Exit, FileDiff, FinishReason,
    HubEnd, HubSettings, InitRequest, Interruption, JobNo, JobRetry, LineCounts, MessageId,
    MessageInfo, MessageWithParts, NotRun, Notice, Origin, OutputFormat, OverBudget, Part, PartId,
    PartKey, Pending, PermissionId, PermissionKind, PermissionReply, PermissionRequest, Prompt,
    PromptFile, PromptPart, PromptReply, Question, QuestionAnswer, QuestionId, QuestionKind,
    QuestionOption, QuestionReply, QuestionRequest, RawJson, RawText, ReasoningPart, Retention,
    RetryPolicy, Role, RunEnd, RunEvent, RunEventKind, RunOutcome, RunSettings, ServeEnd,
    ServeOutcome, ServeSettings, ServerEvent, ServerEventKind, ServerNo, SessionId, SessionInfo,
    SessionRevert, SessionStatus, ShellRequest, Spend, Step, StepFinish, StepRole, StepStart,
    Subtask, TextDelta, TextKind, TextOrigin, TextPart, TimeSpan, Todo, Tokens, ToolPart, ToolRef,
    ToolState, Transcript, TurnEnd, TurnEvent, TurnEventKind, TurnOutcome, TurnPost, TurnSettings,
};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
