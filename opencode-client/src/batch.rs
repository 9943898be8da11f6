//! Many jobs on few servers: the pump of a batch. What begins where and when is decided by [`opencode_proto::Batch`].

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
