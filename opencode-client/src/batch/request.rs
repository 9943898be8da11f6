use std::num::NonZeroUsize;
use std::path::Path;

use opencode_config::RunConfig;
use opencode_proto::{BatchSettings, Budget, Retention};

use super::job::Job;
use super::results::BatchResults;
use crate::server::{AttachRequest, ServeRequest};

/// Jobs, and how to run them.
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
    /// The jobs, in the order in which they begin.
    pub jobs: Vec<Job>,
    /// How many at once, what they may use, and when a server is given up. The seed is replaced by one of ours.
    pub settings: BatchSettings,
    /// Where they run. Default: on servers that are started for them.
    pub servers: BatchServers,
    /// Where results are written to as they come. Default: nowhere.
    pub results: Option<BatchResults>,
    /// Whether the report has what every job said and did ([`JobReport::turns`](super::JobReport::turns)). The events
    /// and the records have it anyway, as far as they go. Default: [`Retention::Keep`].
    pub turns: Retention,
}

/// Where the jobs of a batch run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BatchServers {
    /// On these, which run already. What a job needs a server of its own for is refused.
    Given(Vec<GivenServer>),
    /// On servers that are started like this, as many as the configurations of the jobs need. Their configuration
    /// takes the place of the one in here.
    Started(Box<ServeRequest>),
}

/// A server that runs already, and its part of a batch. The sessions of the jobs stay there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GivenServer {
    /// Where it is.
    pub attach: AttachRequest,
    /// How many jobs it takes at once. Default: 8.
    pub jobs_max: NonZeroUsize,
}

impl BatchRequest {
    /// These jobs, with the defaults for everything else. What can be a prompt can be a job.
    pub fn new<J: Into<Job>>(jobs: impl IntoIterator<Item = J>) -> Self {
        Self {
            jobs: jobs.into_iter().map(Into::into).collect(),
            settings: BatchSettings::default(),
            servers: BatchServers::Started(Box::default()),
            results: None,
            turns: Retention::Keep,
        }
    }

    /// With this configuration for each of the jobs.
    #[must_use]
    pub fn with_config(mut self, config: &RunConfig) -> Self {
        self.jobs.iter_mut().for_each(|job| job.config.clone_from(config));
        self
    }

    /// In this project, each of the jobs.
    #[must_use]
    pub fn with_directory(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        self.jobs.iter_mut().for_each(|job| job.directory = Some(directory.to_owned()));
        self
    }

    /// With this many jobs at once.
    ///
    /// # Panics
    ///
    /// When that is none.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.settings.concurrency =
            NonZeroUsize::new(concurrency).expect("a batch with no job at once has no end");
        self
    }

    /// With this budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// With these settings.
    #[must_use]
    pub fn with_settings(self, settings: BatchSettings) -> Self {
        Self { settings, ..self }
    }

    /// On servers that are started like this.
    #[must_use]
    pub fn with_serve(self, serve: ServeRequest) -> Self {
        Self { servers: BatchServers::Started(Box::new(serve)), ..self }
    }

    /// On these servers, which run already.
    #[must_use]
    pub fn with_servers<S: Into<GivenServer>>(self, servers: impl IntoIterator<Item = S>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        Self { servers: BatchServers::Given(servers), ..self }
    }

    /// With results written to a file.
    #[must_use]
    pub fn with_results(self, results: BatchResults) -> Self {
        Self { results: Some(results), ..self }
    }

    /// Sets [`turns`](Self::turns).
    #[must_use]
    pub fn with_turns(self, turns: Retention) -> Self {
        Self { turns, ..self }
    }
}

impl GivenServer {
    /// The server there.
    pub fn new(attach: impl Into<AttachRequest>) -> Self {
        let jobs_max = NonZeroUsize::new(8).expect("8 is not 0");
        Self { attach: attach.into(), jobs_max }
    }

    /// Sets [`jobs_max`](Self::jobs_max).
    #[must_use]
    pub fn with_jobs_max(self, jobs_max: NonZeroUsize) -> Self {
        Self { jobs_max, ..self }
    }
}

impl<A: Into<AttachRequest>> From<A> for GivenServer {
    fn from(attach: A) -> Self {
        Self::new(attach)
    }
}
