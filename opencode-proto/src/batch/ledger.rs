//! Spend of a batch, and the limit of the spend.

use std::collections::BTreeMap;

use super::number::JobNo;
use crate::part::Spend;

/// Limit of the spend. Jobs that run when the limit is reached may go beyond it: the cost of a call
/// of the model is known at the end of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    pub(crate) cost_max: Option<f64>,
    pub(crate) tokens_max: Option<u64>,
    pub(crate) over: OverBudget,
}

/// Treatment of running jobs when the budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverBudget {
    /// Running jobs are aborted.
    Abort,
    /// Running jobs go on, and no further job begins.
    #[default]
    StopStarting,
}

impl Budget {
    /// Value without a limit.
    pub const NONE: Self =
        Self { cost_max: None, tokens_max: None, over: OverBudget::StopStarting };

    /// Creates a limit in US dollars.
    pub const fn cost(cost_max: f64) -> Self {
        Self { cost_max: Some(cost_max), ..Self::NONE }
    }

    /// Creates a limit in tokens.
    pub const fn tokens(tokens_max: u64) -> Self {
        Self { tokens_max: Some(tokens_max), ..Self::NONE }
    }

    /// Sets [`over`](Self::over).
    #[must_use]
    pub const fn with_over(mut self, over: OverBudget) -> Self {
        self.over = over;
        self
    }

    /// Returns the treatment of running jobs when the budget is spent.
    #[must_use]
    pub fn over(&self) -> OverBudget {
        self.over
    }

    /// Returns the limit in US dollars. `None` is no limit.
    #[must_use]
    pub fn cost_max(&self) -> Option<f64> {
        self.cost_max
    }

    /// Returns the limit on tokens of all kinds together ([`Tokens::total`](crate::Tokens::total)). `None`
    /// is no limit.
    #[must_use]
    pub fn tokens_max(&self) -> Option<u64> {
        self.tokens_max
    }
}

/// Sum of the spend of all jobs.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    /// Spend of earlier batches that counts for the budget.
    earlier: Spend,
    /// Final spend of this batch.
    closed: Spend,
    /// Last known spend of each open job, with the number of the attempt.
    open: BTreeMap<JobNo, (u32, Spend)>,
    /// Spend of work that goes on after the end of a job, since that end.
    left: BTreeMap<JobNo, Spend>,
}

impl Ledger {
    pub(super) fn new(budget: Budget, earlier: Spend) -> Self {
        Self {
            budget,
            earlier,
            closed: Spend::default(),
            open: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    /// Enters the spend of an attempt. The last entry of each attempt counts.
    pub(super) fn enter(&mut self, job: JobNo, attempt: u32, spend: Spend) {
        let before = self.open.insert(job, (attempt, spend));
        if let Some((_, earlier)) = before.filter(|(earlier, _)| *earlier != attempt) {
            self.closed += earlier;
        }
    }

    /// Closes the account of a job that has ended.
    pub(super) fn close(&mut self, job: JobNo) {
        if let Some((_, spend)) = self.open.remove(&job) {
            self.closed += spend;
        }
    }

    /// Enters the spend of work that goes on after the end of a job. The last entry counts.
    pub(super) fn enter_left(&mut self, job: JobNo, spend: Spend) {
        self.left.insert(job, spend);
    }

    /// Closes the account of work that went on after the end of a job.
    pub(super) fn close_left(&mut self, job: JobNo) {
        if let Some(spend) = self.left.remove(&job) {
            self.closed += spend;
        }
    }

    /// Returns the spend of this batch.
    pub(super) fn total(&self) -> Spend {
        let mut total = self.closed;
        let open = self.open.values().map(|(_, spend)| spend);
        for spend in open.chain(self.left.values()) {
            total += *spend;
        }
        total
    }

    /// Returns the spend of this batch and of the earlier batches that count.
    pub(super) fn total_of_all(&self) -> Spend {
        let mut total = self.earlier;
        total += self.total();
        total
    }

    pub(super) fn is_spent(&self) -> bool {
        let Budget { cost_max, tokens_max, .. } = self.budget;
        if (cost_max, tokens_max) == (None, None) {
            return false;
        }
        let total = self.total_of_all();
        cost_max.is_some_and(|max| total.cost >= max)
            || tokens_max.is_some_and(|max| total.tokens.total >= max)
    }
}
