//! Batches: many jobs on few servers.
//!
//! [`OpenCode::batch`](crate::OpenCode::batch) runs many [`Job`]s, each with a prompt, directory,
//! configuration, [`Policy`](crate::Policy) and [`AnswerSchema`](crate::AnswerSchema) of its own, on
//! as few servers as their configurations allow. [`opencode_proto::Batch`] decides which job begins
//! where and when; the [`BatchStream`] yields the events, [`BatchResults`] records the results and
//! resumes from them, and the [`BatchReport`] lists all jobs in order. A failed job
//! ([`JobReport::error`]) does not fail the batch.

mod ending;
mod error;
mod event;
mod feed;
mod groups;
mod job;
mod job_error;
mod plan;
mod record;
mod report;
mod request;
mod results;
mod running;
mod servers;
mod stream;
mod withdraw;
mod work;

pub use error::BatchError;
pub use event::BatchEvent;
pub use job::Job;
pub use job_error::JobError;
pub use record::{JobRecord, Standing};
pub use report::{BatchReport, JobReport};
pub use request::{BatchRequest, BatchServers, GivenServer};
pub use results::{BatchResults, Earlier, ResultsError};
pub use stream::BatchStream;

pub use opencode_proto::{
    Again, BatchCounts, BatchSettings, Budget, JobNo, JobRetry, NotRun, OverBudget, ServerNo, Spend,
};
