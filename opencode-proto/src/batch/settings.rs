use std::num::NonZeroUsize;
use std::time::Duration;

use super::ledger::Budget;
use super::number::GroupNo;
use crate::retry::RetryPolicy;

/// How a [`Batch`](super::Batch) is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchSettings {
    /// How many jobs run at once, on all servers together. Default: 8.
    pub concurrency: NonZeroUsize,
    /// How many jobs run at once on a server that is started. Default: 32.
    pub server_jobs_max: NonZeroUsize,
    /// How many servers may run at once, of those that are started. Each takes about half a gigabyte. Default: 4.
    pub servers_max: NonZeroUsize,
    /// How much memory a server may take, in bytes, before it gets no more jobs and another is started in its place.
    /// `None`: any. Default: 2 GiB.
    pub server_memory_max: Option<u64>,
    /// How often and how soon a server is tried, when none of its jobs ends properly in between. Default: 4 times, with a
    /// second before the second, so that one that is started anew elsewhere is waited for.
    pub server_retry: RetryPolicy,
    /// What may be used. Default: anything.
    pub budget: Budget,
    /// Where the chance in pauses comes from: batches that start together should differ.
    pub seed: u64,
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
            seed: 0,
        }
    }
}

/// Where the servers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fleet {
    /// They are there. Each takes any job, and this many at once.
    Given(Vec<NonZeroUsize>),
    /// They are started as they are needed, for each group its own.
    Started,
}

/// What has to be known of a job.
#[derive(Clone, Copy, Debug)]
pub struct BatchJob {
    /// Jobs of one group can have one server.
    pub group: GroupNo,
    /// When it is tried again.
    pub retry: JobRetry,
}

/// When a job that failed by no fault of its own is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRetry {
    /// How often, and how soon. Default: 3 times in all.
    pub policy: RetryPolicy,
    /// Whether what an earlier try may have done matters.
    pub again: Again,
}

/// When a job may be run a second time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Also when its prompt was accepted, or may have been, and then the server was lost. What it did until then is
    /// done, and paid, twice.
    Accepted,
    /// Only when its prompt was not accepted.
    #[default]
    NotAccepted,
}

impl Default for JobRetry {
    fn default() -> Self {
        Self { policy: RetryPolicy::default().with_attempts_max(3), again: Again::NotAccepted }
    }
}

impl JobRetry {
    /// Every job begins once.
    pub const NONE: Self = Self { policy: RetryPolicy::NONE, again: Again::NotAccepted };

    /// Sets [`again`](Self::again).
    #[must_use]
    pub const fn with_again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    /// Sets [`policy`](Self::policy).
    #[must_use]
    pub const fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }
}
