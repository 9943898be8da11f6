//! Drives [OpenCode](https://opencode.ai) from any async runtime.
//!
//! This crate knows processes, files and streams, and no runtime: an adapter brings one by implementing [`Runtime`].
//! Use the adapter for yours, `opencode-tokio` for example, which re-exports everything in here.

mod binary;
mod blocking;
mod command;
mod error;
mod event_log;
mod guardian;
mod opencode;
mod pacing;
mod private_dir;
mod process_tree;
mod remains;
mod request;
mod run_stream;
mod runtime;
mod version;

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
pub use runtime::{ByteSink, ByteSource, ChunkBuffer, Process, ProcessExit, Runtime, Timer};

pub use opencode_config::{
    Approval, Attach, CacheHome, ConfigWarning, Credentials, DataHome, Environment, ExtraFlags, FlagValue, History,
    Isolation, LogLevel, ModelRef, ModelRefError, PermissionAction, PermissionError, PermissionRule, Permissions,
    Plugins, ProjectConfig, Reasoning, Resume, ResumeTarget, RunConfig, RunConfigError, RunFlags, Sharing, TempHome,
    UserConfig,
};
pub use opencode_proto::{
    AgentError, AgentFallback, Answer, CallId, Deadline, Deadlines, DecodeError, Diagnostic, ErrorName, Exit,
    FinishReason, LineCounts, MessageId, Notice, PartId, PartKey, RawJson, RawText, ReasoningPart, Retention, RunEnd,
    RunEvent, RunEventKind, RunOutcome, RunSettings, SessionId, Step, StepFinish, StepRole, StepStart, TextOrigin,
    TextPart, TimeSpan, Tokens, ToolPart, ToolState,
};
