//! Prompts of a session.

mod attachment;
mod file;
mod part;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use opencode_config::{ModelRef, ToolSwitch};

pub use attachment::{AttachmentError, AttachmentFault, FileContent};
pub use file::PromptFile;
pub use part::{PromptPart, Subtask};
pub(super) use wire::{WireModel, WirePrompt, WirePromptPart};

use crate::json::RawJson;

/// One message to a session, with the settings of the answer. Mirrors the body of
/// `POST /session/{sessionID}/prompt_async`.
///
/// ```
/// use opencode_proto::{Prompt, PromptFile};
///
/// let prompt = Prompt::from("Describe the image.")
///     .with_part(PromptFile::path("/src/app/logo.png"))
///     .with_agent("plan");
/// assert_eq!((prompt.parts().len(), prompt.agent()), (2, Some("plan")));
/// ```
///
/// `Debug` shows sizes in place of texts and files.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Prompt {
    pub(crate) parts: Vec<PromptPart>,
    pub(crate) model: Option<ModelRef>,
    pub(crate) agent: Option<String>,
    pub(crate) system: Option<String>,
    pub(crate) variant: Option<String>,
    pub(crate) tools: BTreeMap<String, ToolSwitch>,
    pub(crate) reply: PromptReply,
    pub(crate) format: OutputFormat,
}

/// Answer setting of a [`Prompt`].
///
/// Exhaustive on purpose: this is OpenCode's truth value `noReply`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptReply {
    /// The message is only stored. No turn begins or ends.
    NoReply,
    /// The model answers.
    #[default]
    Reply,
}

/// Requested form of an answer. Mirrors `OutputFormat`.
///
/// ```
/// use opencode_proto::{OutputFormat, Prompt, RawJson};
///
/// let schema = RawJson::parse(r#"{"type":"object","properties":{"stars":{"type":"integer"}}}"#)?;
/// let prompt = Prompt::from("Rate it.").with_format(OutputFormat::json_schema(schema));
/// # let _ = prompt;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputFormat {
    /// JSON of this schema. OpenCode makes the model call a tool with the value, which becomes
    /// [`MessageInfo::structured`](crate::MessageInfo::structured).
    ///
    /// OpenCode 1.18.33 neither checks the value nor tries again, and cannot list the messages of
    /// such a session any more ([`ListMessages`](super::ListMessages)).
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
    /// Creates a prompt without parts.
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

    /// Returns the variant of the model; `None` for the model's own settings.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns the answer setting.
    pub fn reply(&self) -> PromptReply {
        self.reply
    }

    /// Returns the form of the answer.
    pub fn format(&self) -> &OutputFormat {
        &self.format
    }

    /// Returns the tools to switch on and off, by name.
    pub fn tools(&self) -> &BTreeMap<String, ToolSwitch> {
        &self.tools
    }

    /// Adds a part.
    #[must_use]
    pub fn with_part(mut self, part: impl Into<PromptPart>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Sets the model to ask.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets the agent to answer.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Adds a text to the system prompt of this turn.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// Sets the variant of the model, for example `high`.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Switches a tool on or off, by name.
    ///
    /// OpenCode replaces all permission rules of the session by these switches, for good. A
    /// [`Turn`](crate::Turn) makes switches hold for one prompt: the next prompt takes them back.
    /// Where that is impossible, nothing is posted
    /// ([`TurnEnd::ToolSwitches`](crate::TurnEnd::ToolSwitches)): the session has rules of its own,
    /// or a command follows. The rules of [`UpdateSession`](super::UpdateSession) are added to the
    /// existing ones instead.
    #[must_use]
    pub fn with_tool(mut self, name: impl Into<String>, switch: ToolSwitch) -> Self {
        self.tools.insert(name.into(), switch);
        self
    }

    /// Sets whether the model answers.
    #[must_use]
    pub fn with_reply(mut self, reply: PromptReply) -> Self {
        self.reply = reply;
        self
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn with_format(mut self, format: OutputFormat) -> Self {
        self.format = format;
        self
    }

    /// Resolves the relative paths of attached files against this directory. The server would take
    /// them as absolute.
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
}

impl<P: Into<PromptPart>> From<P> for Prompt {
    fn from(part: P) -> Self {
        Self::new().with_part(part)
    }
}

impl OutputFormat {
    /// Requests JSON of this schema.
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

/// Shows the size in place of a text.
struct Size<'a>(&'a str);

impl fmt::Debug for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
