use std::fmt;
use std::time::Instant;

use super::ledger::Spend;
use super::number::{GroupNo, JobNo, ServerNo};

/// What the driver of a batch must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum BatchAction {
    /// Abort a job that runs. It still has to be told how it ended.
    AbortJob(JobNo),
    /// Tell whoever watches that the budget is spent. Comes once at most.
    BudgetSpent(Spend),
    /// A job is over, and how it ended last is how it ended.
    EndJob {
        /// Which.
        job: JobNo,
        /// Why it never began; `None` when it did.
        not_run: Option<NotRun>,
    },
    /// Over: all jobs have ended and no server is left. Nothing follows.
    Finished,
    /// Tell whoever watches that a job failed and will be tried again. Nothing else is to be done.
    Repeat {
        /// Which.
        job: JobNo,
        /// Not before.
        at: Instant,
    },
    /// Begin a job.
    StartJob {
        /// Which.
        job: JobNo,
        /// Where.
        server: ServerNo,
        /// How often it was begun, this time included.
        attempt: u32,
    },
    /// Start a server, or find out whether one that is given can be reached.
    StartServer {
        /// Which.
        server: ServerNo,
        /// For whose jobs; `None` for one that is given, which takes all.
        group: Option<GroupNo>,
    },
    /// Stop a server, also one that is still being started, and tell when it is gone.
    StopServer(ServerNo),
    /// Nothing to do until there is another input, or until the wake: then call
    /// [`handle_timeout`](super::Batch::handle_timeout).
    Wait(Option<Instant>),
}

/// How a job ended on its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStop {
    /// As it should, or in a way that says nothing about the server.
    Done,
    /// For good: another try would not end better, or must not be made.
    Failed,
    /// Before its prompt was accepted: it can be repeated safely.
    NotAccepted,
    /// By no fault of its own, after its prompt was accepted, or perhaps was: what it did until then would be done twice.
    Broken,
}

/// Why a job never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRun {
    /// The budget was spent before.
    BudgetSpent,
    /// The batch was cancelled before.
    Cancelled,
    /// The batch was halted before.
    Halted,
    /// No server could be had for it.
    NoServer,
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BudgetSpent => "not begun: the budget was spent",
            Self::Cancelled => "not begun: the batch was cancelled",
            Self::Halted => "not begun: the batch was halted",
            Self::NoServer => "not begun: there was no server for it",
        })
    }
}
