use std::fmt;
use std::time::Instant;

use serde::Serialize;

use super::number::{GroupNo, JobNo, ServerNo};
use crate::part::Spend;

/// Next task for the driver of a [`Batch`](super::Batch).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum BatchAction {
    /// Abort a job that runs, or the work that a job has left. The end still has to be passed on.
    AbortJob(JobNo),
    /// Report that the budget is spent. Comes at most once. Holds the spend of this batch
    /// and of the earlier batches that count.
    BudgetSpent(Spend),
    /// Report the end of a job, which is the end of the last attempt.
    EndJob {
        /// The job.
        job: JobNo,
        /// Reason for which the job never began; `None` when it did.
        skipped: Option<SkipReason>,
    },
    /// The batch is over: all jobs have ended and no server is left. No action follows.
    Finished,
    /// Report that a job failed and will be tried again.
    Repeat {
        /// The job.
        job: JobNo,
        /// Time before which the job does not begin.
        at: Instant,
    },
    /// Begin an attempt of a job.
    StartJob {
        /// The job.
        job: JobNo,
        /// Server of the attempt.
        server: ServerNo,
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// Start a server, or find out whether a given one can be reached.
    StartServer {
        /// The server.
        server: ServerNo,
        /// Group whose jobs the server takes; `None` for a given one, which takes all jobs.
        group: Option<GroupNo>,
    },
    /// Stop a server, also one that is still being started, and pass on when it is gone.
    StopServer(ServerNo),
    /// Wait for the next input. At the given time, if any, call
    /// [`handle_timeout`](super::Batch::handle_timeout).
    Wait(Option<Instant>),
}

/// End of an attempt, as far as it matters for the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStop {
    /// The prompt was accepted, or may have been, and the server failed. The work of the attempt
    /// would be done twice.
    Broken,
    /// The job ended properly, or in a way that shows nothing about the server.
    Done,
    /// The job failed for good: another try would end alike, or must not be made.
    Failed,
    /// The prompt was not accepted. The job can be repeated safely.
    NotAccepted,
}

/// Reason for which a job never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The budget was spent.
    BudgetSpent,
    /// The batch was cancelled.
    Cancelled,
    /// The batch was halted.
    Halted,
    /// No server was available.
    NoServer,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BudgetSpent => "the job did not begin: the budget was spent",
            Self::Cancelled => "the job did not begin: the batch was cancelled",
            Self::Halted => "the job did not begin: the batch was halted",
            Self::NoServer => "the job did not begin: no server was available",
        })
    }
}
