//! What a batch has used, and what it may use.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::number::JobNo;
use crate::part::Tokens;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spend {
    /// Tokens, as the models' providers counted them.
    pub tokens: Tokens,
    /// US dollars, as OpenCode reckons them from the models' prices.
    #[serde(deserialize_with = "crate::json::exact::deserialize")]
    pub cost: f64,
}

impl Spend {
    /// These tokens at this cost.
    pub const fn new(tokens: Tokens, cost: f64) -> Self {
        Self { tokens, cost }
    }
}

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}

/// What a batch may use. What runs when it is spent may go beyond it: what a call of a model costs is known when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// US dollars. `None`: any.
    pub cost_max: Option<f64>,
    /// Tokens, all kinds together ([`Tokens::total`]). `None`: any.
    pub tokens_max: Option<u64>,
    /// What happens when it is spent.
    pub over: OverBudget,
}

/// What happens when a budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverBudget {
    /// What runs is aborted.
    Abort,
    /// No job begins any more; what runs goes on.
    #[default]
    StopStarting,
}

impl Budget {
    /// No limit.
    pub const NONE: Self =
        Self { cost_max: None, tokens_max: None, over: OverBudget::StopStarting };

    /// This many US dollars.
    pub const fn cost(cost_max: f64) -> Self {
        Self { cost_max: Some(cost_max), ..Self::NONE }
    }

    /// This many tokens.
    pub const fn tokens(tokens_max: u64) -> Self {
        Self { tokens_max: Some(tokens_max), ..Self::NONE }
    }

    /// Sets [`over`](Self::over).
    #[must_use]
    pub const fn with_over(mut self, over: OverBudget) -> Self {
        self.over = over;
        self
    }
}

/// Adds up what jobs have used.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    /// What is final.
    closed: Spend,
    /// The last word of each job, and of which attempt.
    open: BTreeMap<JobNo, (u32, Spend)>,
}

impl Ledger {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, closed: Spend::default(), open: BTreeMap::new() }
    }

    /// Each attempt of a job counts once, with what was said of it last.
    pub(super) fn enter(&mut self, job: JobNo, attempt: u32, spend: Spend) {
        let before = self.open.insert(job, (attempt, spend));
        if let Some((_, earlier)) = before.filter(|(earlier, _)| *earlier != attempt) {
            self.closed += earlier;
        }
    }

    /// A job that will say nothing more.
    pub(super) fn close(&mut self, job: JobNo) {
        if let Some((_, spend)) = self.open.remove(&job) {
            self.closed += spend;
        }
    }

    pub(super) fn total(&self) -> Spend {
        let mut total = self.closed;
        for (_, spend) in self.open.values() {
            total += *spend;
        }
        total
    }

    pub(super) fn is_spent(&self) -> bool {
        let Budget { cost_max, tokens_max, .. } = self.budget;
        let total = self.total();
        cost_max.is_some_and(|max| total.cost >= max)
            || tokens_max.is_some_and(|max| total.tokens.total >= max)
    }
}
