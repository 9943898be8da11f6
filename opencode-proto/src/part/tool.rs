use crate::CallId;
use crate::json::{RawJson, RawText};

use super::{PartKey, TimeSpan};

/// A call of a tool. Part type `tool`.
///
/// `opencode run` prints it once, when it is over; the server sends it in every state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolPart {
    /// Which part this is.
    pub key: PartKey,
    /// The call. Empty where a version gave none.
    pub call: CallId,
    /// The tool's name. OpenCode renames a call that the model got wrong to `invalid`.
    pub tool: Box<str>,
    /// How far it is.
    pub state: ToolState,
    /// What the provider attached, a JSON object.
    pub metadata: Option<RawJson>,
}

/// How far a tool call is, with what is known by then.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolState {
    /// It ended with a result. A command that failed is here too: see `metadata.exit` of the `bash` tool.
    #[non_exhaustive]
    Completed {
        /// The arguments, a JSON object.
        input: Option<RawJson>,
        /// What the model was given.
        output: RawText,
        /// One line for people.
        title: Option<RawText>,
        /// What the tool adds for programs, a JSON object.
        metadata: Option<RawJson>,
        /// Files it returned, a JSON array of file parts.
        attachments: Option<RawJson>,
        /// When it ran.
        time: TimeSpan,
    },
    /// It ended without a result: it failed, was refused, or was aborted.
    #[non_exhaustive]
    Error {
        /// The arguments, a JSON object.
        input: Option<RawJson>,
        /// What the model was told.
        error: RawText,
        /// What the tool adds for programs, a JSON object.
        metadata: Option<RawJson>,
        /// When it ran.
        time: TimeSpan,
    },
    /// A state this version of the crate does not know.
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
        /// The arguments so far, a JSON object.
        input: Option<RawJson>,
    },
    /// It runs.
    #[non_exhaustive]
    Running {
        /// The arguments, a JSON object.
        input: Option<RawJson>,
        /// One line for people.
        title: Option<RawText>,
        /// What the tool adds for programs, a JSON object. `bash` repeats its output so far in it.
        metadata: Option<RawJson>,
        /// When it began.
        time: TimeSpan,
    },
}

impl ToolPart {
    /// A copy that shares no memory with the stream it came from.
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
    /// The state's name as OpenCode writes it.
    pub fn status(&self) -> &str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Error { .. } => "error",
            Self::Other { status, .. } => status,
            Self::Pending { .. } => "pending",
            Self::Running { .. } => "running",
        }
    }

    /// Whether nothing follows for this call.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Error { .. })
    }

    /// Whether the call waits or works, and its end is still to come.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Running { .. })
    }

    /// The arguments, a JSON object.
    pub fn input(&self) -> Option<&RawJson> {
        match self {
            Self::Completed { input, .. }
            | Self::Error { input, .. }
            | Self::Pending { input }
            | Self::Running { input, .. } => input.as_ref(),
            Self::Other { .. } => None,
        }
    }

    /// What the model was given: the result, or the error.
    pub fn output(&self) -> Option<&RawText> {
        match self {
            Self::Completed { output, .. } => Some(output),
            Self::Error { error, .. } => Some(error),
            Self::Other { .. } | Self::Pending { .. } | Self::Running { .. } => None,
        }
    }

    /// One line for people.
    pub fn title(&self) -> Option<&RawText> {
        match self {
            Self::Completed { title, .. } | Self::Running { title, .. } => title.as_ref(),
            Self::Error { .. } | Self::Other { .. } | Self::Pending { .. } => None,
        }
    }

    /// What the tool adds for programs, a JSON object.
    pub fn metadata(&self) -> Option<&RawJson> {
        match self {
            Self::Completed { metadata, .. }
            | Self::Error { metadata, .. }
            | Self::Running { metadata, .. } => metadata.as_ref(),
            Self::Other { .. } | Self::Pending { .. } => None,
        }
    }

    /// When it ran, as far as is known.
    pub fn time(&self) -> TimeSpan {
        match self {
            Self::Completed { time, .. }
            | Self::Error { time, .. }
            | Self::Running { time, .. } => *time,
            Self::Other { .. } | Self::Pending { .. } => TimeSpan::default(),
        }
    }

    /// Whether this call was refused by the user or because nobody was there to ask, or its questions dismissed.
    ///
    /// OpenCode says so only in the words of the error.
    pub fn is_rejected(&self) -> bool {
        self.has_failed_with(&REJECTIONS)
    }

    /// Whether this call was refused with a word to the model, which goes on then. Otherwise, OpenCode stops at a refusal.
    pub fn is_corrected(&self) -> bool {
        self.has_failed_with(&[CORRECTION])
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

    /// A copy that shares no memory with the stream it came from.
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

/// How OpenCode words a call that was refused by an answer, with or without a message for the model, and questions that
/// were dismissed. A refusal by a rule reads differently, and the turn goes on after it.
const REJECTIONS: [&str; 2] =
    ["rejected permission to use this specific tool call", "user dismissed this question"];
/// One with a message.
const CORRECTION: &str = "specific tool call with the following feedback";
