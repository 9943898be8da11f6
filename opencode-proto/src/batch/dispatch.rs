//! Start and end of jobs and servers, as far as is due.

use std::collections::BTreeMap;
use std::mem;
use std::time::Instant;

use super::action::{BatchAction, SkipReason};
use super::jobs::JobPhase;
use super::number::{GroupNo, JobNo, ServerNo};
use super::{Batch, BatchCourse};

impl Batch {
    /// Carries out everything that is due, at the end of every input.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.course == BatchCourse::Finished {
            return;
        }
        self.end_delays(now);
        self.servers.end_pauses(now, &mut self.steps);
        match self.course {
            BatchCourse::Halted(why) => self.end_waiting(why),
            BatchCourse::Finished | BatchCourse::Open => {
                self.end_hopeless();
                while let Some((job, server)) = self.next_start() {
                    self.begin(job, server);
                }
                self.start_servers();
            }
        }
        self.stop_servers();
        if self.ended == self.jobs.len() && self.servers.all_gone() {
            self.course = BatchCourse::Finished;
            self.actions.push_back(BatchAction::Finished);
        }
    }

    fn end_delays(&mut self, now: Instant) {
        while let Some((at, no)) = self.delayed.first_due(now) {
            self.steps.add(1);
            let job = &mut self.jobs[no.0];
            self.delayed.remove(at, no, job.group);
            job.phase = JobPhase::Waiting;
            self.waiting.insert(no, job.group);
            if self.servers.is_hopeless(job.group, &mut self.steps) {
                self.given_up.insert(job.group);
            }
        }
    }

    /// Returns the first job that has room on a server, and the server.
    fn next_start(&mut self) -> Option<(JobNo, ServerNo)> {
        if self.running.len() >= self.settings.concurrency.get() || self.waiting.is_empty() {
            return None;
        }
        let open = self.jobs.len() - self.ended;
        let jobs = open.min(self.settings.concurrency.get());
        let groups = self.servers.groups_with_room(&mut self.steps);
        let first = groups.into_iter().filter_map(|group| self.waiting.first(group));
        // While a given server is starting, the others may be left without room for now.
        let (job, server) = first
            .filter_map(|job| {
                let group = self.jobs[job.0].group;
                Some((job, self.servers.roomiest(group, jobs, &mut self.steps)?))
            })
            .min()?;
        Some((job, server))
    }

    fn begin(&mut self, no: JobNo, server: ServerNo) {
        let job = &mut self.jobs[no.0];
        self.waiting.remove(no, job.group);
        job.phase = JobPhase::Running(server);
        job.attempts += 1;
        self.running.insert(no);
        self.servers.take(server);
        let attempt = job.attempts;
        self.actions.push_back(BatchAction::StartJob { job: no, server, attempt });
    }

    /// Starts as many servers as the next jobs need for which there is concurrency left.
    fn start_servers(&mut self) {
        let free = self.settings.concurrency.get() - self.running.len();
        if self.waiting.is_empty() || free == 0 {
            return;
        }
        if self.servers.is_given() {
            let starts = self.servers.use_given(&mut self.steps);
            self.actions.extend(starts);
            return;
        }
        if self.servers.is_full() {
            return;
        }
        self.steps.add(free);
        let mut jobs_of = BTreeMap::<_, usize>::new();
        for job in self.waiting.first_jobs(free) {
            *jobs_of.entry(self.jobs[job.0].group).or_default() += 1;
        }
        for (group, jobs) in jobs_of {
            let starts = self.servers.start_for(group, jobs, &mut self.steps);
            self.actions.extend(starts);
        }
    }

    /// Stops the servers that no job needs any more, or whose place other jobs need.
    fn stop_servers(&mut self) {
        let (waiting, delayed) = (&self.waiting, &self.delayed);
        let served = self.servers.served(&mut self.steps);
        let waiting_and_served = served.iter().filter(|group| waiting.has(**group)).count();
        let is_crowded = self.servers.is_full() && waiting.groups() > waiting_and_served;
        let is_needed = |group: Option<GroupNo>| match group {
            Some(group) => waiting.has(group) || (!is_crowded && delayed.has(group)),
            None => !waiting.is_empty() || !delayed.is_empty(),
        };
        let stops = self.servers.stop_idle(&mut self.steps, is_needed);
        self.actions.extend(stops.into_iter().map(BatchAction::StopServer));
    }

    /// Takes the slots of the jobs on a lost server, for other jobs.
    pub(super) fn strand_jobs(&mut self, server: ServerNo) {
        self.steps.add(self.running.len());
        let is_on_server = |job: &JobNo| self.jobs[job.0].phase == JobPhase::Running(server);
        let (stranded, running) = mem::take(&mut self.running).into_iter().partition(is_on_server);
        self.running = running;
        self.stranded.append(&mut { stranded });
    }

    pub(super) fn abort_running(&mut self) {
        let jobs = self.running.iter().chain(&self.stranded).chain(self.left.keys());
        self.actions.extend(jobs.map(|job| BatchAction::AbortJob(*job)));
    }

    /// Ends the waiting jobs for which no server can be had.
    fn end_hopeless(&mut self) {
        if self.servers.are_all_refused(&mut self.steps) {
            return self.end_waiting_jobs(SkipReason::NoServer);
        }
        for group in mem::take(&mut self.given_up) {
            if !self.servers.is_hopeless(group, &mut self.steps) {
                // The last server of the group is still there, or works again.
                self.given_up.extend(self.servers.is_given_up(group).then_some(group));
                continue;
            }
            for job in self.waiting.take_group(group) {
                self.steps.add(1);
                self.end(job, Some(SkipReason::NoServer));
            }
        }
    }

    fn end_waiting(&mut self, why: SkipReason) {
        self.end_waiting_jobs(why);
        for job in self.delayed.take_all(&mut self.steps) {
            self.end(job, Some(why));
        }
    }

    fn end_waiting_jobs(&mut self, why: SkipReason) {
        for job in self.waiting.take_all() {
            self.steps.add(1);
            self.end(job, Some(why));
        }
    }

    /// Ends a job. A job that has begun ends as the last attempt did.
    pub(super) fn end(&mut self, no: JobNo, why: Option<SkipReason>) {
        let job = &mut self.jobs[no.0];
        job.phase = JobPhase::Ended;
        self.ended += 1;
        self.ledger.close(no);
        let skipped = why.filter(|_| job.attempts == 0);
        self.actions.push_back(BatchAction::EndJob { job: no, skipped });
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        if self.course == BatchCourse::Finished {
            return None;
        }
        let server = self.servers.next_start_at(|group| self.waiting.has(group));
        self.delayed.next_due().into_iter().chain(server).min()
    }
}
