//! What a session is asked.

mod file;
mod part;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use opencode_config::{ModelRef, ToolSwitch};

pub use file::PromptFile;
pub use part::{PromptPart, Subtask};
pub(super) use wire::{WireModel, WirePart, WirePrompt};

use crate::json::RawJson;

/// One message to a session, and how to answer it. Mirrors the body of `POST /session/{sessionID}/prompt_async`.
///
/// ```
/// use opencode_proto::{Prompt, PromptFile};
///
/// let prompt = Prompt::from("What does the image show?")
///     .with_part(PromptFile::path("/src/app/logo.png"))
///     .with_agent("plan");
/// assert_eq!(prompt.parts.len(), 2);
/// ```
///
/// `Debug` shows sizes in place of texts and files.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Prompt {
    /// What is said, in order.
    pub(crate) parts: Vec<PromptPart>,
    /// The model to ask. `None`: the agent's, else the one the session asked last, else the configured one.
    pub(crate) model: Option<ModelRef>,
    /// The agent to answer. `None`: the default agent.
    pub(crate) agent: Option<String>,
    /// What to add to the system prompt of this turn.
    pub(crate) system: Option<String>,
    /// The variant of the model, for example `high`.
    pub(crate) variant: Option<String>,
    /// Tools to switch on and off, by name.
    ///
    /// OpenCode replaces all permission rules of the session by these, for good. Rules that are set with
    /// [`UpdateSession`](super::UpdateSession) are added to what there is.
    pub(crate) tools: BTreeMap<String, ToolSwitch>,
    /// Whether it is to be answered.
    pub(crate) reply: PromptReply,
    /// What the answer has to look like.
    pub(crate) format: OutputFormat,
}

/// Whether a [`Prompt`] is to be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptReply {
    /// The message is stored, and nothing else happens. No turn begins or ends.
    NoReply,
    /// The model answers.
    #[default]
    Reply,
}

/// What an answer has to look like. Mirrors `OutputFormat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputFormat {
    /// JSON of this schema. The model is made to call a tool with it; the value is
    /// [`MessageInfo::structured`](crate::MessageInfo::structured).
    ///
    /// OpenCode 1.18.33 does not check the value, nor try again, and it cannot list the messages of such a session any
    /// more ([`ListMessages`](super::ListMessages)).
    #[non_exhaustive]
    JsonSchema {
        /// A JSON schema.
        schema: RawJson,
    },
    /// Text.
    #[default]
    Text,
}

impl Prompt {
    /// A prompt that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the parts of the message, in order.
    pub fn parts(&self) -> &[PromptPart] {
        &self.parts
    }

    /// Returns the model to ask; `None` for the agent's model, else the model that the session
    /// asked last, else the configured model.
    pub fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// Returns the agent to answer; `None` for the default agent.
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// Returns the reply setting.
    pub fn reply(&self) -> PromptReply {
        self.reply
    }

    /// Returns the tools to switch on and off, by name.
    pub fn tools(&self) -> &BTreeMap<String, ToolSwitch> {
        &self.tools
    }

    /// Says this next.
    #[must_use]
    pub fn with_part(mut self, part: impl Into<PromptPart>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Asks this model.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Has this agent answer.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Adds this to the system prompt of this turn.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// Asks this variant of the model, for example `high`.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Switches a tool; read [`tools`](Self::tools) for what else that does.
    #[must_use]
    pub fn with_tool(mut self, name: impl Into<String>, switch: ToolSwitch) -> Self {
        self.tools.insert(name.into(), switch);
        self
    }

    /// Removes all parts.
    #[must_use]
    pub fn without_parts(mut self) -> Self {
        self.parts.clear();
        self
    }

    /// Removes all tool switches.
    #[must_use]
    pub fn without_tools(mut self) -> Self {
        self.tools.clear();
        self
    }

    /// Says whether it is to be answered.
    #[must_use]
    pub fn with_reply(mut self, reply: PromptReply) -> Self {
        self.reply = reply;
        self
    }

    /// Says what the answer has to look like.
    #[must_use]
    pub fn with_format(mut self, format: OutputFormat) -> Self {
        self.format = format;
        self
    }

    /// Takes the relative paths of files as relative to this directory. The server takes them as absolute.
    #[must_use]
    pub fn with_files_in(mut self, directory: impl AsRef<Path>) -> Self {
        for part in &mut self.parts {
            match part {
                PromptPart::File(file) => file.resolve(directory.as_ref()),
                PromptPart::Agent(_) | PromptPart::Subtask(_) | PromptPart::Text(_) => {}
            }
        }
        self
    }
}

impl<P: Into<PromptPart>> From<P> for Prompt {
    fn from(part: P) -> Self {
        Self::new().with_part(part)
    }
}

impl OutputFormat {
    /// JSON of this schema.
    pub const fn json_schema(schema: RawJson) -> Self {
        Self::JsonSchema { schema }
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("parts", &self.parts)
            .field("model", &self.model)
            .field("agent", &self.agent)
            .field("system", &self.system.as_deref().map(Size))
            .field("variant", &self.variant)
            .field("tools", &self.tools)
            .field("reply", &self.reply)
            .field("format", &self.format)
            .finish()
    }
}

/// Shows how long a text is.
struct Size<'a>(&'a str);

impl fmt::Debug for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
