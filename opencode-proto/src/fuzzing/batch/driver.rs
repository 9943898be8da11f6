//! Carries out the actions of a batch, and checks that each is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::batch::{
    Batch, BatchAction, BatchJob, BatchSettings, Budget, Fleet, JobNo, JobStop, RetryScope,
    ServerNo,
};
use crate::part::Spend;

pub(super) struct BatchDriver {
    batch: Batch,
    settings: BatchSettings,
    /// How many jobs each of the servers that were given may have.
    given: Option<Vec<usize>>,
    jobs: Vec<BatchJob>,
    now: Instant,
    wake: Option<Instant>,
    pub(super) starting: BTreeSet<ServerNo>,
    ready: BTreeSet<ServerNo>,
    /// Those that have grown too large, of the ones that were started.
    drained: BTreeSet<ServerNo>,
    pub(super) stopping: BTreeSet<ServerNo>,
    started: BTreeMap<ServerNo, usize>,
    pub(super) running: BTreeMap<JobNo, ServerNo>,
    /// Running jobs whose server was lost, which take no part of the concurrency.
    stranded: BTreeSet<JobNo>,
    /// Jobs that have ended and whose work goes on.
    left: BTreeMap<JobNo, ServerNo>,
    left_spends: BTreeMap<JobNo, Vec<Spend>>,
    /// The server that is being lost.
    lost: Option<ServerNo>,
    begun: BTreeMap<JobNo, u32>,
    /// Those that failed, and when they may begin again.
    delayed: BTreeMap<JobNo, Instant>,
    accepted: BTreeSet<JobNo>,
    ended: BTreeSet<JobNo>,
    spends: BTreeMap<(JobNo, u32), Spend>,
    aborted: BTreeSet<JobNo>,
    is_halted: bool,
    is_spent: bool,
    is_finished: bool,
}

/// Why a server is not there.
#[derive(Clone, Copy)]
pub(super) enum Gone {
    Failed,
    Refused,
    Stopped,
}

impl BatchDriver {
    pub(super) fn new(
        settings: BatchSettings,
        fleet: Fleet,
        jobs: Vec<BatchJob>,
        now: Instant,
    ) -> Self {
        let given = match &fleet {
            Fleet::Given(given) => Some(given.iter().map(|jobs_max| jobs_max.get()).collect()),
            Fleet::Started => None,
        };
        let over = |(no, job): (usize, &BatchJob)| job.is_ended().then_some(JobNo(no));
        let mut driver = Self {
            batch: Batch::new(settings.clone(), fleet, jobs.clone(), now),
            settings,
            given,
            now,
            wake: None,
            starting: BTreeSet::new(),
            ready: BTreeSet::new(),
            drained: BTreeSet::new(),
            stopping: BTreeSet::new(),
            started: BTreeMap::new(),
            running: BTreeMap::new(),
            stranded: BTreeSet::new(),
            left: BTreeMap::new(),
            left_spends: BTreeMap::new(),
            lost: None,
            begun: BTreeMap::new(),
            delayed: BTreeMap::new(),
            accepted: BTreeSet::new(),
            ended: jobs.iter().enumerate().filter_map(over).collect(),
            spends: BTreeMap::new(),
            aborted: BTreeSet::new(),
            is_halted: false,
            is_spent: false,
            is_finished: false,
            jobs,
        };
        driver.obey();
        driver
    }

    pub(super) fn ready(&mut self, server: ServerNo) {
        if self.starting.remove(&server) {
            self.ready.insert(server);
        }
        self.batch.handle_server_ready(server, self.now);
        self.obey();
    }

    pub(super) fn gone(&mut self, server: ServerNo, how: Gone) {
        for servers in [&mut self.starting, &mut self.ready, &mut self.stopping, &mut self.drained]
        {
            servers.remove(&server);
        }
        match how {
            Gone::Failed => self.batch.handle_server_failed(server, self.now),
            Gone::Refused => self.batch.handle_server_refused(server, self.now),
            Gone::Stopped => self.batch.handle_server_stopped(server, self.now),
        }
        self.obey();
    }

    pub(super) fn lost(&mut self, server: ServerNo) {
        let is_alive = self.starting.contains(&server) || self.ready.contains(&server);
        if is_alive {
            let on_server = self.running.iter().filter(|(_, other)| **other == server);
            self.stranded.extend(on_server.map(|(job, _)| *job));
        }
        self.lost = Some(server);
        self.batch.handle_server_lost(server, self.now);
        self.obey();
        self.lost = None;
        assert!(!is_alive || self.stopping.contains(&server), "{server:?} is lost and not stopped");
    }

    pub(super) fn memory(&mut self, server: ServerNo, size: u64) {
        let is_large = self.settings.server_memory_max.is_some_and(|max| size > max);
        if is_large && self.given.is_none() && self.ready.contains(&server) {
            self.drained.insert(server);
        }
        self.batch.handle_server_memory(server, size, self.now);
        self.obey();
    }

    pub(super) fn job_ended(&mut self, job: JobNo, stop: JobStop) {
        if self.running.remove(&job).is_some() && stop != JobStop::NotAccepted {
            self.accepted.insert(job);
        }
        self.stranded.remove(&job);
        self.batch.handle_job_ended(job, stop, self.now);
        self.obey();
    }

    pub(super) fn spent(&mut self, job: JobNo, spend: Spend) {
        if self.running.contains_key(&job) {
            self.spends.insert((job, self.begun[&job]), spend);
        }
        let was_halted = self.is_halted;
        self.batch.handle_spend(job, spend, self.now);
        self.obey();
        let total = self.total();
        assert_eq!(self.batch.spend(), total);
        let counts = self.running.contains_key(&job);
        let may_be_over = !counts || was_halted || self.is_spent;
        assert!(may_be_over || !self.is_over(total), "{total:?} is over the budget");
    }

    pub(super) fn left_begun(&mut self, job: JobNo, server: ServerNo) {
        let may_begin = self.ended.contains(&job) && self.ready.contains(&server);
        if may_begin && !self.left.contains_key(&job) {
            self.left.insert(job, server);
            self.left_spends.entry(job).or_default().push(Spend::default());
            self.batch.handle_left_begun(job, server);
        }
        self.obey();
    }

    pub(super) fn left_spent(&mut self, job: JobNo, spend: Spend) {
        if let (true, Some(spends)) = (self.left.contains_key(&job), self.left_spends.get_mut(&job))
        {
            spends.pop();
            spends.push(spend);
        }
        self.batch.handle_left_spend(job, spend, self.now);
        self.obey();
        assert_eq!(self.batch.spend(), self.total());
    }

    pub(super) fn left_ended(&mut self, job: JobNo) {
        self.left.remove(&job);
        self.batch.handle_left_ended(job, self.now);
        self.obey();
    }

    fn total(&self) -> Spend {
        let mut total = Spend::default();
        let left = self.left_spends.values().flatten();
        self.spends.values().chain(left).for_each(|spend| total += *spend);
        total
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.batch.handle_timeout(self.now);
        self.obey();
    }

    pub(super) fn wake(&mut self) {
        if let Some(at) = self.wake {
            self.now = at;
            self.pass(Duration::ZERO);
        }
    }

    pub(super) fn cancel(&mut self) {
        self.is_halted = true;
        self.batch.cancel(self.now);
        self.obey();
        assert!(self.running.keys().all(|job| self.aborted.contains(job)), "it runs on");
    }

    pub(super) fn halt(&mut self) {
        self.is_halted = true;
        self.batch.halt(self.now);
        self.obey();
    }

    /// Lets servers and jobs work well from here on, until the batch ends.
    pub(super) fn end(mut self) {
        for _ in 0..1000 {
            if let Some(server) = self.starting.first().copied() {
                self.ready(server);
            } else if let Some(server) = self.stopping.first().copied() {
                self.gone(server, Gone::Stopped);
            } else if let Some((job, _)) = self.running.first_key_value() {
                self.job_ended(*job, JobStop::Done);
            } else if let Some((job, _)) = self.left.first_key_value() {
                self.left_ended(*job);
            } else if self.wake.is_some() {
                self.wake();
            } else {
                break;
            }
        }
        assert!(self.is_finished, "stuck: {:?}", self.batch);
        assert_eq!(self.ended.len(), self.jobs.len());
        assert!(self.starting.is_empty() && self.ready.is_empty() && self.stopping.is_empty());
    }

    fn obey(&mut self) {
        loop {
            let action = self.batch.poll_action();
            if let BatchAction::Wait(wake) = action {
                self.wake = wake;
                break;
            }
            assert!(!self.is_finished, "{action:?} after the end");
            match action {
                BatchAction::AbortJob(job) => {
                    let is_at_work =
                        self.running.contains_key(&job) || self.left.contains_key(&job);
                    assert!(is_at_work, "{job:?} does not run");
                    self.aborted.insert(job);
                }
                BatchAction::BudgetSpent(spend) => {
                    assert!(!self.is_halted && self.is_over(spend), "{spend:?}");
                    (self.is_halted, self.is_spent) = (true, true);
                }
                BatchAction::EndJob { job, skipped } => {
                    assert!(!self.running.contains_key(&job) && self.ended.insert(job));
                    assert_eq!(skipped.is_some(), !self.begun.contains_key(&job));
                    self.delayed.remove(&job);
                }
                BatchAction::Finished => self.is_finished = true,
                BatchAction::Repeat { job, at } => {
                    assert!(!self.running.contains_key(&job) && !self.is_halted && at > self.now);
                    assert_eq!(self.delayed.insert(job, at), None);
                }
                BatchAction::StartJob { job, server, attempt } => {
                    self.start_job(job, server, attempt);
                }
                BatchAction::StartServer { server, group } => {
                    assert!(!self.is_halted, "{server:?} is of no use");
                    assert_eq!(group.is_none(), self.given.is_some());
                    assert!(!self.is_alive(server), "{server:?} is there");
                    self.starting.insert(server);
                    let first = self.started.insert(server, group.map_or(0, |group| group.0));
                    assert!(self.given.is_some() || first.is_none(), "a number is used again");
                }
                BatchAction::StopServer(server) => {
                    let was_there = self.starting.remove(&server) | self.ready.remove(&server);
                    self.drained.remove(&server);
                    let has_left = self.left.values().any(|other| *other == server);
                    assert!(!has_left || self.lost == Some(server), "{server:?} is needed");
                    assert!(was_there && self.stopping.insert(server), "{server:?} is not there");
                }
                BatchAction::Wait(_) => unreachable!("it was looked at"),
            }
        }
        self.check();
    }

    fn start_job(&mut self, no: JobNo, server: ServerNo, attempt: u32) {
        assert!(!self.is_halted && !self.ended.contains(&no), "{no:?} begins");
        assert!(self.ready.contains(&server) && !self.drained.contains(&server), "{server:?}");
        let job = self.job(no);
        assert!(self.given.is_some() || self.started[&server] == job.group().0);
        assert!(
            !self.accepted.contains(&no) || job.retry().again == RetryScope::Accepted,
            "{no:?} again"
        );
        assert!(attempt <= job.retry().policy.attempts_max);
        let before = (0..no.0)
            .map(JobNo)
            .find(|other| self.is_waiting(*other) && self.job(*other).group() == job.group());
        assert_eq!(before, None, "it was before {no:?}");
        assert!(self.is_waiting(no), "{no:?} does not wait");
        self.delayed.remove(&no);
        self.running.insert(no, server);
        let begun = self.begun.entry(no).or_default();
        *begun += 1;
        assert_eq!(attempt, *begun);
    }

    /// Checks of a batch that waits.
    fn check(&self) {
        let slots = self.running.len() - self.stranded.len();
        assert!(slots <= self.settings.concurrency.get());
        let alive = self.starting.len() + self.ready.len() + self.stopping.len();
        assert!(
            self.given.is_some() || alive <= self.settings.servers_max.get(),
            "{alive} servers"
        );
        for server in &self.ready {
            assert!(self.load(*server) <= self.jobs_max(*server), "{server:?} has too much to do");
        }
        assert!(self.wake.is_none_or(|at| at > self.now && !self.is_finished), "{:?}", self.wake);
        let counts = self.batch.counts();
        assert_eq!((counts.running, counts.ended), (self.running.len(), self.ended.len()));
        assert_eq!(counts.waiting + counts.running + counts.ended, self.jobs.len());
        if self.is_halted {
            assert_eq!(counts.waiting, 0);
        } else if slots < self.settings.concurrency.get() {
            let waiting = (0..self.jobs.len()).map(JobNo).filter(|job| self.is_waiting(*job));
            for job in waiting {
                // While servers that are given are on their way, jobs are left to them.
                let is_left = self.given.is_some() && !self.starting.is_empty();
                let could_have = |server: &&ServerNo| !is_left && self.could_have(**server, job);
                let room = self.ready.iter().find(could_have);
                assert_eq!(room, None, "{job:?} could begin");
            }
        }
    }

    fn is_over(&self, spend: Spend) -> bool {
        let Budget { cost_max, tokens_max, .. } = self.settings.budget;
        cost_max.is_some_and(|max| spend.cost >= max)
            || tokens_max.is_some_and(|max| spend.tokens.total >= max)
    }

    fn could_have(&self, server: ServerNo, job: JobNo) -> bool {
        let fits = self.given.is_some() || self.started[&server] == self.job(job).group().0;
        fits && !self.drained.contains(&server) && self.load(server) < self.jobs_max(server)
    }

    fn load(&self, server: ServerNo) -> usize {
        self.running.values().filter(|other| **other == server).count()
    }

    fn jobs_max(&self, server: ServerNo) -> usize {
        let started = self.settings.server_jobs_max.get();
        self.given.as_ref().map_or(started, |given| given[server.0])
    }

    fn is_alive(&self, server: ServerNo) -> bool {
        [&self.starting, &self.ready, &self.stopping]
            .iter()
            .any(|servers| servers.contains(&server))
    }

    fn is_waiting(&self, job: JobNo) -> bool {
        !self.ended.contains(&job)
            && !self.running.contains_key(&job)
            && self.delayed.get(&job).is_none_or(|at| *at <= self.now)
    }

    fn job(&self, job: JobNo) -> &BatchJob {
        let job = &self.jobs[job.0];
        assert!(!job.is_ended(), "a job that was over before is not begun");
        job
    }
}
