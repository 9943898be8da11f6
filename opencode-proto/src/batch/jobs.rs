//! The jobs of a batch, by state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::number::{GroupNo, JobNo, ServerNo};
use super::settings::{JobRetry, RetryScope};
use super::steps::Steps;
use crate::retry::Retry;

/// State of one job in a [`Batch`](super::Batch).
#[derive(Clone, Debug)]
pub struct BatchJob {
    pub(super) group: GroupNo,
    pub(super) again: RetryScope,
    retry: JobRetry,
    pub(super) failures: Retry,
    pub(super) attempts: u32,
    pub(super) phase: JobPhase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobPhase {
    /// The job failed and waits until it may begin again.
    Delayed {
        until: Instant,
    },
    Ended,
    Running(ServerNo),
    Waiting,
}

impl BatchJob {
    /// Creates a job that waits for a server of the group.
    pub fn new(group: GroupNo, retry: JobRetry) -> Self {
        let (phase, failures) = (JobPhase::Waiting, Retry::new(retry.policy, 0));
        Self { group, again: retry.again, retry, failures, attempts: 0, phase }
    }

    /// Creates a job that is over before the batch begins. The batch has no action about the job.
    pub fn ended() -> Self {
        Self { phase: JobPhase::Ended, ..Self::new(GroupNo(0), JobRetry::NONE) }
    }

    /// Returns the group of the job.
    pub fn group(&self) -> GroupNo {
        self.group
    }

    /// Returns when the job may begin again after a failure.
    pub fn retry(&self) -> JobRetry {
        self.retry
    }

    /// Returns whether the job is over.
    pub fn is_ended(&self) -> bool {
        self.phase == JobPhase::Ended
    }

    /// Gives the pauses of the job a seed of their own.
    pub(super) fn seed(&mut self, seed: u64) {
        self.failures = Retry::new(self.retry.policy, seed);
    }
}

/// Jobs that could begin now.
#[derive(Debug, Default)]
pub(super) struct WaitingJobs {
    all: BTreeSet<JobNo>,
    by_group: BTreeMap<GroupNo, BTreeSet<JobNo>>,
}

impl WaitingJobs {
    pub(super) fn insert(&mut self, job: JobNo, group: GroupNo) {
        self.all.insert(job);
        self.by_group.entry(group).or_default().insert(job);
    }

    pub(super) fn remove(&mut self, job: JobNo, group: GroupNo) {
        self.all.remove(&job);
        if let Some(jobs) = self.by_group.get_mut(&group) {
            jobs.remove(&job);
            if jobs.is_empty() {
                self.by_group.remove(&group);
            }
        }
    }

    /// Returns the first job of the group; of all groups for `None`.
    pub(super) fn first(&self, group: Option<GroupNo>) -> Option<JobNo> {
        match group {
            Some(group) => self.by_group.get(&group)?.first().copied(),
            None => self.all.first().copied(),
        }
    }

    /// Returns the first jobs of all groups, at most `count` of them.
    pub(super) fn first_jobs(&self, count: usize) -> impl Iterator<Item = JobNo> {
        self.all.iter().take(count).copied()
    }

    pub(super) fn has(&self, group: GroupNo) -> bool {
        self.by_group.contains_key(&group)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the number of groups that have a waiting job.
    pub(super) fn groups(&self) -> usize {
        self.by_group.len()
    }

    pub(super) fn take_group(&mut self, group: GroupNo) -> BTreeSet<JobNo> {
        let jobs = self.by_group.remove(&group).unwrap_or_default();
        for job in &jobs {
            self.all.remove(job);
        }
        jobs
    }

    pub(super) fn take_all(&mut self) -> BTreeSet<JobNo> {
        self.by_group.clear();
        std::mem::take(&mut self.all)
    }
}

/// Jobs that may begin again later.
#[derive(Debug, Default)]
pub(super) struct DelayedJobs {
    due: BTreeSet<(Instant, JobNo)>,
    by_group: BTreeMap<GroupNo, usize>,
}

impl DelayedJobs {
    pub(super) fn insert(&mut self, at: Instant, job: JobNo, group: GroupNo) {
        self.due.insert((at, job));
        *self.by_group.entry(group).or_default() += 1;
    }

    /// Returns the first job that is due. The job has to be removed.
    pub(super) fn first_due(&self, now: Instant) -> Option<(Instant, JobNo)> {
        self.due.first().copied().filter(|(at, _)| *at <= now)
    }

    pub(super) fn remove(&mut self, at: Instant, job: JobNo, group: GroupNo) {
        self.due.remove(&(at, job));
        if let Some(count) = self.by_group.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.by_group.remove(&group);
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn has(&self, group: GroupNo) -> bool {
        self.by_group.contains_key(&group)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn take_all(&mut self, steps: &mut Steps) -> Vec<JobNo> {
        self.by_group.clear();
        steps.add(self.due.len());
        std::mem::take(&mut self.due).into_iter().map(|(_, job)| job).collect()
    }
}
