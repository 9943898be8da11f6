use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{JobNo, ResumeCounts, ServerNo, SessionId, Spend, TurnEvent};
use serde::{Serialize, Serializer};

use super::report::{JobReport, milliseconds};

/// Event of a batch.
///
/// `Serialize` writes `{type, data}`, with the name of the variant in snake case as type.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BatchEvent {
    /// The budget is spent, by this spend. No job begins any more;
    /// [`Budget::over`](super::Budget::over) decides about running jobs.
    BudgetSpent(Spend),
    /// A job is over. Jobs end once each, in any order.
    JobEnded(#[serde(serialize_with = "shared")] Arc<JobReport>),
    /// A running job has an event: a permission request, text, a tool call and so on.
    #[non_exhaustive]
    JobEvent {
        /// Number of the job.
        job: JobNo,
        /// Event of the job's turn.
        event: Box<TurnEvent>,
    },
    /// A job failed through no fault of the job and will be tried again.
    #[non_exhaustive]
    JobRetrying {
        /// Number of the job.
        job: JobNo,
        /// Error of the attempt, with all causes.
        reason: String,
        /// Minimum time until the next attempt.
        #[serde(rename = "delay_ms", serialize_with = "milliseconds")]
        delay: Duration,
    },
    /// Work that went on after the end of a job is over: subagents in the background, or prompts of
    /// a plugin. The record has the spend of the work, and the sessions that still run.
    JobSettled(#[serde(serialize_with = "shared")] Arc<JobReport>),
    /// A job has a session on a server, and the prompt is about to be sent.
    #[non_exhaustive]
    JobStarted {
        /// Number of the job.
        job: JobNo,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Server of the attempt.
        server: ServerNo,
        /// Session of the attempt.
        #[serde(rename = "sessionID")]
        session: SessionId,
    },
    /// The results file was read: so many jobs end as they did in earlier batches, and so many are
    /// run. The first event of a batch with [`BatchResults::resume`](super::BatchResults::resume).
    Resumed(ResumeCounts),
    /// A server could not be started or reached, or was lost.
    #[non_exhaustive]
    ServerFailed {
        /// Number of the server.
        server: ServerNo,
        /// Error of the server, with all causes.
        reason: String,
    },
    /// A server that is being started installs npm packages of plugins first.
    #[non_exhaustive]
    ServerInstalling {
        /// Number of the server.
        server: ServerNo,
        /// The packages.
        plugins: Vec<String>,
    },
    /// A server takes jobs.
    #[non_exhaustive]
    ServerReady {
        /// Number of the server.
        server: ServerNo,
        /// URL of the server.
        url: String,
    },
    /// A server is being started or reached.
    ServerStarting(ServerNo),
    /// A server that is being started has not printed its address yet, and works on the start.
    #[non_exhaustive]
    ServerStartProgress {
        /// Number of the server.
        server: ServerNo,
        /// Time since the start of the process.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        elapsed: Duration,
    },
    /// A server is not used any more. One that was started for the batch is gone.
    ServerStopped(ServerNo),
}

fn shared<S: Serializer>(report: &Arc<JobReport>, serializer: S) -> Result<S::Ok, S::Error> {
    report.as_ref().serialize(serializer)
}
