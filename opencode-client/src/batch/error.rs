use std::sync::Arc;

use super::report::BatchReport;
use super::results::ResultsError;

use crate::runtime::describe::debug_as_chain;

/// Error of a batch that has no report, or no complete results file. Failed jobs are no error of
/// the batch.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The request for the servers has a setting that belongs into the jobs. Nothing was started.
    #[error(
        "the request for the servers of a batch cannot have {setting}: set the {setting} of the jobs"
    )]
    #[non_exhaustive]
    ServeSetting {
        /// Name of the setting.
        setting: &'static str,
    },
    /// Two jobs have the same id. Nothing was started.
    #[error("two jobs have the id {id:?}")]
    #[non_exhaustive]
    SameId {
        /// The id.
        id: String,
    },
    /// The results file cannot be written or resumed from. Nothing was started.
    #[error("cannot use the results file")]
    Results(#[from] ResultsError),
    /// A result could not be written. No job began after that, and the running jobs have ended.
    #[error("the results file is not complete")]
    ResultsWrite {
        /// Report of the batch.
        report: Box<BatchReport>,
        /// Error of the file.
        source: Arc<ResultsError>,
    },
}

debug_as_chain!(BatchError);

impl BatchError {
    /// Returns the report of the batch, if any job could begin.
    pub fn report(&self) -> Option<&BatchReport> {
        match self {
            Self::ResultsWrite { report, .. } => Some(report),
            Self::SameId { .. } | Self::ServeSetting { .. } | Self::Results(_) => None,
        }
    }
}
