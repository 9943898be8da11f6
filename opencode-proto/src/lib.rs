//! The protocol of [OpenCode](https://opencode.ai) without I/O.
//!
//! Bytes that OpenCode printed or sent go in, together with the time. Typed events come out, then
//! the next task for the driver, and in the end an outcome with everything that was gathered. This
//! crate opens no file, starts no process and reads no clock, so that programs with any async
//! runtime, or with none, can use the crate, and tests run in virtual time.
//!
//! # The loop
//!
//! [`Run`] is the machine for one `opencode run --format json` process. A driver does five things,
//! here with a process whose output is already complete:
//!
//! ```
//! use std::time::Instant;
//! use opencode_proto::{Exit, Run, RunAction, RunEventKind, RunSettings};
//!
//! let stdout = r#"{"type":"step_start","part":{"messageID":"msg_1"}}
//! {"type":"text","part":{"messageID":"msg_1","text":"Hello!"}}
//! {"type":"step_finish","part":{"messageID":"msg_1","reason":"stop"}}
//! "#;
//!
//! // 1. Start the process and the machine.
//! let mut run = Run::new(RunSettings::default(), Instant::now());
//! // 2. Pass every input to the machine, in any order.
//! run.handle_stdout(stdout.into(), Instant::now());
//! run.handle_stdout_end(Instant::now());
//! run.handle_stderr_end(Instant::now());
//! run.handle_exit(Some(Exit::Code(0)), Instant::now());
//! let outcome = loop {
//!     // 3. Carry out the actions up to the wait.
//!     match run.poll_action() {
//!         RunAction::Event(event) => {
//!             if let RunEventKind::Text(part) = &event.kind {
//!                 println!("{}", part.text);
//!             }
//!         }
//!         RunAction::Signal(_) => { /* signal the process and all descendants */ }
//!         RunAction::Sweep => { /* end the processes that tools left running */ }
//!         // 4. Wait for input, or for `wake`, and then pass the time.
//!         RunAction::Wait(_wake) => run.handle_timeout(Instant::now()),
//!         // 5. Stop.
//!         RunAction::Finished(outcome) => break outcome,
//!     }
//! };
//! assert!(outcome.end.is_completed());
//! assert_eq!(outcome.answer.text(), "Hello!");
//! ```
//!
//! # Machines
//!
//! All machines are driven like [`Run`], and the page of each has the loop:
//!
//! | machine | covers | inputs | actions |
//! | --- | --- | --- | --- |
//! | [`Run`] | an `opencode run` process | output, exit | events, signals, outcome |
//! | [`Serve`] | an `opencode serve` process | output, exit | ready, signals, outcome |
//! | [`Readiness`] | health of a server that listens | replies | calls, result |
//! | [`DirectoryCheck`] | a directory on the server's machine | replies | calls, result |
//! | [`Hub`] | event stream of a directory | chunks, losses | connects, events by session |
//! | [`Session`] | state shared by turns | aborts; the turns | turns to wake |
//! | [`Turn`] | one prompt and the answer | events, replies, asks | calls, events, outcome |
//! | [`ServedRun`] | a run over a server | events, replies | calls, events, outcome |
//! | [`PolicyJudge`](policy::PolicyJudge) | permission requests | requests, replies | decisions |
//! | [`Batch`] | many jobs on few servers | ends, spend | starts, aborts, ends |
//! | [`JobAttempt`] | one attempt of a job | ends of steps | steps, end |
//! | [`Retry`] | attempts at one request | failures | none: the due time is returned |
//!
//! # Invariants
//!
//! - Inputs cannot fail, and input after the end is ignored. A broken line, an exit code, a signal
//!   are facts.
//! - Take all actions until [`RunAction::Wait`] before you wait. There is no other rule.
//! - Any chunking of the same bytes gives the same events.
//! - The cost of an event does not grow with earlier events, and incomplete lines and events are
//!   buffered up to a limit of the settings.
//! - No output of OpenCode, a model or a tool makes this crate panic. A panic is a bug.
//!
//! # Parts
//!
//! [`LineFramer`] cuts lines out of chunks, [`SseFramer`] events. A line is decoded into a
//! [`RunEvent`], an event of a server into a [`ServerEvent`]; both contain [`TextPart`],
//! [`ReasoningPart`], [`ToolPart`], [`StepStart`] and [`StepFinish`]. [`Answer`] gathers the events
//! of a run into a result, [`Transcripts`] those of a server's sessions. [`api`] has the operations
//! of a server's HTTP API as values.
//!
//! The example `blocking` drives a run and a turn with threads and a plain socket; the example is
//! the guide to embedding.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ansi;
mod answer;
pub mod api;
mod artifact;
mod ask;
mod batch;
mod call;
mod directory;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod hub;
mod id;
mod json;
mod line;
mod output_tail;
mod part;
pub mod policy;
mod process;
mod provider_failure;
mod random;
mod readiness;
mod retry;
mod run;
mod run_event;
mod serve;
mod served_run;
mod server_event;
mod session;
mod sse;
mod stack_trace;
mod streamed_text;
mod surroundings;
mod tool;
mod transcript;
mod turn;
mod watchdog;

pub use answer::{AbandonedAttempt, Answer, Step, StepRole};
pub use api::{
    ApiError, ApiErrorKind, AttachmentError, AttachmentFault, CommandRequest, FileDiff,
    InitRequest, MessageWithParts, OutputFormat, Pending, PermissionReply, Prompt, PromptFile,
    PromptPart, PromptReply, QuestionAnswer, ShellRequest, Subtask, SummarizeRequest,
};
pub use artifact::{Artifact, ArtifactChange};
pub use ask::{
    Ask, AskAnswer, AskId, AskKind, PermissionAsk, PermissionKind, QuestionAsk, QuestionKind,
    QuestionReply,
};
pub use batch::{
    AttemptAction, AttemptCause, AttemptEnd, AttemptTurn, Batch, BatchAction, BatchCounts,
    BatchJob, BatchSettings, Budget, Fingerprint, Fleet, GroupNo, JobAttempt, JobNo, JobRetry,
    JobStop, OverBudget, ResumeCounts, ResumeDecision, ResumeIndex, ResumePolicy, ResumeRules,
    ResumeStatus, RetryScope, ServerNo, ServerOwner, SkipReason,
};
pub use call::{ApiCall, ApiCallId, ApiReply, CallFailure, CallFault, CallScope, Delivery};
pub use directory::{DirectoryAction, DirectoryCheck, DirectoryError, RequestedDirectory};
pub use error::{AgentError, ErrorName};
pub use hub::{EventStream, Hub, HubAction, HubEnd, HubSettings, Interruption};
pub use id::{CallId, MessageId, PartId, PermissionId, QuestionId, SessionId};
pub use json::{RawJson, RawText};
pub use line::{Line, LineFramer};
pub use part::{
    ContextUse, FinishReason, Part, PartKey, ReasoningPart, Spend, StepFinish, StepStart,
    TextOrigin, TextPart, TimeSpan, Tokens, ToolPart, ToolState,
};
pub use process::{Exit, Signal};
pub use provider_failure::ProviderFailure;
pub use readiness::{HealthError, Readiness, ReadinessAction, ReadinessCheck};
pub use retry::{Retry, RetryCause, RetryPolicy};
pub use run::{
    AgentFallback, LineCounts, Retention, Run, RunAction, RunEnd, RunOutcome, RunSettings,
};
pub use run_event::{
    AttemptAbandoned, DecodeError, Diagnostic, Notice, RunEvent, RunEventKind, TextDelta,
};
pub use serve::{Serve, ServeAction, ServeEnd, ServeOutcome, ServeSettings};
pub use served_run::{
    ServedFile, ServedFileKind, ServedRun, ServedRunAction, ServedRunRequest, ServedTurn,
};
pub use server_event::{
    Choice, MessageInfo, PermissionRequest, Question, QuestionOption, QuestionRequest, Role,
    ServerEvent, ServerEventKind, SessionInfo, SessionRevert, SessionStatus, Todo, ToolRef,
};
pub use session::{AbortNo, Session, ToolSwitchError, TurnNo};
pub use sse::{SseEvent, SseFramer};
pub use streamed_text::StreamedText;
pub use surroundings::PluginFault;
pub use tool::{
    ApplyPatchInput, ApplyPatchMetadata, BashInput, BashMetadata, EditInput, EditMetadata,
    ExternalDirectory, GlobInput, GlobMetadata, GrepInput, GrepMetadata, InvalidInput, LspInput,
    PatchedFile, PermissionDetails, ProposedEdit, QuestionInput, QuestionMetadata, ReadDisplay,
    ReadInput, ReadMetadata, SkillInput, SkillMetadata, TaskInput, TaskMetadata, TaskModel,
    TodoWriteInput, TodoWriteMetadata, ToolInput, ToolMetadata, WebFetchInput, WebSearchInput,
    WebSearchMetadata, WriteInput, WriteMetadata,
};
pub use transcript::{Message, TextKind, Transcript, Transcripts};
pub use turn::{
    BackgroundWork, DroppedFollow, FollowTarget, LeftAsks, NothingToFollow, Origin, Turn,
    TurnAction, TurnEnd, TurnEvent, TurnEventKind, TurnOutcome, TurnPost, TurnSettings,
};
pub use watchdog::{Deadline, Deadlines, LateRetry};

// Values of OpenCode that both crates speak about.
pub use opencode_config::{Feature, Unsupported, UnsupportedVersion, Version, parse_version};

// Crates whose types show in signatures.
pub use {bytes, http, serde_json};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
