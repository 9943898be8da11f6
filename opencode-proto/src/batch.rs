//! Many jobs on few servers: which job begins where, and when.
//!
//! # Theory of operation
//!
//! The driver owns servers and jobs; [`Batch`] knows them by numbers. It says when to start a server and for which
//! group of jobs, which job to begin on which server, what to abort, and when a server is needed no more. Jobs are of one
//! group when one server can have them all. A job begins as soon as there is room, in the order of the list:
//!
//! ```text
//!            room on a server of its group                 done, or failed for good
//!   Waiting --------------------------------> Running ----------------------------> Ended
//!      ^                                         |                                     ^
//!      |            the pause is over            | failed, may be repeated             |
//!      +--------------------- Delayed <----------+                                     |
//!      +---- cancelled, the budget is spent, or no server of its group starts ---------+
//!
//!   Starting ----> Ready ----> Draining: has grown, or nothing waits for it ----> stopped
//!                    +-------> lost: is stopped at once; its jobs end by themselves
//! ```
//!
//! What failed with one server is counted where it belongs: to its group when servers are started as they are needed, to the
//! server itself when they are given. A job that ends properly clears the count.

mod action;
mod ledger;
mod number;
mod servers;
mod settings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::retry::{Retry, RetryCause};

pub use action::{BatchAction, JobStop, NotRun};
pub use ledger::{Budget, OverBudget, Spend};
pub use number::{GroupNo, JobNo, ServerNo};
pub use settings::{Again, BatchJob, BatchSettings, Fleet, JobRetry};

use ledger::Ledger;
use servers::Servers;

/// The machine for one batch. Owns no server, session, clock or task.
///
/// Inputs never fail and may come in any order; those that make no sense are ignored. The only contract: take all
/// actions until [`BatchAction::Wait`] before waiting for anything.
#[derive(Debug)]
pub struct Batch {
    settings: BatchSettings,
    jobs: Vec<Job>,
    /// The jobs of each group that could begin now.
    waiting: Vec<BTreeSet<JobNo>>,
    delayed: BTreeSet<(Instant, JobNo)>,
    running: BTreeSet<JobNo>,
    ended: usize,
    servers: Servers,
    ledger: Ledger,
    actions: VecDeque<BatchAction>,
    /// Why nothing begins any more.
    halt: Option<NotRun>,
    is_finished: bool,
}

#[derive(Debug)]
struct Job {
    group: GroupNo,
    again: Again,
    retry: Retry,
    state: State,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Delayed,
    Running(ServerNo),
    Ended,
}

impl Job {
    fn new(job: Option<BatchJob>, seed: u64, no: usize) -> Self {
        let state = if job.is_some() { State::Waiting } else { State::Ended };
        let job = job.unwrap_or(BatchJob { group: GroupNo(0), retry: JobRetry::NONE });
        let JobRetry { policy, again } = job.retry;
        let retry = Retry::new(policy, seed.wrapping_add(no as u64));
        Self { group: job.group, again, retry, state, attempts: 0 }
    }
}

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchCounts {
    /// Not begun, or about to be repeated.
    pub waiting: usize,
    /// On a server.
    pub running: usize,
    /// Over, however they ended.
    pub ended: usize,
}

impl Batch {
    /// A batch of these jobs. `None` for one that is over before it begins: nothing is said of it.
    pub fn new(
        settings: BatchSettings,
        fleet: Fleet,
        jobs: Vec<Option<BatchJob>>,
        now: Instant,
    ) -> Self {
        let groups = jobs.iter().flatten().map(|job| job.group.0 + 1).max().unwrap_or_default();
        let mut waiting = vec![BTreeSet::new(); groups];
        for (no, job) in jobs.iter().enumerate() {
            if let Some(job) = job {
                waiting[job.group.0].insert(JobNo(no));
            }
        }
        let ended = jobs.iter().filter(|job| job.is_none()).count();
        let job = |(no, job): (usize, Option<BatchJob>)| Job::new(job, settings.seed, no);
        let mut batch = Self {
            jobs: jobs.into_iter().enumerate().map(job).collect(),
            waiting,
            delayed: BTreeSet::new(),
            running: BTreeSet::new(),
            ended,
            servers: Servers::new(&settings, fleet, groups),
            ledger: Ledger::new(settings.budget),
            actions: VecDeque::new(),
            halt: None,
            is_finished: false,
            settings,
        };
        batch.advance(now);
        batch
    }

    /// The server listens, or can be reached.
    pub fn handle_server_ready(&mut self, server: ServerNo, now: Instant) {
        self.servers.ready(server);
        self.advance(now);
    }

    /// The server cannot be had, and trying again would not help: its configuration is wrong, or its credentials are.
    pub fn handle_server_refused(&mut self, server: ServerNo, now: Instant) {
        self.servers.refused(server);
        self.advance(now);
    }

    /// The server did not start, or cannot be reached. Nothing of it is left.
    pub fn handle_server_failed(&mut self, server: ServerNo, now: Instant) {
        self.servers.failed(server, now);
        self.advance(now);
    }

    /// The server died, or does not answer any more. Its jobs find that out by themselves.
    pub fn handle_server_lost(&mut self, server: ServerNo, now: Instant) {
        if self.servers.lost(server, now) {
            self.actions.push_back(BatchAction::StopServer(server));
        }
        self.advance(now);
    }

    /// The server is gone after [`BatchAction::StopServer`].
    pub fn handle_server_stopped(&mut self, server: ServerNo, now: Instant) {
        self.servers.stopped(server);
        self.advance(now);
    }

    /// How much memory the process of a server takes, in bytes. One that takes too much gets no more jobs.
    pub fn handle_server_memory(&mut self, server: ServerNo, size: u64, now: Instant) {
        if self.settings.server_memory_max.is_some_and(|max| size > max) {
            self.servers.drain(server);
        }
        self.advance(now);
    }

    /// What a job has used since it began this time. Replaces what was told before.
    pub fn handle_spend(&mut self, job: JobNo, spend: Spend, now: Instant) {
        let Some(Job { state: State::Running(_), attempts, .. }) = self.jobs.get(job.0) else {
            return;
        };
        self.ledger.enter(job, *attempts, spend);
        if self.halt.is_none() && self.ledger.is_spent() {
            self.halt = Some(NotRun::BudgetSpent);
            self.actions.push_back(BatchAction::BudgetSpent(self.ledger.total()));
            if self.settings.budget.over == OverBudget::Abort {
                self.abort_running();
            }
            self.advance(now);
        }
    }

    /// A job is over on its server.
    pub fn handle_job_ended(&mut self, job: JobNo, stop: JobStop, now: Instant) {
        let Some(Job { state: State::Running(server), again, .. }) = self.jobs.get(job.0) else {
            return;
        };
        let (server, again) = (*server, *again);
        self.running.remove(&job);
        self.servers.give_back(server);
        if stop == JobStop::Done {
            self.servers.worked(server);
        }
        let may_repeat = match stop {
            JobStop::Done | JobStop::Failed => false,
            JobStop::NotAccepted => true,
            JobStop::Broken => again == Again::Accepted,
        };
        let due = (may_repeat && self.halt.is_none())
            .then(|| self.jobs[job.0].retry.handle_failure(&RetryCause::Connection, now))
            .flatten();
        match due {
            Some(at) => {
                self.jobs[job.0].state = State::Delayed;
                self.delayed.insert((at, job));
                self.actions.push_back(BatchAction::Repeat { job, at });
            }
            None => self.end(job, None),
        }
        self.advance(now);
    }

    /// Time has passed. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Begins no more jobs, and aborts those that run.
    pub fn cancel(&mut self, now: Instant) {
        self.halt = Some(NotRun::Cancelled);
        self.abort_running();
        self.advance(now);
    }

    /// Begins no more jobs. Those that run go on.
    pub fn halt(&mut self, now: Instant) {
        self.halt.get_or_insert(NotRun::Halted);
        self.advance(now);
    }

    /// What to do next. After [`BatchAction::Finished`] it is [`BatchAction::Wait`] for ever.
    pub fn poll_action(&mut self) -> BatchAction {
        self.actions.pop_front().unwrap_or_else(|| BatchAction::Wait(self.wake()))
    }

    /// What all jobs have used, those that run included.
    pub fn spend(&self) -> Spend {
        self.ledger.total()
    }

    /// How many jobs are in which state.
    pub fn counts(&self) -> BatchCounts {
        let (running, ended) = (self.running.len(), self.ended);
        BatchCounts { waiting: self.jobs.len() - running - ended, running, ended }
    }

    /// How often a job has begun.
    pub fn attempts(&self, job: JobNo) -> u32 {
        self.jobs.get(job.0).map_or(0, |job| job.attempts)
    }

    /// Does what is due. Every input ends here.
    fn advance(&mut self, now: Instant) {
        if self.is_finished {
            return;
        }
        self.end_delays(now);
        self.servers.end_pauses(now);
        match self.halt {
            Some(why) => self.end_waiting(why),
            None => {
                self.give_up_groups();
                while let Some((job, server)) = self.next_start() {
                    self.begin(job, server);
                }
                self.start_servers();
            }
        }
        self.stop_servers();
        if self.ended == self.jobs.len() && self.servers.all_gone() {
            self.is_finished = true;
            self.actions.push_back(BatchAction::Finished);
        }
    }

    fn end_delays(&mut self, now: Instant) {
        while let Some((at, job)) = self.delayed.first().copied().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, job));
            self.jobs[job.0].state = State::Waiting;
            self.waiting[self.jobs[job.0].group.0].insert(job);
        }
    }

    /// The first job that has room somewhere, and where.
    fn next_start(&self) -> Option<(JobNo, ServerNo)> {
        if self.running.len() >= self.settings.concurrency.get() {
            return None;
        }
        let open = self.jobs.len() - self.ended;
        let jobs = open.min(self.settings.concurrency.get());
        let first = |(group, waiting): (usize, &BTreeSet<JobNo>)| {
            let job = *waiting.first()?;
            Some((job, self.servers.roomiest(GroupNo(group), jobs)?))
        };
        self.waiting.iter().enumerate().filter_map(first).min()
    }

    fn begin(&mut self, no: JobNo, server: ServerNo) {
        let job = &mut self.jobs[no.0];
        self.waiting[job.group.0].remove(&no);
        job.state = State::Running(server);
        job.attempts += 1;
        self.running.insert(no);
        self.servers.take(server);
        let attempt = job.attempts;
        self.actions.push_back(BatchAction::StartJob { job: no, server, attempt });
    }

    /// Starts as many servers as the next jobs need that there are free hands for.
    fn start_servers(&mut self) {
        let free = self.settings.concurrency.get() - self.running.len();
        let mut next: Vec<JobNo> =
            self.waiting.iter().flat_map(|waiting| waiting.iter().take(free)).copied().collect();
        next.sort_unstable();
        let mut jobs_of = BTreeMap::<_, usize>::new();
        for job in next.into_iter().take(free) {
            *jobs_of.entry(self.jobs[job.0].group).or_default() += 1;
        }
        for (group, jobs) in jobs_of {
            let starts = self.servers.start_for(group, jobs);
            self.actions.extend(starts);
        }
    }

    /// Stops what nobody needs any more, or what others need the place of.
    fn stop_servers(&mut self) {
        let waits: BTreeSet<_> = (0..self.waiting.len())
            .map(GroupNo)
            .filter(|group| !self.waiting[group.0].is_empty())
            .collect();
        let mut needed = waits.clone();
        let is_crowded =
            self.servers.is_full() && waits.iter().any(|group| !self.servers.is_served(*group));
        if !is_crowded {
            needed.extend(self.delayed.iter().map(|(_, job)| self.jobs[job.0].group));
        }
        let is_needed = |group: Option<GroupNo>| match group {
            Some(group) => needed.contains(&group),
            None => !needed.is_empty(),
        };
        let stops = self.servers.stop_idle(is_needed);
        self.actions.extend(stops.into_iter().map(BatchAction::StopServer));
    }

    fn abort_running(&mut self) {
        self.actions.extend(self.running.iter().map(|job| BatchAction::AbortJob(*job)));
    }

    /// Ends the jobs of groups for which no server can be had.
    fn give_up_groups(&mut self) {
        for group in 0..self.waiting.len() {
            if self.servers.is_hopeless(GroupNo(group)) {
                for job in std::mem::take(&mut self.waiting[group]) {
                    self.end(job, Some(NotRun::NoServer));
                }
            }
        }
    }

    fn end_waiting(&mut self, why: NotRun) {
        for group in 0..self.waiting.len() {
            for job in std::mem::take(&mut self.waiting[group]) {
                self.end(job, Some(why));
            }
        }
        for (_, job) in std::mem::take(&mut self.delayed) {
            self.end(job, Some(why));
        }
    }

    /// A job that has begun at least once ends as it did the last time.
    fn end(&mut self, no: JobNo, why: Option<NotRun>) {
        let job = &mut self.jobs[no.0];
        job.state = State::Ended;
        self.ended += 1;
        self.ledger.close(no);
        let not_run = why.filter(|_| job.attempts == 0);
        self.actions.push_back(BatchAction::EndJob { job: no, not_run });
    }

    fn wake(&self) -> Option<Instant> {
        if self.is_finished {
            return None;
        }
        let waits = |group: GroupNo| !self.waiting[group.0].is_empty();
        let job = self.delayed.first().map(|(at, _)| *at);
        let server = self.servers.next_start_at(waits);
        job.into_iter().chain(server).min()
    }
}

#[cfg(test)]
mod tests;
