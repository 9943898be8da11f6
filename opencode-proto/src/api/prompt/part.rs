use std::fmt;

use opencode_config::ModelRef;

use super::{PromptFile, Size};

/// A piece of a [`Prompt`](super::Prompt).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum PromptPart {
    /// Names an agent: the model is told to call it as a subagent.
    Agent(String),
    /// A file.
    File(PromptFile),
    /// A task for a subagent, started without asking the model.
    Subtask(Box<Subtask>),
    /// Text.
    Text(String),
}

/// A task for a subagent. Mirrors `SubtaskPartInput`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Subtask {
    /// The subagent.
    pub(crate) agent: String,
    /// What it is asked.
    pub(crate) prompt: String,
    /// What it does, in a few words for people.
    pub(crate) description: String,
    /// The model to ask. `None`: the subagent's.
    pub(crate) model: Option<ModelRef>,
    /// The command that this comes from.
    pub(crate) command: Option<String>,
}

impl From<&str> for PromptPart {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for PromptPart {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<PromptFile> for PromptPart {
    fn from(file: PromptFile) -> Self {
        Self::File(file)
    }
}

impl From<Subtask> for PromptPart {
    fn from(task: Subtask) -> Self {
        Self::Subtask(Box::new(task))
    }
}

impl Subtask {
    /// Asks `agent` this; `description` says it in a few words for people.
    pub fn new(
        agent: impl Into<String>,
        prompt: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self {
            agent: agent.into(),
            prompt: prompt.into(),
            description: description.into(),
            model: None,
            command: None,
        }
    }

    /// Asks this model.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Names the command that this comes from.
    #[must_use]
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

impl fmt::Debug for PromptPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => f.debug_tuple("Agent").field(name).finish(),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Subtask(task) => f.debug_tuple("Subtask").field(task).finish(),
            Self::Text(text) => f.debug_tuple("Text").field(&Size(text)).finish(),
        }
    }
}

impl fmt::Debug for Subtask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subtask")
            .field("agent", &self.agent)
            .field("prompt", &Size(&self.prompt))
            .field("description", &Size(&self.description))
            .field("model", &self.model)
            .field("command", &self.command)
            .finish()
    }
}
