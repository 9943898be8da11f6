use std::num::NonZeroUsize;
use std::path::Path;

use opencode_config::RunConfig;
use opencode_proto::{BatchSettings, Budget, Retention};

use super::job::Job;
use super::results::BatchResults;
use crate::server::{AttachRequest, ServeRequest};

/// Request for a batch: jobs, and how to run them.
///
/// ```
/// use opencode_tokio::batch::{BatchResults, Budget};
/// use opencode_tokio::BatchRequest;
///
/// let files = ["lib.rs", "main.rs"];
/// let request = BatchRequest::new(files.map(|file| format!("Review {file}.")))
///     .with_concurrency(16)
///     .with_budget(Budget::cost(5.0))
///     .with_results(BatchResults::resume("reviews.jsonl"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchRequest {
    pub(crate) jobs: Vec<Job>,
    pub(crate) settings: BatchSettings,
    pub(crate) servers: BatchServers,
    pub(crate) results: Option<BatchResults>,
    pub(crate) turns: Retention,
}

/// Servers of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BatchServers {
    /// The jobs run on running servers. A setting of a job that a server takes at the start only is
    /// refused ([`JobError::Setting`](super::JobError::Setting)).
    Given(Vec<GivenServer>),
    /// Servers are started with this request, as many as the configurations of the jobs need.
    /// Configuration and directory come from the jobs
    /// ([`BatchError::ServeSetting`](super::BatchError::ServeSetting)).
    Started(Box<ServeRequest>),
}

/// A running server, and the part of the server in a batch. The sessions of the jobs stay on the
/// server.
///
/// A server whose port refuses connections is given up after about 10 seconds
/// ([`HubSettings::with_no_listener_limit`](crate::server::HubSettings::with_no_listener_limit), by
/// [`AttachRequest::with_events`]), a server that does not answer after 2 minutes
/// ([`HubSettings::with_give_up`](crate::server::HubSettings::with_give_up)). Jobs that the server
/// had accepted end with [`TurnEnd::ServerLost`](crate::TurnEnd::ServerLost); other jobs begin on
/// other servers, at once. The server is tried again ([`BatchSettings::server_retry`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GivenServer {
    pub(crate) attach: AttachRequest,
    pub(crate) jobs_max: NonZeroUsize,
}

impl BatchRequest {
    /// Creates a request for these jobs, with the defaults for everything else. Anything that
    /// becomes a prompt becomes a job.
    pub fn new<J: Into<Job>>(jobs: impl IntoIterator<Item = J>) -> Self {
        Self {
            jobs: jobs.into_iter().map(Into::into).collect(),
            settings: BatchSettings::default(),
            servers: BatchServers::Started(Box::default()),
            results: None,
            turns: Retention::Keep,
        }
    }

    /// Sets the configuration of every job.
    #[must_use]
    pub fn with_config(mut self, config: &RunConfig) -> Self {
        self.jobs.iter_mut().for_each(|job| job.config.clone_from(config));
        self
    }

    /// Sets the directory of every job.
    #[must_use]
    pub fn with_directory(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        self.jobs.iter_mut().for_each(|job| job.directory = Some(directory.to_owned()));
        self
    }

    /// Sets the number of jobs that run at the same time.
    ///
    /// # Panics
    ///
    /// Panics for 0.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        let concurrency = NonZeroUsize::new(concurrency).expect("at least one job at a time");
        self.settings = self.settings.with_concurrency(concurrency);
        self
    }

    /// Sets the budget of [`settings`](Self::settings).
    ///
    /// With [`BatchResults::resume`], the spend of earlier batches counts:
    /// see [`BatchResults::budget_scope`].
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.settings = self.settings.with_budget(budget);
        self
    }

    /// Sets [`settings`](Self::settings).
    #[must_use]
    pub fn with_settings(self, settings: BatchSettings) -> Self {
        Self { settings, ..self }
    }

    /// Returns the concurrency, budget and limits of servers. The seed is replaced by a random one.
    #[must_use]
    pub fn settings(&self) -> &BatchSettings {
        &self.settings
    }

    /// Starts servers with this request: flags, port and limits. Configuration and directory belong
    /// into the jobs.
    #[must_use]
    pub fn with_serve(self, serve: ServeRequest) -> Self {
        Self { servers: BatchServers::Started(Box::new(serve)), ..self }
    }

    /// Runs the jobs on running servers.
    #[must_use]
    pub fn with_servers<S: Into<GivenServer>>(self, servers: impl IntoIterator<Item = S>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        Self { servers: BatchServers::Given(servers), ..self }
    }

    /// Sets [`results`](Self::results).
    #[must_use]
    pub fn with_results(self, results: BatchResults) -> Self {
        Self { results: Some(results), ..self }
    }

    /// Returns the file for results as they come. Default: no file.
    #[must_use]
    pub fn results(&self) -> Option<&BatchResults> {
        self.results.as_ref()
    }

    /// Sets [`turns`](Self::turns).
    #[must_use]
    pub fn with_turns(self, turns: Retention) -> Self {
        Self { turns, ..self }
    }

    /// Returns the retention of the turns of every job in the report
    /// ([`JobReport::turns`](super::JobReport::turns)). Events and records are complete in any
    /// case. Default: [`Retention::Keep`].
    #[must_use]
    pub fn turns(&self) -> Retention {
        self.turns
    }

    /// Sets the jobs in place of the existing ones.
    #[must_use]
    pub fn with_jobs(self, jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { jobs: jobs.into_iter().collect(), ..self }
    }

    /// Returns the jobs, in the order in which they begin.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Returns the servers of the jobs. Default: servers that are started for the batch.
    #[must_use]
    pub fn servers(&self) -> &BatchServers {
        &self.servers
    }
}

impl GivenServer {
    /// Creates a server at this address.
    pub fn new(attach: impl Into<AttachRequest>) -> Self {
        let jobs_max = NonZeroUsize::new(8).expect("8 is not 0");
        Self { attach: attach.into(), jobs_max }
    }

    /// Sets [`jobs_max`](Self::jobs_max).
    #[must_use]
    pub fn with_jobs_max(self, jobs_max: NonZeroUsize) -> Self {
        Self { jobs_max, ..self }
    }

    /// Returns the number of jobs that run on the server at the same time. Default: 8.
    #[must_use]
    pub fn jobs_max(&self) -> NonZeroUsize {
        self.jobs_max
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn attach(&self) -> &AttachRequest {
        &self.attach
    }
}

impl<A: Into<AttachRequest>> From<A> for GivenServer {
    fn from(attach: A) -> Self {
        Self::new(attach)
    }
}
