use std::fmt;

use opencode_config::ModelRef;

use super::{PromptFile, Size};

/// One part of a [`Prompt`](super::Prompt).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum PromptPart {
    /// Name of an agent that the model is asked to call as a subagent.
    Agent(String),
    /// An attached file.
    File(PromptFile),
    /// A task for a subagent, which starts without a call of the model.
    Subtask(Box<Subtask>),
    /// Text of the prompt.
    Text(String),
}

/// A task for a subagent. Mirrors `SubtaskPartInput`.
///
/// ```
/// use opencode_proto::{Prompt, Subtask};
///
/// let prompt = Prompt::from(Subtask::new("explore", "Find all uses of `foo`.", "uses of foo"));
/// assert_eq!(prompt.parts().len(), 1);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Subtask {
    pub(crate) agent: String,
    pub(crate) prompt: String,
    pub(crate) description: String,
    pub(crate) model: Option<ModelRef>,
    pub(crate) command: Option<String>,
}

impl PromptPart {
    /// Returns the file of a part that attaches one.
    pub fn file(&self) -> Option<&PromptFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Agent(_) | Self::Subtask(_) | Self::Text(_) => None,
        }
    }
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
    /// Creates a task: `prompt` for the subagent `agent`, and a `description` of a few words for
    /// people.
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

    /// Sets the model, in place of the subagent's.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets the name of the command behind the task.
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
