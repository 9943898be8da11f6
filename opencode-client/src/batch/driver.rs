//! Driver of a batch, around the machine [`Batch`].

mod left;
mod servers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use tracing::Instrument;

use opencode_proto::{
    Batch, BatchAction, BatchCounts, JobNo, Retention, ServerNo, SkipReason, Spend, TurnEventKind,
};

use super::error::BatchError;
use super::event::BatchEvent;
use super::feed::{Feed, FeedItem, FeedReader, feed};
use super::groups::Groups;
use super::job_driver::{AttemptServer, EndedAttempt, JobDriver};
use super::job_error::JobError;
use super::left::{LeftEnd, LeftJob};
use super::plan::{JobEntry, JobState, Plan};
use super::report::{BatchReport, JobReport};
use super::request::BatchServers;
use super::results::{ResultsError, ResultsFile};
use super::servers::{BatchServer, ServerDone};
use crate::log::describe;
use crate::process::drop_order::DropOrder;
use crate::process::host::Host;
use crate::runtime::Timer;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{BoxFuture, is_due};
use crate::server::StopError;

/// A batch with the machine that decides about the batch.
pub(super) struct BatchDriver {
    host: Arc<Host>,
    batch: Batch,
    jobs: Vec<JobEntry>,
    groups: Groups,
    source: BatchServers,
    results: Option<ResultsFile>,
    turns: Retention,
    begun: Instant,
    /// Tasks may hold servers, and go before them.
    work: DropOrder<FuturesUnordered<BoxFuture<TaskDone>>, BTreeMap<ServerNo, BatchServer>>,
    /// Sessions of jobs that are ending.
    ended: BTreeMap<JobNo, LeftJob>,
    /// Latches that abort the work which a job has left.
    left: BTreeMap<JobNo, Arc<Latch<()>>>,
    /// Given servers that are being asked whether they work.
    probed: BTreeSet<ServerNo>,
    feed: Feed,
    reader: FeedReader,
    events: VecDeque<BatchEvent>,
    /// Error of the last server that could not be used.
    server_fault: Option<String>,
    leftovers: Vec<StopError>,
    results_fault: Option<Arc<ResultsError>>,
    timer: Option<Pin<Box<dyn Timer>>>,
    course: DriverCourse,
}

/// Course of a batch for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriverCourse {
    /// The machine has finished. The last tasks are still to end.
    Closing,
    Open,
}

/// Result of a task.
enum TaskDone {
    Job(Box<EndedAttempt>),
    /// Work that a job left is over.
    Left(Box<LeftJob>, LeftEnd),
    /// The session of an ended job works again, or the server is stopped.
    Watched(Option<Box<LeftJob>>),
    Recorded(Arc<JobReport>, Result<(), ResultsError>),
    Server(ServerDone),
    Written(Result<(), ResultsError>),
}

/// Progress of a [`BatchDriver`].
pub(super) enum BatchProgress {
    Event(BatchEvent),
    Finished(Box<Result<BatchReport, BatchError>>),
}

impl BatchDriver {
    pub(super) fn new(
        host: Arc<Host>,
        plan: Plan,
        source: BatchServers,
        turns: Retention,
        begun: Instant,
    ) -> Self {
        let Plan { mut jobs, groups, batch, results, resumed } = plan;
        let mut events: VecDeque<_> = resumed.map(BatchEvent::Resumed).into_iter().collect();
        for entry in &mut jobs {
            if let JobState::Ended(report) = &mut entry.state {
                events.push_back(BatchEvent::JobEnded(Arc::clone(report)));
                *report = retained(report, turns);
            }
        }
        let (feed, reader) = feed();
        Self {
            host,
            batch,
            jobs,
            groups,
            source,
            results,
            turns,
            begun,
            work: DropOrder::new(FuturesUnordered::new(), BTreeMap::new()),
            ended: BTreeMap::new(),
            left: BTreeMap::new(),
            probed: BTreeSet::new(),
            feed,
            reader,
            events,
            server_fault: None,
            leftovers: Vec::new(),
            results_fault: None,
            timer: None,
            course: DriverCourse::Open,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.batch.cancel(self.host.runtime.now());
    }

    pub(super) fn spend(&self) -> Spend {
        self.batch.spend()
    }

    pub(super) fn counts(&self) -> BatchCounts {
        self.batch.counts()
    }

    /// Carries out the actions of the machine until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<BatchProgress> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(BatchProgress::Event(event));
            }
            match self.batch.poll_action() {
                BatchAction::AbortJob(job) => {
                    if let JobState::Running(_, cancelled) = &self.jobs[job.0].state {
                        cancelled.set(());
                    }
                    if let Some(left) = self.left.get(&job) {
                        left.set(());
                    }
                }
                BatchAction::BudgetSpent(spend) => {
                    self.events.push_back(BatchEvent::BudgetSpent(spend));
                }
                BatchAction::EndJob { job, skipped } => self.end_job(job, skipped),
                BatchAction::Finished => self.course = DriverCourse::Closing,
                BatchAction::Repeat { job, at } => self.report_retry(job, at),
                BatchAction::StartJob { job, server, attempt } => {
                    self.start_job(job, server, attempt);
                }
                BatchAction::StartServer { server, group } => self.start_server(server, group),
                BatchAction::StopServer(server) => self.stop_server(server),
                BatchAction::Wait(at) => {
                    if self.course == DriverCourse::Closing && self.work.first().is_empty() {
                        return Poll::Ready(BatchProgress::Finished(Box::new(self.finish())));
                    }
                    let is_moved = self.poll_inputs(cx);
                    let has_come = is_due(&*self.host.runtime, &mut self.timer, at, cx);
                    if !is_moved && !has_come {
                        return Poll::Pending;
                    }
                    if has_come {
                        self.batch.handle_timeout(self.host.runtime.now());
                    }
                }
            }
        }
    }

    /// Polls everything that the batch waits for. Returns whether anything happened.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> bool {
        let is_moved = self.poll_feed(cx);
        if self.work.first().is_empty() {
            return is_moved;
        }
        let Poll::Ready(Some(done)) = Pin::new(self.work.first_mut()).poll_next(cx) else {
            return self.poll_feed(cx) || is_moved;
        };
        // The events of a job come before the end of the job.
        self.poll_feed(cx);
        match done {
            TaskDone::Job(ended) => self.handle_attempt(*ended),
            TaskDone::Left(left, end) => self.handle_left_end(*left, end),
            TaskDone::Watched(left) => self.handle_watched(left),
            TaskDone::Recorded(report, written) => {
                self.handle_written(written);
                self.report_end(report);
            }
            TaskDone::Server(done) => self.handle_server(done),
            TaskDone::Written(written) => self.handle_written(written),
        }
        true
    }

    fn poll_feed(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_moved = false;
        while let Poll::Ready(Some(item)) = self.reader.poll(cx) {
            is_moved = true;
            let (event, spend) = match item {
                FeedItem::Event { event, spend } => (event, spend),
                FeedItem::Left(job, spend) => {
                    self.batch.handle_left_spend(job, spend, self.host.runtime.now());
                    continue;
                }
            };
            if let Some((job, spend)) = spend {
                self.batch.handle_spend(job, spend, self.host.runtime.now());
                self.record_spend(job, spend);
            }
            if let BatchEvent::JobEvent { job, event } = &*event
                && let TurnEventKind::ConnectionLost(_) = event.kind
            {
                self.probe(*job);
            }
            self.events.push_back(*event);
        }
        is_moved
    }

    /// Records the spend of a running job, which a later batch would not know after a kill.
    fn record_spend(&mut self, job: JobNo, spend: Spend) {
        let Some(results) = self.results.clone() else { return };
        let (runtime, record) = (Arc::clone(&self.host.runtime), self.jobs[job.0].record.clone());
        let attempt = self.batch.attempts(job);
        self.spawn(async move {
            TaskDone::Written(results.write_spent(&runtime, &record, attempt, spend).await)
        });
    }

    fn start_job(&mut self, no: JobNo, server: ServerNo, attempt: u32) {
        let Some(BatchServer::Ready { server: handle, fault, .. }) =
            self.work.second().get(&server)
        else {
            unreachable!("jobs begin on servers that are ready")
        };
        let (handle, fault) = (handle.clone(), Arc::clone(fault));
        let cancelled = Arc::new(Latch::default());
        let entry = &mut self.jobs[no.0];
        entry.state = JobState::Running(server, Arc::clone(&cancelled));
        let mut report = JobReport::begun(no, entry.record.clone());
        report.record.version = handle.version().cloned();
        let version = report.record.version.clone().map(tracing::field::display);
        let driver = JobDriver::new(
            Arc::clone(&entry.job),
            report,
            attempt,
            AttemptServer { no: server, server: handle, fault },
            cancelled,
            self.feed.clone(),
            self.results.clone(),
        );
        let (id, model) = (&entry.record.job, entry.job.model().map(tracing::field::display));
        let span =
            tracing::info_span!("job", job = %id, model, version, end = tracing::field::Empty);
        let attempt = async {
            let ended = driver.drive().await;
            let end = ended.report.error.as_ref().map_or("completed", JobError::name);
            tracing::Span::current().record("end", end);
            TaskDone::Job(Box::new(ended))
        };
        self.spawn(attempt.instrument(span));
    }

    fn handle_attempt(&mut self, ended: EndedAttempt) {
        let now = self.host.runtime.now();
        let EndedAttempt { mut report, server, stop, fault, server_memory, left } = ended;
        let no = report.no;
        // The outcome may know more than the events, for example of a gap in the event stream.
        self.batch.handle_spend(no, report.record.spend, now);
        let entry = &mut self.jobs[no.0];
        entry.record.spend += report.record.spend;
        report.record.spend = entry.record.spend;
        report.record.attempts = self.batch.attempts(no);
        if let Some(JobError::Results(error)) = &report.error {
            self.results_fault.get_or_insert_with(|| Arc::clone(error));
            self.batch.halt(now);
        }
        entry.state = JobState::Tried(Box::new(report));
        if let Some(reason) = fault {
            self.fail_server(server, reason);
            self.batch.handle_server_lost(server, now);
        }
        if let Some(size) = server_memory {
            self.batch.handle_server_memory(server, size, now);
        }
        if let Some(left) = left {
            self.keep_left(left);
        }
        self.batch.handle_job_ended(no, stop, now);
    }

    fn report_retry(&mut self, job: JobNo, at: Instant) {
        let delay = at.saturating_duration_since(self.host.runtime.now());
        let error = match &self.jobs[job.0].state {
            JobState::Tried(report) => report.error.as_ref(),
            JobState::Ended(_) | JobState::Running(..) | JobState::Waiting => None,
        };
        let reason = error.map(|error| describe(error)).unwrap_or_default();
        self.events.push_back(BatchEvent::JobRetrying { job, reason, delay });
    }

    /// Records the end of a job, and reports the end after that.
    fn end_job(&mut self, no: JobNo, skipped: Option<SkipReason>) {
        let entry = &mut self.jobs[no.0];
        let report = match mem::replace(&mut entry.state, JobState::Waiting) {
            JobState::Tried(report) => *report,
            JobState::Ended(_) | JobState::Running(..) | JobState::Waiting => {
                let error = match skipped {
                    Some(SkipReason::NoServer) => {
                        JobError::NoServer(self.server_fault.clone().unwrap_or_default())
                    }
                    Some(reason) => JobError::NotRun(reason),
                    None => unreachable!("a job that has begun has the report of an attempt"),
                };
                JobReport::of_error(no, entry.record.clone(), error)
            }
        };
        let report = Arc::new(report);
        let Some(results) = self.results.clone() else { return self.report_end(report) };
        let runtime = Arc::clone(&self.host.runtime);
        self.spawn(async move {
            let written = results.write_ended(&runtime, &report.record).await;
            TaskDone::Recorded(report, written)
        });
    }

    fn report_end(&mut self, report: Arc<JobReport>) {
        self.jobs[report.no.0].state = JobState::Ended(retained(&report, self.turns));
        let no = report.no;
        self.events.push_back(BatchEvent::JobEnded(report));
        self.follow_left(no);
    }

    /// Begins no further job after a result that could not be written.
    fn handle_written(&mut self, written: Result<(), ResultsError>) {
        if let Err(error) = written {
            self.results_fault.get_or_insert_with(|| Arc::new(error));
            self.batch.halt(self.host.runtime.now());
        }
    }

    fn finish(&mut self) -> Result<BatchReport, BatchError> {
        let jobs = self.jobs.drain(..).map(|entry| match entry.state {
            JobState::Ended(report) => report,
            JobState::Running(..) | JobState::Tried(_) | JobState::Waiting => {
                unreachable!("a batch ends after its jobs")
            }
        });
        let report = BatchReport {
            jobs: jobs.collect(),
            spend: self.batch.spend(),
            elapsed: self.host.runtime.now().saturating_duration_since(self.begun),
            leftovers: mem::take(&mut self.leftovers),
        };
        match self.results_fault.take() {
            None => Ok(report),
            Some(source) => Err(BatchError::ResultsWrite { report: Box::new(report), source }),
        }
    }

    fn spawn(&mut self, task: impl Future<Output = TaskDone> + Send + 'static) {
        self.work.first_mut().push(Box::pin(task));
    }
}

/// Returns the report that stays until the end of the batch.
fn retained(report: &Arc<JobReport>, turns: Retention) -> Arc<JobReport> {
    match turns {
        Retention::Keep => Arc::clone(report),
        Retention::Discard => Arc::new(report.without_turns()),
    }
}
