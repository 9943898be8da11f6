use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{JobNo, ServerNo, SessionId, Spend, TurnEvent};

use super::report::JobReport;

/// What happens in a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BatchEvent {
    /// The budget is spent. No job begins any more; whether those that run are aborted was said with the budget.
    BudgetSpent(Spend),
    /// A job is over. In the order in which they end; each job ends once.
    JobEnded(Arc<JobReport>),
    /// Something happened in a job that runs: a permission is asked for, text comes, a tool is called …
    #[non_exhaustive]
    JobEvent {
        /// Which job.
        job: JobNo,
        /// What.
        event: Box<TurnEvent>,
    },
    /// A job failed by no fault of its own and will be tried again.
    #[non_exhaustive]
    JobRetrying {
        /// Which job.
        job: JobNo,
        /// Why.
        reason: String,
        /// After how long at the soonest.
        delay: Duration,
    },
    /// A job has a session on a server, and its prompt is about to be sent.
    #[non_exhaustive]
    JobStarted {
        /// Which job.
        job: JobNo,
        /// How often it was begun, this time included.
        attempt: u32,
        /// Where.
        server: ServerNo,
        /// Its session.
        session: SessionId,
    },
    /// A server could not be started or reached, or was lost.
    #[non_exhaustive]
    ServerFailed {
        /// Which.
        server: ServerNo,
        /// Why.
        reason: String,
    },
    /// A server takes jobs.
    #[non_exhaustive]
    ServerReady {
        /// Which.
        server: ServerNo,
        /// Where.
        url: String,
    },
    /// A server is being started or reached.
    ServerStarting(ServerNo),
    /// A server is not used any more, and gone if it was started for the batch.
    ServerStopped(ServerNo),
}
