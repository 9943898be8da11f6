//! A batch and its machine.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use tracing::Instrument;

use opencode_proto::{
    Batch, BatchAction, BatchCounts, GroupNo, JobNo, NotRun, Retention, ServerNo, Spend,
};

use super::ending;
use super::error::BatchError;
use super::event::BatchEvent;
use super::feed::{Feed, FeedReader, News, feed};
use super::groups::{Groups, Place};
use super::job_error::JobError;
use super::plan::{Plan, PlannedJob};
use super::record::Line;
use super::report::{BatchReport, JobReport};
use super::request::BatchServers;
use super::results::{ResultsError, ResultsFile};
use super::servers::{self, ServerDone, ServerFault, Slot, Source};
use super::work::{Assignment, Worked, work};
use crate::log::describe;
use crate::process::host::Host;
use crate::runtime::Timer;
use crate::runtime::latch::Latch;
use crate::runtime::wait::is_due;
use crate::server::StopError;

pub(super) struct Running {
    host: Arc<Host>,
    batch: Batch,
    jobs: Vec<PlannedJob>,
    groups: Groups,
    source: BatchServers,
    results: Option<ResultsFile>,
    turns: Retention,
    begun: Instant,
    /// Everything that goes on. Dropped before the servers: what holds one of them goes first.
    tasks: FuturesUnordered<Task>,
    slots: BTreeMap<ServerNo, Slot>,
    /// How to cancel the jobs that run.
    cancels: BTreeMap<JobNo, Arc<Latch<()>>>,
    /// How jobs ended that have not ended for good.
    worked: BTreeMap<JobNo, Worked>,
    reports: Vec<Option<Arc<JobReport>>>,
    /// What a job used in all its tries.
    spends: BTreeMap<JobNo, Spend>,
    feed: Feed,
    news: FeedReader,
    events: VecDeque<BatchEvent>,
    /// Why a server could not be had, the last time.
    server_fault: Option<String>,
    leftovers: Vec<StopError>,
    results_fault: Option<Arc<ResultsError>>,
    timer: Option<Pin<Box<dyn Timer>>>,
    is_over: bool,
}

type Task = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Job(Box<Worked>),
    Recorded(Arc<JobReport>, Result<(), ResultsError>),
    Server(ServerDone),
}

pub(super) enum Progress {
    Event(BatchEvent),
    Finished(Box<Result<BatchReport, BatchError>>),
}

impl Running {
    pub(super) fn new(
        host: Arc<Host>,
        plan: Plan,
        source: BatchServers,
        turns: Retention,
        begun: Instant,
    ) -> Self {
        let Plan { jobs, groups, batch, results, over } = plan;
        let (feed, news) = feed();
        let mut running = Self {
            host,
            batch,
            reports: jobs.iter().map(|_| None).collect(),
            jobs,
            groups,
            source,
            results,
            turns,
            begun,
            tasks: FuturesUnordered::new(),
            slots: BTreeMap::new(),
            cancels: BTreeMap::new(),
            worked: BTreeMap::new(),
            spends: BTreeMap::new(),
            feed,
            news,
            events: VecDeque::new(),
            server_fault: None,
            leftovers: Vec::new(),
            results_fault: None,
            timer: None,
            is_over: false,
        };
        for report in over {
            running.tell_end(Arc::new(report));
        }
        running
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

    /// Does what the machine says until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Progress::Event(event));
            }
            match self.batch.poll_action() {
                BatchAction::AbortJob(job) => {
                    if let Some(cancel) = self.cancels.get(&job) {
                        cancel.set(());
                    }
                }
                BatchAction::BudgetSpent(spend) => {
                    self.events.push_back(BatchEvent::BudgetSpent(spend));
                }
                BatchAction::EndJob { job, not_run } => self.end_job(job, not_run),
                BatchAction::Finished => self.is_over = true,
                BatchAction::Repeat { job, at } => self.tell_retry(job, at),
                BatchAction::StartJob { job, server, attempt } => {
                    self.start_job(job, server, attempt);
                }
                BatchAction::StartServer { server, group } => self.start_server(server, group),
                BatchAction::StopServer(server) => self.stop_server(server),
                BatchAction::Wait(wake) => {
                    if self.is_over && self.tasks.is_empty() {
                        return Poll::Ready(Progress::Finished(Box::new(self.finish())));
                    }
                    let moved = self.poll_world(cx);
                    let woken = is_due(&*self.host.runtime, &mut self.timer, wake, cx);
                    if !moved && !woken {
                        return Poll::Pending;
                    }
                    if woken {
                        self.batch.handle_timeout(self.host.runtime.now());
                    }
                }
            }
        }
    }

    /// Looks at everything that can happen. Says whether anything did.
    fn poll_world(&mut self, cx: &mut Context<'_>) -> bool {
        let heard = self.poll_news(cx);
        if self.tasks.is_empty() {
            return heard;
        }
        let Poll::Ready(Some(done)) = Pin::new(&mut self.tasks).poll_next(cx) else {
            return self.poll_news(cx) || heard;
        };
        // What a job said before it ended is told before its end.
        self.poll_news(cx);
        match done {
            Done::Job(worked) => self.job_done(*worked),
            Done::Recorded(report, written) => {
                self.note_results(written);
                self.tell_end(report);
            }
            Done::Server(done) => self.server_done(done),
        }
        true
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(news)) = self.news.poll(cx) {
            moved = true;
            match news {
                News::Event(event) => self.events.push_back(*event),
                News::Spend(job, spend) => {
                    self.batch.handle_spend(job, spend, self.host.runtime.now());
                }
            }
        }
        moved
    }

    fn start_job(&mut self, no: JobNo, server_no: ServerNo, attempt: u32) {
        let PlannedJob { job, id, fingerprint } = &self.jobs[no.0];
        let slot = self.slots.get(&server_no);
        let slot = slot.and_then(|slot| Some((slot.server.clone()?, Arc::clone(&slot.fault))));
        let (server, server_fault) = slot.expect("jobs begin on servers that are there");
        let cancelled = Arc::new(Latch::default());
        self.cancels.insert(no, Arc::clone(&cancelled));
        let assignment = Assignment {
            no,
            id: Arc::clone(id),
            fingerprint: Arc::clone(fingerprint),
            job: Arc::clone(job),
            attempt,
            server_no,
            server,
            server_fault,
            cancelled,
            feed: self.feed.clone(),
            results: self.results.clone(),
        };
        let model = job.config.model().map(tracing::field::display);
        let span = tracing::info_span!("job", job = %id, model, end = tracing::field::Empty);
        let task = async {
            let worked = work(assignment).await;
            let end = worked.error.as_ref().map_or("completed", JobError::name);
            tracing::Span::current().record("end", end);
            Done::Job(Box::new(worked))
        };
        self.tasks.push(Box::pin(task.instrument(span)));
    }

    fn job_done(&mut self, mut worked: Worked) {
        let now = self.host.runtime.now();
        let (no, server, stop) = (worked.no, worked.server, worked.stop);
        self.cancels.remove(&no);
        let spend = ending::spend(&worked);
        // The outcome knows more than the events that were counted: what was found after a gap, for example.
        self.batch.handle_spend(no, spend, now);
        *self.spends.entry(no).or_default() += spend;
        if let Some(JobError::Results(error)) = &worked.error {
            self.results_fault.get_or_insert_with(|| Arc::clone(error));
            self.batch.halt(now);
        }
        if let Some(reason) = worked.fault.take() {
            self.fail_server(server, reason);
            self.batch.handle_server_lost(server, now);
        }
        if let Some(size) = worked.server_memory {
            self.batch.handle_server_memory(server, size, now);
        }
        self.worked.insert(no, worked);
        self.batch.handle_job_ended(no, stop, now);
    }

    fn tell_retry(&mut self, job: JobNo, at: Instant) {
        let delay = at.saturating_duration_since(self.host.runtime.now());
        let error = self.worked.get(&job).and_then(|worked| worked.error.as_ref());
        let reason = error.map(|error| describe(error)).unwrap_or_default();
        self.events.push_back(BatchEvent::JobRetrying { job, reason, delay });
    }

    /// Writes the end of a job down; it is told when it is written.
    fn end_job(&mut self, no: JobNo, not_run: Option<NotRun>) {
        let report = Arc::new(self.report(no, not_run));
        let Some(results) = self.results.clone() else { return self.tell_end(report) };
        let runtime = Arc::clone(&self.host.runtime);
        self.tasks.push(Box::pin(async move {
            let line = Line::Ended(Box::new(report.record.clone()));
            let written = results.write(&runtime, &line).await;
            Done::Recorded(report, written)
        }));
    }

    fn report(&mut self, no: JobNo, not_run: Option<NotRun>) -> JobReport {
        let planned = &self.jobs[no.0];
        if let Some(worked) = self.worked.remove(&no) {
            let spend = self.spends.remove(&no).unwrap_or_default();
            return ending::of_work(planned, worked, self.batch.attempts(no), spend);
        }
        let why = not_run.expect("a job that was begun has come to something");
        ending::of_none(planned, no, why, self.server_fault.as_deref())
    }

    fn tell_end(&mut self, report: Arc<JobReport>) {
        let kept = match self.turns {
            Retention::Keep => Arc::clone(&report),
            Retention::Discard => Arc::new(JobReport {
                no: report.no,
                record: report.record.clone(),
                turns: Vec::new(),
                error: report.error.as_ref().map(|_| JobError::recorded(&report.record)),
            }),
        };
        self.reports[report.no.0] = Some(kept);
        self.events.push_back(BatchEvent::JobEnded(report));
    }

    fn start_server(&mut self, no: ServerNo, group: Option<GroupNo>) {
        let source = match (&self.source, group) {
            (BatchServers::Given(servers), _) => {
                Source::Attach(Box::new(servers[no.0].attach.clone()))
            }
            (BatchServers::Started(serve), group) => {
                let group = self.groups.group(group.expect("servers are started for a group"));
                let mut request = serve.clone();
                request.config = group.config.clone();
                match &group.place {
                    Place::Directory(directory) => request.directory.clone_from(directory),
                    Place::Nowhere => request.place = crate::server::Place::Nowhere,
                }
                Source::Serve(request)
            }
        };
        let dismissed = Arc::new(Latch::default());
        let slot = Slot { dismissed: Arc::clone(&dismissed), server: None, fault: Arc::default() };
        self.slots.insert(no, slot);
        let begin = servers::begin(Arc::clone(&self.host), no, source, dismissed);
        self.tasks.push(Box::pin(async { Done::Server(begin.await) }));
        self.events.push_back(BatchEvent::ServerStarting(no));
    }

    fn stop_server(&mut self, no: ServerNo) {
        let Some(slot) = self.slots.get_mut(&no) else { return };
        slot.dismissed.set(());
        if let Some(server) = slot.server.take() {
            self.tasks.push(Box::pin(async move { Done::Server(servers::stop(no, server).await) }));
        }
    }

    fn server_done(&mut self, done: ServerDone) {
        let now = self.host.runtime.now();
        match done {
            ServerDone::Ready(no, server) => {
                let url = server.url();
                if server.process_id().is_some() {
                    let watch = servers::watch(no, server.inner.exit());
                    self.tasks.push(Box::pin(async { Done::Server(watch.await) }));
                }
                let Some(slot) = self.slots.get_mut(&no) else { return };
                if slot.dismissed.value().is_some() {
                    // It was ready before it heard of it.
                    let stop = servers::stop(no, server);
                    self.tasks.push(Box::pin(async { Done::Server(stop.await) }));
                    return;
                }
                slot.server = Some(server);
                self.events.push_back(BatchEvent::ServerReady { server: no, url });
                self.batch.handle_server_ready(no, now);
            }
            ServerDone::Failed(no, ServerFault { reason, is_passing }) => {
                self.fail_server(no, reason);
                self.slots.remove(&no);
                if is_passing {
                    self.batch.handle_server_failed(no, now);
                } else {
                    self.batch.handle_server_refused(no, now);
                }
            }
            ServerDone::Exited(no, reason) => {
                let is_used = self.slots.get(&no).is_some_and(|slot| slot.server.is_some());
                if is_used {
                    self.fail_server(no, reason);
                    self.batch.handle_server_lost(no, now);
                }
            }
            ServerDone::Stopped(no, error) => {
                self.slots.remove(&no);
                self.leftovers.extend(error.map(|error| *error));
                self.events.push_back(BatchEvent::ServerStopped(no));
                self.batch.handle_server_stopped(no, now);
            }
        }
    }

    /// A server that dies is noticed by its jobs too: it is told once.
    fn fail_server(&mut self, server: ServerNo, reason: String) {
        match self.slots.get(&server) {
            Some(slot) if slot.fault.value().is_none() => slot.fault.set(reason.clone()),
            Some(_) | None => return,
        }
        self.server_fault = Some(reason.clone());
        self.events.push_back(BatchEvent::ServerFailed { server, reason });
    }

    /// Results that cannot be written make no sense to go on for.
    fn note_results(&mut self, written: Result<(), ResultsError>) {
        if let Err(error) = written {
            self.results_fault.get_or_insert_with(|| Arc::new(error));
            self.batch.halt(self.host.runtime.now());
        }
    }

    fn finish(&mut self) -> Result<BatchReport, BatchError> {
        let report = BatchReport {
            jobs: self.reports.drain(..).map(|job| job.expect("every job has ended")).collect(),
            spend: self.batch.spend(),
            elapsed: self.host.runtime.now().saturating_duration_since(self.begun),
            leftovers: std::mem::take(&mut self.leftovers),
        };
        match self.results_fault.take() {
            None => Ok(report),
            Some(source) => Err(BatchError::ResultsWrite { report: Box::new(report), source }),
        }
    }
}
