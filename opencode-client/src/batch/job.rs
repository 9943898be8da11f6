use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};

use opencode_config::{ModelRef, RunConfig};
use opencode_proto::{
    Deadlines, JobRetry, Pending, PermissionKind, PermissionReply, PermissionRequest, Prompt,
    QuestionKind, QuestionReply, QuestionRequest, TurnSettings,
};

use crate::log::EventLogConfig;
use crate::policy::Policy;
use crate::session::structured::AnswerSchema;
use crate::session::turn::handler::AskHandlers;

/// One prompt of a batch, in a separate session.
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
///
/// # Flags
///
/// The [flags](RunConfig::with_flags) of a job's configuration have the same effect as in a run:
///
/// - `--file`, `--command` and `--variant` go with the prompt, whose own variant comes first.
///   [`JobError::FileNotFound`](super::JobError::FileNotFound) is the end of a job whose file does
///   not exist.
/// - `--title` names the session, unless [`title`](Self::title) does.
/// - `--auto` grants every permission request.
/// - `--pure`, `--log-level` and `--print-logs` are settings of the server: only jobs with equal
///   settings share a server, and a running server cannot change the settings
///   ([`JobError::Setting`](super::JobError::Setting)).
/// - `--thinking` needs nothing: the events of a job have all reasoning.
///
/// `--attach`, `--continue`, `--session`, `--fork`, `--share`,
/// [extra flags](RunConfig::with_extra_flags), and a `--command` whose prompt is more than text are
/// refused before anything is sent ([`JobError::Flag`](super::JobError::Flag)).
///
/// # Settings that exclude each other
///
/// A job with a policy cannot have a permission handler, `--auto`, permissions in the
/// configuration, or tool switches of the prompt, and a job with a permission handler cannot have `--auto`
/// ([`JobError::Conflict`](super::JobError::Conflict)). A job with a schema cannot have a command,
/// or a prompt with an output format or without a reply
/// ([`StructuredError::Unsuitable`](crate::session::StructuredError::Unsuitable)).
#[derive(Clone)]
#[non_exhaustive]
pub struct Job {
    pub(crate) id: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) prompt: Prompt,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) config: RunConfig,
    pub(crate) answer: Option<AnswerSchema>,
    pub(crate) policy: Option<Policy>,
    pub(crate) settings: TurnSettings,
    pub(crate) retry: JobRetry,
    pub(crate) log: Option<EventLogConfig>,
    pub(super) handlers: AskHandlers,
}

impl Job {
    /// Creates a job of this prompt, with the defaults for everything else.
    pub fn new(prompt: impl Into<Prompt>) -> Self {
        Self {
            id: None,
            key: None,
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

    /// Sets [`id`](Self::id), the name in results and events.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Returns the name in results and events, unique in the batch. Default: the place in the list,
    /// from 0.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Sets [`key`](Self::key): a name of the work, in place of the fingerprint that a batch
    /// compares when it resumes.
    ///
    /// Without a key, any change of prompt, configuration, policy, schema or attached files makes a
    /// completed job run again, and be paid again. A key is for parts that change without a
    /// meaning, such as ports or tokens in the environment. The caller has to change the key when
    /// the work changes. A structured answer that does not fit the schema is run again in any case.
    ///
    /// ```
    /// use opencode_tokio::{Job, RunConfig};
    ///
    /// # let port = 4711;
    /// let config = RunConfig::new().with_env("DATABASE", format!("localhost:{port}"));
    /// let job = Job::new("List all tables.").with_config(config).with_key("tables, version 2");
    /// # drop(job);
    /// ```
    #[must_use]
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Returns the name of the work, for a batch that resumes: see [`with_key`](Self::with_key).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Sets [`title`](Self::title), the title of the session.
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Returns the title of the session. Default: that of the flags, or `job` and the id. Without a
    /// title, OpenCode would have a model invent one.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Sets [`directory`](Self::directory), the directory of the project.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Returns the directory of the project, as the machine of the server knows the directory.
    /// Default: the current directory, or that of the given server.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Sets [`config`](Self::config), the configuration with flags.
    #[must_use]
    pub fn with_config(self, config: RunConfig) -> Self {
        Self { config, ..self }
    }

    /// Returns the configuration. Agent and model go with the prompt, whose own come first. Jobs
    /// share a server when all settings of a server's start are equal.
    #[must_use]
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Sets the schema of the [`answer`](Self::answer).
    #[must_use]
    pub fn with_answer(self, answer: AnswerSchema) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// Returns the schema of the answer. An answer that does not fit is asked for again. Default:
    /// none, the answer is text.
    #[must_use]
    pub fn answer(&self) -> Option<&AnswerSchema> {
        self.answer.as_ref()
    }

    /// Sets [`policy`](Self::policy), which decides permission requests.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Returns the policy of the session. A started server gets the permissions that the policy
    /// needs; a given server is checked.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Sets the agent of the [`prompt`](Self::prompt).
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.prompt = self.prompt.with_agent(agent);
        self
    }

    /// Sets the model of the [`prompt`](Self::prompt).
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.prompt = self.prompt.with_model(model);
        self
    }

    /// Sets the deadlines of [`settings`](Self::settings).
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings = self.settings.with_deadlines(deadlines);
        self
    }

    /// Sets [`settings`](Self::settings), deadlines included.
    #[must_use]
    pub fn with_settings(self, settings: TurnSettings) -> Self {
        Self { settings, ..self }
    }

    /// Returns the deadlines and limits, for each attempt anew.
    #[must_use]
    pub fn settings(&self) -> &TurnSettings {
        &self.settings
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(self, retry: JobRetry) -> Self {
        Self { retry, ..self }
    }

    /// Returns the policy for further attempts.
    #[must_use]
    pub fn retry(&self) -> JobRetry {
        self.retry
    }

    /// Sets [`log`](Self::log): every event is written to a file, as the server sent the event.
    #[must_use]
    pub fn with_log(self, log: EventLogConfig) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Returns the file for every event. Default: no file.
    #[must_use]
    pub fn log(&self) -> Option<&EventLogConfig> {
        self.log.as_ref()
    }

    /// Returns the model of the prompt, else of the configuration.
    pub(super) fn model(&self) -> Option<&ModelRef> {
        self.prompt.model().or_else(|| self.config.model())
    }

    /// Lets `handler` decide the permission requests of the job and of all subagents. Without a
    /// handler, every request is refused, which ends the job.
    ///
    /// A [`PermissionReply::Always`] holds for this job alone; OpenCode would apply such a reply to
    /// all jobs of the server.
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

    /// Lets `handler` answer the questions of the job and of all subagents. Without a handler,
    /// questions are dismissed, which ends the job.
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

    /// Returns the prompt for the agent.
    #[must_use]
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
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
            .field("key", &self.key)
            .field("prompt", &self.prompt)
            .field("directory", &self.directory)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
