//! Batches: many jobs on few servers.
//!
//! [`OpenCode::batch`](crate::OpenCode::batch) runs many [`Job`]s, each with a prompt, directory,
//! configuration, [`Policy`](crate::Policy) and [`AnswerSchema`](crate::AnswerSchema) per job,
//! on as few servers as their configurations allow. [`opencode_proto::Batch`] decides which job
//! begins where and when; the [`BatchStream`] yields the events, [`BatchResults`] records the
//! results and resumes from them, and the [`BatchReport`] lists all jobs in order. A failed job
//! ([`JobReport::error`]) does not fail the batch.

mod driver;
mod error;
mod event;
mod feed;
mod fingerprint;
mod groups;
mod job;
mod job_driver;
mod job_error;
mod left;
mod plan;
mod record;
mod report;
mod request;
mod results;
mod servers;
mod stream;
mod turn;

pub use error::BatchError;
pub use event::BatchEvent;
pub use job::Job;
pub use job_error::JobError;
pub use record::JobRecord;
pub use report::{BatchReport, JobReport};
pub use request::{BatchRequest, BatchServers, GivenServer};
pub use results::{BatchResults, BudgetScope, ResultsError};
pub use stream::BatchStream;

pub use opencode_proto::{
    BatchCounts, BatchSettings, Budget, JobNo, JobRetry, OverBudget, ResumeCounts, ResumePolicy,
    ResumeStatus, RetryScope, ServerNo, SkipReason, Spend,
};
