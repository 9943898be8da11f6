//! The protocol of [OpenCode](https://opencode.ai) without I/O.
#![forbid(unsafe_code)]

mod answer;
mod error;
mod id;
mod json;
mod line;
mod part;
mod run;
mod run_event;
mod watchdog;

pub use answer::{Answer, Step, StepRole};
pub use error::{AgentError, ErrorName};
pub use id::{CallId, MessageId, PartId, SessionId};
pub use json::{RawJson, RawText};
pub use line::{Line, LineFramer};
pub use part::{
    FinishReason, PartKey, ReasoningPart, StepFinish, StepStart, TextOrigin, TextPart, TimeSpan,
    Tokens, ToolPart, ToolState,
};
pub use run::{
    AgentFallback, Exit, LineCounts, Retention, Run, RunAction, RunEnd, RunOutcome, RunSettings,
    Signal, Wake, WakeReason,
};
pub use run_event::{DecodeError, Diagnostic, Notice, RunEvent, RunEventKind};
pub use watchdog::{Deadline, Deadlines};
