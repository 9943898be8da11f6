//! Many jobs on few servers: which job begins where, and when.
//!
//! # Theory of operation
//!
//! The driver owns servers and jobs; [`Batch`] knows them by numbers. The machine decides when to
//! start a server and for which group of jobs, which job to begin on which server, which job to
//! abort, and when a server is not needed any more. Jobs are of one group when one server can have
//! them all. A job begins as soon as there is room, in the order of the list:
//!
//! ```text
//!            room on a server of the group             done, or failed for good
//!   Waiting -----------------------------> Running --------------------------> Ended
//!      ^                                      |                                   ^
//!      |       the pause is over              | failed, may be repeated           |
//!      +------------------ Delayed <----------+                                   |
//!      +---- cancelled, the budget is spent, or no server of the group starts ----+
//!
//!   Starting ----> Ready ----> Draining: has grown, or no job waits for it ----> stopped
//!                    +-------> lost: is stopped at once; the jobs end by themselves, without a slot
//! ```
//!
//! Failures of a server count for the group when servers are started on demand, and for the
//! server itself when the servers are given. A job that ends properly clears the count.
//!
//! The work of an input is bounded by the concurrency and the number of servers. It does not grow
//! with the number of jobs or groups that wait.
//!
//! One attempt of a job on one server is a separate machine, [`JobAttempt`].

mod action;
mod attempt;
mod dispatch;
mod fingerprint;
mod jobs;
mod ledger;
mod number;
mod resume;
mod servers;
mod settings;
mod steps;
mod trouble;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use serde::Serialize;

use crate::part::Spend;
use crate::retry::RetryCause;

pub use action::{BatchAction, JobStop, SkipReason};
pub use attempt::{AttemptAction, AttemptCause, AttemptEnd, AttemptTurn, JobAttempt, ServerOwner};
pub use fingerprint::Fingerprint;
pub use jobs::BatchJob;
pub use ledger::{Budget, OverBudget};
pub use number::{GroupNo, JobNo, ServerNo};
pub use resume::{
    ResumeCounts, ResumeDecision, ResumeIndex, ResumePolicy, ResumeRules, ResumeStatus,
};
pub use settings::{BatchSettings, Fleet, JobRetry, RetryScope};

use jobs::{DelayedJobs, JobPhase, WaitingJobs};
use ledger::Ledger;
use servers::{Loss, Servers};
use steps::Steps;

/// Machine for one batch. Owns no server, session, clock or task.
///
/// Inputs never fail and may come in any order; those that make no sense are ignored. The only
/// contract: take all actions until [`BatchAction::Wait`] before you wait.
///
/// ```
/// use std::time::Instant;
/// use opencode_proto::{
///     Batch, BatchAction, BatchJob, BatchSettings, Fleet, GroupNo, JobRetry, JobStop,
/// };
///
/// let now = Instant::now();
/// let job = || BatchJob::new(GroupNo(0), JobRetry::default());
/// let mut batch = Batch::new(BatchSettings::default(), Fleet::Started, vec![job(), job()], now);
/// let mut ended = 0;
/// loop {
///     match batch.poll_action() {
///         BatchAction::StartServer { server, .. } => {
///             // Start the server. This one listens at once.
///             batch.handle_server_ready(server, now);
///         }
///         BatchAction::StartJob { job, .. } => {
///             // Drive a `JobAttempt` on the server. This one has an answer at once.
///             batch.handle_job_ended(job, JobStop::Done, now);
///         }
///         BatchAction::StopServer(server) => {
///             // Stop the server. This one is gone at once.
///             batch.handle_server_stopped(server, now);
///         }
///         BatchAction::AbortJob(_) => { /* abort the job, and wait for the end */ }
///         BatchAction::EndJob { .. } => ended += 1,
///         BatchAction::BudgetSpent(_) | BatchAction::Repeat { .. } => { /* inform the user */ }
///         // Wait for input or for the time, and look at the clock.
///         BatchAction::Wait(_at) => batch.handle_timeout(Instant::now()),
///         BatchAction::Finished => break,
///     }
/// }
/// assert_eq!(ended, 2);
/// ```
#[derive(Debug)]
pub struct Batch {
    settings: BatchSettings,
    jobs: Vec<BatchJob>,
    waiting: WaitingJobs,
    delayed: DelayedJobs,
    running: BTreeSet<JobNo>,
    /// Running jobs whose server was lost. They take no slot any more.
    stranded: BTreeSet<JobNo>,
    /// Ended jobs whose work goes on, with the server. They take no slot.
    left: BTreeMap<JobNo, ServerNo>,
    ended: usize,
    /// Groups for which no server is started any more, and whose waiting jobs have to end once the
    /// last server is gone.
    given_up: BTreeSet<GroupNo>,
    servers: Servers,
    ledger: Ledger,
    course: BatchCourse,
    actions: VecDeque<BatchAction>,
    steps: Steps,
}

/// Course of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchCourse {
    Finished,
    /// No job begins any more, for this reason.
    Halted(SkipReason),
    Open,
}

/// Number of jobs in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchCounts {
    /// Jobs that have not begun, or are about to be repeated.
    pub waiting: usize,
    /// Jobs on a server.
    pub running: usize,
    /// Jobs that are over, for any reason.
    pub ended: usize,
}

impl Batch {
    /// Creates a batch of these jobs, in the order in which they begin.
    pub fn new(
        settings: BatchSettings,
        fleet: Fleet,
        mut jobs: Vec<BatchJob>,
        now: Instant,
    ) -> Self {
        let mut waiting = WaitingJobs::default();
        let mut ended = 0;
        for (no, job) in jobs.iter_mut().enumerate() {
            job.seed(settings.seed.wrapping_add(no as u64));
            if job.is_ended() {
                ended += 1;
            } else {
                waiting.insert(JobNo(no), job.group());
            }
        }
        let mut batch = Self {
            jobs,
            waiting,
            delayed: DelayedJobs::default(),
            running: BTreeSet::new(),
            stranded: BTreeSet::new(),
            left: BTreeMap::new(),
            ended,
            given_up: BTreeSet::new(),
            servers: Servers::new(&settings, fleet),
            ledger: Ledger::new(settings.budget, settings.spent),
            course: BatchCourse::Open,
            actions: VecDeque::new(),
            steps: Steps::default(),
            settings,
        };
        batch.check_budget();
        batch.advance(now);
        batch
    }

    /// Takes a server that listens, or can be reached.
    pub fn handle_server_ready(&mut self, server: ServerNo, now: Instant) {
        self.servers.ready(server);
        self.advance(now);
    }

    /// Takes a server that cannot be used, and for which another try would not help: the
    /// configuration or the credentials are wrong.
    pub fn handle_server_refused(&mut self, server: ServerNo, now: Instant) {
        let lost = self.servers.refused(server);
        self.given_up.extend(lost);
        self.advance(now);
    }

    /// Takes a server that did not start, or cannot be reached. Nothing is left of the server.
    pub fn handle_server_failed(&mut self, server: ServerNo, now: Instant) {
        let lost = self.servers.failed(server, now);
        self.given_up.extend(lost);
        self.advance(now);
    }

    /// Takes a server that died, or does not answer any more. The jobs end by themselves, and take
    /// no part of the [concurrency](BatchSettings::concurrency) any more.
    pub fn handle_server_lost(&mut self, server: ServerNo, now: Instant) {
        let (loss, lost) = self.servers.lost(server, now);
        self.given_up.extend(lost);
        if loss == Loss::Stop {
            self.strand_jobs(server);
            self.actions.push_back(BatchAction::StopServer(server));
        }
        self.advance(now);
    }

    /// Takes a server that is gone after [`BatchAction::StopServer`].
    pub fn handle_server_stopped(&mut self, server: ServerNo, now: Instant) {
        self.servers.stopped(server);
        self.advance(now);
    }

    /// Takes the memory of a server's process, in bytes. A server above
    /// [`BatchSettings::server_memory_max`] gets no more jobs.
    pub fn handle_server_memory(&mut self, server: ServerNo, size: u64, now: Instant) {
        if self.settings.server_memory_max.is_some_and(|max| size > max) {
            self.servers.drain(server);
        }
        self.advance(now);
    }

    /// Takes the spend of a job since the attempt began. Replaces the spend that was taken before.
    pub fn handle_spend(&mut self, job: JobNo, spend: Spend, now: Instant) {
        let Some(BatchJob { phase: JobPhase::Running(_), attempts, .. }) = self.jobs.get(job.0)
        else {
            return;
        };
        self.ledger.enter(job, *attempts, spend);
        self.handle_budget(now);
    }

    /// Takes that work of a job goes on after the end of the job: subagents in the background, or a
    /// prompt of a plugin. The server is kept until the work is over. Comes before
    /// [`handle_job_ended`](Self::handle_job_ended) for work that is known by then.
    pub fn handle_left_begun(&mut self, job: JobNo, server: ServerNo) {
        if self.left.insert(job, server).is_some() {
            return;
        }
        self.servers.hold(server);
        if self.aborts_all() {
            self.actions.push_back(BatchAction::AbortJob(job));
        }
    }

    /// Takes the spend of work that a job has left, since the work began. Replaces the spend that
    /// was taken before.
    pub fn handle_left_spend(&mut self, job: JobNo, spend: Spend, now: Instant) {
        if self.left.contains_key(&job) {
            self.ledger.enter_left(job, spend);
            self.handle_budget(now);
        }
    }

    /// Takes the end of work that a job has left.
    pub fn handle_left_ended(&mut self, job: JobNo, now: Instant) {
        let Some(server) = self.left.remove(&job) else { return };
        self.ledger.close_left(job);
        self.servers.release(server);
        self.advance(now);
    }

    fn handle_budget(&mut self, now: Instant) {
        if self.course == BatchCourse::Open && self.check_budget() == BudgetCheck::Spent {
            if self.settings.budget.over == OverBudget::Abort {
                self.abort_running();
            }
            self.advance(now);
        }
    }

    /// Returns whether nothing may run any more.
    fn aborts_all(&self) -> bool {
        match self.course {
            BatchCourse::Halted(SkipReason::BudgetSpent) => {
                self.settings.budget.over == OverBudget::Abort
            }
            BatchCourse::Halted(why) => why == SkipReason::Cancelled,
            BatchCourse::Finished | BatchCourse::Open => false,
        }
    }

    /// Takes the end of a job's attempt.
    pub fn handle_job_ended(&mut self, job: JobNo, stop: JobStop, now: Instant) {
        let Some(state) = self.jobs.get_mut(job.0) else { return };
        let JobPhase::Running(server) = state.phase else { return };
        self.running.remove(&job);
        self.stranded.remove(&job);
        self.servers.give_back(server);
        if stop == JobStop::Done {
            self.servers.worked(server);
        }
        let may_repeat = match stop {
            JobStop::Done | JobStop::Failed => false,
            JobStop::NotAccepted => true,
            JobStop::Broken => state.again == RetryScope::Accepted,
        };
        let due = (may_repeat && self.course == BatchCourse::Open)
            .then(|| state.failures.handle_failure(&RetryCause::Connection, now))
            .flatten();
        match due {
            Some(at) => {
                state.phase = JobPhase::Delayed { until: at };
                self.delayed.insert(at, job, state.group);
                self.actions.push_back(BatchAction::Repeat { job, at });
            }
            None => self.end(job, None),
        }
        self.advance(now);
    }

    /// Takes the time. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Begins no more jobs, and aborts those that run.
    pub fn cancel(&mut self, now: Instant) {
        if self.course != BatchCourse::Finished {
            self.course = BatchCourse::Halted(SkipReason::Cancelled);
            self.abort_running();
            self.advance(now);
        }
    }

    /// Begins no more jobs. Those that run go on.
    pub fn halt(&mut self, now: Instant) {
        if self.course == BatchCourse::Open {
            self.course = BatchCourse::Halted(SkipReason::Halted);
        }
        self.advance(now);
    }

    /// Returns the next action. After [`BatchAction::Finished`], always returns
    /// [`BatchAction::Wait`].
    pub fn poll_action(&mut self) -> BatchAction {
        self.actions.pop_front().unwrap_or_else(|| BatchAction::Wait(self.wake()))
    }

    /// Returns the spend of all jobs of this batch, those that run included.
    pub fn spend(&self) -> Spend {
        self.ledger.total()
    }

    /// Returns the number of jobs in each state.
    pub fn counts(&self) -> BatchCounts {
        let (running, ended) = (self.running.len() + self.stranded.len(), self.ended);
        BatchCounts { waiting: self.jobs.len() - running - ended, running, ended }
    }

    /// Returns how often a job has begun.
    pub fn attempts(&self, job: JobNo) -> u32 {
        self.jobs.get(job.0).map_or(0, |job| job.attempts)
    }

    fn check_budget(&mut self) -> BudgetCheck {
        if !self.ledger.is_spent() {
            return BudgetCheck::Left;
        }
        self.course = BatchCourse::Halted(SkipReason::BudgetSpent);
        self.actions.push_back(BatchAction::BudgetSpent(self.ledger.total_of_all()));
        BudgetCheck::Spent
    }
}

/// Result of a look at the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BudgetCheck {
    Left,
    Spent,
}

#[cfg(test)]
mod tests;
