use std::num::NonZeroUsize;
use std::time::Duration;

use super::ledger::Budget;
use crate::part::Spend;
use crate::retry::RetryPolicy;

/// Settings of a [`Batch`](super::Batch).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchSettings {
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) server_jobs_max: NonZeroUsize,
    pub(crate) servers_max: NonZeroUsize,
    pub(crate) server_memory_max: Option<u64>,
    pub(crate) server_retry: RetryPolicy,
    pub(crate) budget: Budget,
    pub(crate) spent: Spend,
    pub(crate) seed: u64,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            concurrency: NonZeroUsize::new(8).expect("8 is not 0"),
            server_jobs_max: NonZeroUsize::new(32).expect("32 is not 0"),
            servers_max: NonZeroUsize::new(4).expect("4 is not 0"),
            server_memory_max: Some(2 << 30),
            server_retry: RetryPolicy::default()
                .with_attempts_max(4)
                .with_delay_first(Duration::from_secs(1)),
            budget: Budget::NONE,
            spent: Spend::default(),
            seed: 0,
        }
    }
}

impl BatchSettings {
    /// Creates the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(self, concurrency: NonZeroUsize) -> Self {
        Self { concurrency, ..self }
    }

    /// Returns the number of jobs that run at the same time, on all servers together. A job whose
    /// server was lost does not count. Default: 8.
    #[must_use]
    pub fn concurrency(&self) -> NonZeroUsize {
        self.concurrency
    }

    /// Sets [`server_jobs_max`](Self::server_jobs_max).
    #[must_use]
    pub fn with_server_jobs_max(self, server_jobs_max: NonZeroUsize) -> Self {
        Self { server_jobs_max, ..self }
    }

    /// Returns the number of jobs that run at the same time on a started server. Default: 32.
    #[must_use]
    pub fn server_jobs_max(&self) -> NonZeroUsize {
        self.server_jobs_max
    }

    /// Sets [`servers_max`](Self::servers_max).
    #[must_use]
    pub fn with_servers_max(self, servers_max: NonZeroUsize) -> Self {
        Self { servers_max, ..self }
    }

    /// Returns the number of started servers that exist at the same time. Each takes about half a
    /// gigabyte. Default: 4.
    #[must_use]
    pub fn servers_max(&self) -> NonZeroUsize {
        self.servers_max
    }

    /// Sets [`server_memory_max`](Self::server_memory_max).
    #[must_use]
    pub fn with_server_memory_max(self, server_memory_max: impl Into<Option<u64>>) -> Self {
        Self { server_memory_max: server_memory_max.into(), ..self }
    }

    /// Returns the memory of a started server, in bytes, above which the server gets no more jobs
    /// and is replaced. `None` is no limit. Default: 2 GiB.
    #[must_use]
    pub fn server_memory_max(&self) -> Option<u64> {
        self.server_memory_max
    }

    /// Sets [`server_retry`](Self::server_retry).
    #[must_use]
    pub fn with_server_retry(self, server_retry: RetryPolicy) -> Self {
        Self { server_retry, ..self }
    }

    /// Returns the policy for tries of a server while no job ends properly there. Default: 4 tries,
    /// the second after a second, so that a server that is restarted elsewhere is waited for.
    #[must_use]
    pub fn server_retry(&self) -> RetryPolicy {
        self.server_retry
    }

    /// Sets [`budget`](Self::budget).
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Returns the limit of the spend. Default: none.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// Sets [`spent`](Self::spent).
    #[must_use]
    pub fn with_spent(self, spent: Spend) -> Self {
        Self { spent, ..self }
    }

    /// Returns the spend of earlier batches that counts for the budget. Default: nothing.
    #[must_use]
    pub fn spent(&self) -> Spend {
        self.spent
    }

    /// Sets the seed of the random part of pauses.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Returns the seed of the random part of pauses. Batches that start together should differ.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Origin of the servers of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fleet {
    /// The servers run already. Each takes any job, and this many at the same time.
    Given(Vec<NonZeroUsize>),
    /// Servers are started on demand, separate ones for each group.
    Started,
}

/// Retry policy of a job that failed through no fault of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRetry {
    pub(crate) policy: RetryPolicy,
    pub(crate) again: RetryScope,
}

/// Attempts of a job that may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryScope {
    /// Also an attempt whose prompt was accepted, or may have been, before the server was lost. The
    /// work of that attempt is done, and paid, twice.
    Accepted,
    /// Only an attempt whose prompt was not accepted.
    #[default]
    NotAccepted,
}

impl Default for JobRetry {
    fn default() -> Self {
        let policy = RetryPolicy::default().with_attempts_max(3);
        Self { policy, again: RetryScope::NotAccepted }
    }
}

impl JobRetry {
    /// Policy of a single attempt.
    pub const NONE: Self = Self { policy: RetryPolicy::NONE, again: RetryScope::NotAccepted };

    /// Sets [`again`](Self::again).
    #[must_use]
    pub const fn with_again(mut self, again: RetryScope) -> Self {
        self.again = again;
        self
    }

    /// Returns the attempts that may be repeated. Default: only those whose prompt was not
    /// accepted.
    #[must_use]
    pub fn again(&self) -> RetryScope {
        self.again
    }

    /// Sets [`policy`](Self::policy).
    #[must_use]
    pub const fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Returns the number of attempts, and the pauses between them. Default: 3 attempts.
    #[must_use]
    pub fn policy(&self) -> RetryPolicy {
        self.policy
    }
}
