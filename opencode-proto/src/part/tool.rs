use crate::CallId;
use crate::json::{RawJson, RawText};

use super::{PartKey, TimeSpan};

/// A tool call. Part type `tool`.
///
/// `opencode run` prints a call once, when the call is over; the server sends every state.
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind};
///
/// let line = r#"{"type":"tool_use","part":{"tool":"bash","callID":"call_1","state":
///     {"status":"completed","input":{"command":"ls"},"output":"a.txt\n","metadata":{"exit":0}}}}"#;
/// let RunEventKind::ToolUse(part) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!((&*part.tool, part.state.status()), ("bash", "completed"));
/// assert_eq!(part.state.output().unwrap(), &"a.txt\n");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolPart {
    /// Ids of the part.
    pub key: PartKey,
    /// Id of the call; empty where a version gave none.
    pub call: CallId,
    /// Name of the tool. OpenCode renames a call that the model got wrong to `invalid`.
    pub tool: Box<str>,
    /// State of the call.
    pub state: ToolState,
    /// Data that the provider attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// State of a tool call, with the data of that state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolState {
    /// The call ended with a result. This includes a command that failed: see `metadata.exit` of
    /// the `bash` tool.
    #[non_exhaustive]
    Completed {
        /// Arguments of the call, a JSON object.
        input: Option<RawJson>,
        /// Output for the model.
        output: RawText,
        /// Title of the call, one line for people.
        title: Option<RawText>,
        /// Data of the tool for programs, a JSON object.
        metadata: Option<RawJson>,
        /// Returned files, a JSON array of file parts.
        attachments: Option<RawJson>,
        /// Start and end of the call.
        time: TimeSpan,
    },
    /// The call ended without a result: the call failed, was refused, or was aborted.
    #[non_exhaustive]
    Error {
        /// Arguments of the call, a JSON object.
        input: Option<RawJson>,
        /// Error text for the model.
        error: RawText,
        /// Data of the tool for programs, a JSON object.
        metadata: Option<RawJson>,
        /// Start and end of the call.
        time: TimeSpan,
    },
    /// A state that this version of the crate does not know.
    #[non_exhaustive]
    Other {
        /// The value of `status`.
        status: Box<str>,
        /// The whole state, a JSON object.
        raw: RawJson,
    },
    /// The model is still writing the call.
    #[non_exhaustive]
    Pending {
        /// Arguments so far, a JSON object.
        input: Option<RawJson>,
    },
    /// The tool runs.
    #[non_exhaustive]
    Running {
        /// Arguments of the call, a JSON object.
        input: Option<RawJson>,
        /// Title of the call, one line for people.
        title: Option<RawText>,
        /// Data of the tool for programs, a JSON object. `bash` repeats the output so far here.
        metadata: Option<RawJson>,
        /// Start of the call.
        time: TimeSpan,
    },
}

impl ToolPart {
    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self {
            key: self.key.clone(),
            call: self.call.clone(),
            tool: self.tool.clone(),
            state: self.state.detach(),
            metadata: self.metadata.as_ref().map(RawJson::detach),
        }
    }
}

impl ToolState {
    /// Returns the name of the state in OpenCode's spelling.
    pub fn status(&self) -> &str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Error { .. } => "error",
            Self::Other { status, .. } => status,
            Self::Pending { .. } => "pending",
            Self::Running { .. } => "running",
        }
    }

    /// Returns whether the call has ended.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Error { .. })
    }

    /// Returns whether the call is pending or running.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Running { .. })
    }

    /// Returns the arguments, a JSON object.
    pub fn input(&self) -> Option<&RawJson> {
        match self {
            Self::Completed { input, .. }
            | Self::Error { input, .. }
            | Self::Pending { input }
            | Self::Running { input, .. } => input.as_ref(),
            Self::Other { .. } => None,
        }
    }

    /// Returns the text for the model: the output, or the error.
    pub fn output(&self) -> Option<&RawText> {
        match self {
            Self::Completed { output, .. } => Some(output),
            Self::Error { error, .. } => Some(error),
            Self::Other { .. } | Self::Pending { .. } | Self::Running { .. } => None,
        }
    }

    /// Returns the title, one line for people.
    pub fn title(&self) -> Option<&RawText> {
        match self {
            Self::Completed { title, .. } | Self::Running { title, .. } => title.as_ref(),
            Self::Error { .. } | Self::Other { .. } | Self::Pending { .. } => None,
        }
    }

    /// Returns the data of the tool for programs, a JSON object.
    pub fn metadata(&self) -> Option<&RawJson> {
        match self {
            Self::Completed { metadata, .. }
            | Self::Error { metadata, .. }
            | Self::Running { metadata, .. } => metadata.as_ref(),
            Self::Other { .. } | Self::Pending { .. } => None,
        }
    }

    /// Returns start and end of the call, as far as known.
    pub fn time(&self) -> TimeSpan {
        match self {
            Self::Completed { time, .. }
            | Self::Error { time, .. }
            | Self::Running { time, .. } => *time,
            Self::Other { .. } | Self::Pending { .. } => TimeSpan::default(),
        }
    }

    /// Returns whether an answer refused this call or dismissed the questions in it, or OpenCode
    /// refused the call for want of a user to ask.
    ///
    /// OpenCode reports this in the words of the error only.
    pub fn is_rejected(&self) -> bool {
        self.has_failed_with(&REJECTIONS)
    }

    /// Returns whether this call was refused with a message to the model, which then goes on.
    /// Without a message OpenCode stops the turn.
    pub fn is_corrected(&self) -> bool {
        self.has_failed_with(&[CORRECTION])
    }

    /// Returns whether the command line of a `bash` call was ended by an abort of the session.
    ///
    /// OpenCode reports such a call as completed, and the abort at the end of the output only.
    pub(crate) fn is_aborted_command(&self) -> bool {
        let Self::Completed { output, .. } = self else { return false };
        let output = output.to_str();
        let output = output.trim_end().trim_end_matches("</metadata>");
        output.trim_end().ends_with(ABORTED_COMMAND)
    }

    fn has_failed_with(&self, words: &[&str]) -> bool {
        match self {
            Self::Error { error, .. } => {
                let error = error.to_str();
                words.iter().any(|words| error.contains(words))
            }
            Self::Completed { .. }
            | Self::Other { .. }
            | Self::Pending { .. }
            | Self::Running { .. } => false,
        }
    }

    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        let json = |json: &Option<RawJson>| json.as_ref().map(RawJson::detach);
        match self {
            Self::Completed { input, output, title, metadata, attachments, time } => {
                Self::Completed {
                    input: json(input),
                    output: output.detach(),
                    title: title.as_ref().map(RawText::detach),
                    metadata: json(metadata),
                    attachments: json(attachments),
                    time: *time,
                }
            }
            Self::Error { input, error, metadata, time } => Self::Error {
                input: json(input),
                error: error.detach(),
                metadata: json(metadata),
                time: *time,
            },
            Self::Other { status, raw } => {
                Self::Other { status: status.clone(), raw: raw.detach() }
            }
            Self::Pending { input } => Self::Pending { input: json(input) },
            Self::Running { input, title, metadata, time } => Self::Running {
                input: json(input),
                title: title.as_ref().map(RawText::detach),
                metadata: json(metadata),
                time: *time,
            },
        }
    }
}

/// OpenCode's words for a call that an answer refused, with or without a message for the model, and
/// for dismissed questions. A refusal by a rule has other words, and the turn goes on.
const REJECTIONS: [&str; 2] =
    ["rejected permission to use this specific tool call", "user dismissed this question"];
/// OpenCode's words at the end of the output of a command line that an abort ended.
const ABORTED_COMMAND: &str = "<metadata>\nUser aborted the command";
/// OpenCode's words for a call that was refused with a message for the model.
const CORRECTION: &str = "specific tool call with the following feedback";
