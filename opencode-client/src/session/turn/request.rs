use std::fmt;
use std::future::Future;
use std::mem;

use opencode_config::ModelRef;
use opencode_proto::api::{Pending, PermissionReply, Prompt, PromptFile, PromptReply};
use opencode_proto::{
    Deadlines, PermissionRequest, QuestionReply, QuestionRequest, TurnKind, TurnSettings,
};

use super::handler::{Answerers, Taker};
use crate::log::EventLogConfig;

/// What to have a session do, and how.
///
/// ```
/// use std::time::Duration;
/// use opencode_client::{Deadlines, PermissionReply, Prompt, TurnRequest};
///
/// let request = TurnRequest::new(Prompt::from("Tidy up.").with_agent("build"))
///     .with_deadlines(Deadlines::default().with_overall(Duration::from_secs(300)))
///     .on_permission(|ask| async move {
///         if ask.request.permission == "bash" { PermissionReply::reject() } else { PermissionReply::Once }
///     });
/// # drop(request);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct TurnRequest {
    pub(super) work: Work,
    /// How it is watched.
    pub settings: TurnSettings,
    /// Where to write every event as it comes.
    pub log: Option<EventLogConfig>,
    pub(crate) answerers: Answerers,
}

/// What a turn begins with.
#[derive(Clone)]
pub(super) enum Work {
    Command {
        command: String,
        arguments: String,
        agent: Option<String>,
        model: Option<ModelRef>,
        variant: Option<String>,
        files: Vec<PromptFile>,
    },
    Init {
        model: ModelRef,
    },
    Prompt(Prompt),
    Shell {
        agent: String,
        command: String,
    },
}

impl TurnRequest {
    /// Sends a prompt.
    pub fn new(prompt: impl Into<Prompt>) -> Self {
        let prompt = prompt.into();
        let kind = match prompt.reply() {
            PromptReply::NoReply => TurnKind::NoReply,
            PromptReply::Reply => TurnKind::Prompt,
        };
        Self::of(Work::Prompt(prompt), kind)
    }

    /// Runs a command (`/review` and the like; the name without the slash). `POST /session/{sessionID}/command`.
    pub fn command(command: impl Into<String>, arguments: impl Into<String>) -> Self {
        let work = Work::Command {
            command: command.into(),
            arguments: arguments.into(),
            agent: None,
            model: None,
            variant: None,
            files: Vec::new(),
        };
        Self::of(work, TurnKind::Prompt)
    }

    /// Runs a command line in the session's directory and puts it and its output into the conversation, in the name of
    /// this agent. Nobody is asked, and no model answers. `POST /session/{sessionID}/shell`.
    pub fn shell(agent: impl Into<String>, command: impl Into<String>) -> Self {
        Self::of(Work::Shell { agent: agent.into(), command: command.into() }, TurnKind::Shell)
    }

    /// Has a model look at the project and write `AGENTS.md`. `POST /session/{sessionID}/init`.
    pub fn init(model: ModelRef) -> Self {
        Self::of(Work::Init { model }, TurnKind::Prompt)
    }

    fn of(work: Work, kind: TurnKind) -> Self {
        let settings = TurnSettings::default().with_kind(kind);
        Self { work, settings, log: None, answerers: Answerers::default() }
    }

    /// With these deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings.deadlines = deadlines;
        self
    }

    /// With these settings; the kind of turn stays.
    #[must_use]
    pub fn with_settings(mut self, settings: TurnSettings) -> Self {
        self.settings = settings.with_kind(self.settings.kind);
        self
    }

    /// With this agent, for a prompt or a command.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        match &mut self.work {
            Work::Command { agent: slot, .. } => *slot = Some(agent.into()),
            Work::Prompt(prompt) => *prompt = mem::take(prompt).with_agent(agent),
            Work::Shell { agent: slot, .. } => *slot = agent.into(),
            Work::Init { .. } => {}
        }
        self
    }

    /// With this model, for whatever a model answers.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        match &mut self.work {
            Work::Command { model: slot, .. } => *slot = Some(model),
            Work::Init { model: slot } => *slot = model,
            Work::Prompt(prompt) => *prompt = mem::take(prompt).with_model(model),
            Work::Shell { .. } => {}
        }
        self
    }

    /// With this variant of the model, for example `high`, for a prompt or a command.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        match &mut self.work {
            Work::Command { variant: slot, .. } => *slot = Some(variant.into()),
            Work::Prompt(prompt) => *prompt = mem::take(prompt).with_variant(variant),
            Work::Init { .. } | Work::Shell { .. } => {}
        }
        self
    }

    /// With this file, for a prompt or a command.
    #[must_use]
    pub fn with_file(mut self, file: PromptFile) -> Self {
        match &mut self.work {
            Work::Command { files, .. } => files.push(file),
            Work::Prompt(prompt) => *prompt = mem::take(prompt).with_part(file),
            Work::Init { .. } | Work::Shell { .. } => {}
        }
        self
    }

    /// Lets `handler` decide what this turn asks permission for, in place of the session's handler.
    #[must_use]
    pub fn on_permission<R>(
        mut self,
        handler: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        self.answerers.set_permission(handler);
        self
    }

    /// Lets `handler` answer what this turn asks, in place of the session's handler.
    #[must_use]
    pub fn on_question<R>(
        mut self,
        handler: impl Fn(Pending<QuestionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = QuestionReply> + Send + 'static,
    {
        self.answerers.set_question(handler);
        self
    }

    /// Hands what is asked to whoever reads the stream: see [`TurnStream::take_ask`](super::TurnStream::take_ask).
    /// Handlers of this turn come first, those of the session are not asked.
    #[must_use]
    pub fn with_asks_in_stream(mut self) -> Self {
        self.answerers.taker = Taker::Reader;
        self
    }

    /// With every event written to a file, as the server sent it.
    #[must_use]
    pub fn with_log(mut self, log: EventLogConfig) -> Self {
        self.log = Some(log);
        self
    }

    /// What is said, if that is what it does.
    pub(crate) fn prompt_mut(&mut self) -> Option<&mut Prompt> {
        match &mut self.work {
            Work::Prompt(prompt) => Some(prompt),
            Work::Command { .. } | Work::Init { .. } | Work::Shell { .. } => None,
        }
    }

    /// Leaves the rules of the session as they are: switches of tools would take their place, for good.
    pub(crate) fn keep_rules(&mut self) {
        if let Work::Prompt(prompt) = &mut self.work
            && !prompt.tools().is_empty()
        {
            tracing::warn!("a session under a policy takes no switches of tools");
            *prompt = mem::take(prompt).without_tools();
        }
    }

    pub(super) fn model(&self) -> Option<&ModelRef> {
        match &self.work {
            Work::Command { model, .. } => model.as_ref(),
            Work::Init { model } => Some(model),
            Work::Prompt(prompt) => prompt.model(),
            Work::Shell { .. } => None,
        }
    }
}

impl<P: Into<Prompt>> From<P> for TurnRequest {
    fn from(prompt: P) -> Self {
        Self::new(prompt)
    }
}

impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnRequest")
            .field("work", &self.work)
            .field("settings", &self.settings)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { command, arguments, .. } => f
                .debug_struct("Command")
                .field("command", command)
                .field("arguments_size", &arguments.len())
                .finish_non_exhaustive(),
            Self::Init { model } => f.debug_struct("Init").field("model", model).finish(),
            Self::Prompt(prompt) => prompt.fmt(f),
            Self::Shell { command, .. } => f
                .debug_struct("Shell")
                .field("command_size", &command.len())
                .finish_non_exhaustive(),
        }
    }
}
