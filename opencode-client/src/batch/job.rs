use std::fmt;
use std::future::Future;
use std::path::PathBuf;

use opencode_config::{ModelRef, RunConfig};
use opencode_proto::{
    Deadlines, JobRetry, Pending, PermissionKind, PermissionReply, PermissionRequest, Prompt,
    QuestionKind, QuestionReply, QuestionRequest, TurnSettings,
};

use crate::log::EventLogConfig;
use crate::policy::Policy;
use crate::session::structured::AnswerSchema;
use crate::session::turn::handler::AskHandlers;

/// One prompt of a batch, in a session of its own.
///
/// ```
/// use opencode_tokio::{Job, Permissions, RunConfig};
///
/// let config = RunConfig::new().with_permission(Permissions::new().deny("*").allow("read"));
/// let job = Job::new("Which licence does this project have?")
///     .with_id("licence")
///     .with_directory("/src/crate")
///     .with_config(config);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Job {
    /// What it is called in results and events; no two jobs of a batch may be called the same. Default: its place in the
    /// list, from 0.
    pub id: Option<String>,
    /// The title of its session. Default: one that is made of its id. OpenCode would have a model think of one.
    pub title: Option<String>,
    /// What the agent is told.
    pub prompt: Prompt,
    /// The project's directory, for a server that runs elsewhere as its machine knows it. Default: the current one, or
    /// the one in which the server was started.
    pub directory: Option<PathBuf>,
    /// What to run. Agent and model are told with the prompt, unless it names others. Everything else is what a server
    /// is started with: jobs share one when it is the same. Flags of `opencode run` have no meaning here.
    pub config: RunConfig,
    /// What its answer has to look like; it is asked again until it does. Default: text.
    pub answer: Option<AnswerSchema>,
    /// What it may do, decided by us. Its server is started with what that needs in place of the configuration's
    /// permissions; one that runs already is asked whether it has it. A handler for permissions is not asked then. Default: what the
    /// configuration says.
    pub policy: Option<Policy>,
    /// How it is watched; its deadlines are the job's, each time it is tried.
    pub settings: TurnSettings,
    /// When it is tried again.
    pub retry: JobRetry,
    /// Where to write every event as it comes.
    pub log: Option<EventLogConfig>,
    pub(super) handlers: AskHandlers,
}

impl Job {
    /// This prompt, with the defaults for everything else.
    pub fn new(prompt: impl Into<Prompt>) -> Self {
        Self {
            id: None,
            title: None,
            prompt: prompt.into(),
            directory: None,
            config: RunConfig::default(),
            answer: None,
            policy: None,
            settings: TurnSettings::default(),
            retry: JobRetry::default(),
            log: None,
            handlers: AskHandlers::default(),
        }
    }

    /// Sets [`id`](Self::id).
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets [`title`](Self::title).
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// In this project.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// With this configuration.
    #[must_use]
    pub fn with_config(self, config: RunConfig) -> Self {
        Self { config, ..self }
    }

    /// With an answer that fits this schema.
    #[must_use]
    pub fn with_answer(self, answer: AnswerSchema) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// Under this policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// With this agent.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.prompt = self.prompt.with_agent(agent);
        self
    }

    /// With this model.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.prompt = self.prompt.with_model(model);
        self
    }

    /// With these deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings.deadlines = deadlines;
        self
    }

    /// With these settings, deadlines included.
    #[must_use]
    pub fn with_settings(self, settings: TurnSettings) -> Self {
        Self { settings, ..self }
    }

    /// Tried again like this.
    #[must_use]
    pub fn with_retry(self, retry: JobRetry) -> Self {
        Self { retry, ..self }
    }

    /// With every event written to a file, as the server sent it.
    #[must_use]
    pub fn with_log(self, log: EventLogConfig) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Lets `handler` decide what the job asks permission for, also what its subagents do. Without one, everything that
    /// has to be asked is refused, and the job ends there.
    ///
    /// What it answers with [`PermissionReply::Always`] holds for this job alone: OpenCode would let it hold for all jobs
    /// of the server.
    #[must_use]
    pub fn on_permission<R>(
        mut self,
        handler: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        self.handlers.set::<PermissionKind, R>(handler);
        self
    }

    /// Lets `handler` answer the questions of the job, also those of its subagents. Without one, they are dismissed, and
    /// the job ends there.
    #[must_use]
    pub fn on_question<R>(
        mut self,
        handler: impl Fn(Pending<QuestionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = QuestionReply> + Send + 'static,
    {
        self.handlers.set::<QuestionKind, R>(handler);
        self
    }
}

impl<P: Into<Prompt>> From<P> for Job {
    fn from(prompt: P) -> Self {
        Self::new(prompt)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("prompt", &self.prompt)
            .field("directory", &self.directory)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
