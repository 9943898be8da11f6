use std::sync::Arc;

use super::report::BatchReport;
use super::results::ResultsError;

use crate::runtime::describe::debug_as_chain;

/// Why a batch has no report, or one that is not whole. That jobs fail is no error of the batch.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Two jobs are called the same.
    #[error("two jobs are called {id:?}")]
    #[non_exhaustive]
    SameId {
        /// What.
        id: String,
    },
    /// The results cannot be written or gone on with. Nothing was begun.
    #[error("cannot use the results")]
    Results(#[from] ResultsError),
    /// A result could not be written. No job was begun after that, and those that ran have ended.
    #[error("the results are not complete")]
    ResultsWrite {
        /// What the batch came to.
        report: Box<BatchReport>,
        /// What failed.
        source: Arc<ResultsError>,
    },
}

debug_as_chain!(BatchError);

impl BatchError {
    /// What the batch came to, if it was begun.
    pub fn report(&self) -> Option<&BatchReport> {
        match self {
            Self::ResultsWrite { report, .. } => Some(report),
            Self::SameId { .. } | Self::Results(_) => None,
        }
    }
}
