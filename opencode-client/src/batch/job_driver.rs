//! Driver of one attempt of a job, around the machine [`JobAttempt`].

mod turns;

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use opencode_proto::{
    ApiCallId, ApiReply, AttemptAction, AttemptCause, AttemptEnd, AttemptTurn, JobAttempt, JobStop,
    ServedFile, ServedFileKind, ServerNo, ServerOwner, SessionInfo, SkipReason, Spend,
    TurnEventKind, TurnPost,
};

use super::event::BatchEvent;
use super::feed::{Feed, FeedItem};
use super::job::Job;
use super::job_error::JobError;
use super::left::LeftJob;
use super::report::JobReport;
use super::results::ResultsFile;
use super::servers::resident_size;
use super::turn;
use crate::process::drop_order::DropOrder;
use crate::process::host::{NoDirectory, directory_error};
use crate::process::warning::Warning;
use crate::runtime::Timer;
use crate::runtime::blocking::unblock;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{BoxFuture, is_due};
use crate::server::Server;
use crate::server::files::{found, unusable};
use crate::server::hub::{Delivery, Follower};
use crate::server::place::Place;
use crate::server::survey::missing_mcp;
use crate::session::Session;

use turns::{JobStream, JobTurns, end_of};

/// An attempt of a job on a server.
pub(super) struct JobDriver {
    /// The work goes before the server.
    work: DropOrder<JobWork, AttemptServer>,
    attempt: JobAttempt,
    number: u32,
    job: Arc<Job>,
    /// Report of the attempt, as far as it is known.
    report: JobReport,
    files: Vec<ServedFile>,
    directory: Option<String>,
    cancelled: BoxFuture<()>,
    feed: Feed,
    results: Option<ResultsFile>,
    spend: Spend,
    timer: Option<Pin<Box<dyn Timer>>>,
}

/// Server of an attempt.
pub(super) struct AttemptServer {
    pub(super) no: ServerNo,
    pub(super) server: Server,
    /// Set with the reason when the server is given up.
    pub(super) fault: Arc<Latch<String>>,
}

/// Everything of an attempt that uses the server.
#[derive(Default)]
struct JobWork {
    activity: JobActivity,
    session: Option<Session>,
    /// Events of the session of a prompt that is taken back.
    follower: Option<Follower>,
}

/// Current wait of an attempt.
#[derive(Default)]
enum JobActivity {
    /// The start is being recorded and announced, which cannot be broken off.
    Announcing(BoxFuture<Result<(), JobError>>),
    Calling(BoxFuture<(ApiCallId, ApiReply)>),
    Ending(BoxFuture<JobTurns>),
    /// The surroundings are surveyed, and the session is being put under the policy.
    Governing(BoxFuture<Result<GovernedSession, JobError>>),
    #[default]
    Idle,
    Turn(JobStream),
}

/// A session under the policy of the job, and the warnings about the directory.
type GovernedSession = (Session, Arc<Vec<Warning>>);

/// End of an attempt for the batch.
pub(super) struct EndedAttempt {
    pub(super) report: JobReport,
    pub(super) server: ServerNo,
    pub(super) stop: JobStop,
    /// Reason for which the server is of no use any more.
    pub(super) fault: Option<String>,
    /// Memory of the server after the attempt, in bytes.
    pub(super) server_memory: Option<u64>,
    /// Session of a complete answer, which may work on.
    pub(super) left: Option<LeftJob>,
}

impl JobDriver {
    /// Creates the driver of an attempt. The report has the record of a job that has not begun.
    pub(super) fn new(
        job: Arc<Job>,
        report: JobReport,
        number: u32,
        server: AttemptServer,
        cancelled: Arc<Latch<()>>,
        feed: Feed,
        results: Option<ResultsFile>,
    ) -> Self {
        let owner = match server.server.process_id() {
            Some(_) => ServerOwner::Ours,
            None => ServerOwner::Theirs,
        };
        Self {
            attempt: JobAttempt::new(turn::session(&job, &report.record.job), owner),
            work: DropOrder::new(JobWork::default(), server),
            number,
            job,
            report,
            files: Vec::new(),
            directory: None,
            cancelled: Box::pin(async move { drop(cancelled.wait().await) }),
            feed,
            results,
            spend: Spend::default(),
            timer: None,
        }
    }

    /// Drives the attempt to the end.
    pub(super) async fn drive(mut self) -> EndedAttempt {
        let begun = self.now();
        let (stop, fault) = match self.explore().await {
            Ok(()) => {
                let end = self.run().await;
                let (stop, fault) = (end.stop, end.fault.clone());
                self.conclude(end);
                (stop, fault)
            }
            Err(error) => {
                self.report.end_attempt(error, JobStop::Failed);
                (JobStop::Failed, None)
            }
        };
        let elapsed = self.now().saturating_duration_since(begun);
        self.report.record.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let Self { work, report, job, feed, .. } = self;
        let (work, server) = work.into_parts();
        let left = work
            .session
            .filter(|_| report.is_completed())
            .map(|session| LeftJob::new(report.no, server.no, job, session, &report.turns, feed));
        let server_memory = match server.server.process_id() {
            Some(process) => {
                let runtime = &server.server.inner.host.runtime;
                unblock(runtime, move || resident_size(process)).await
            }
            None => None,
        };
        EndedAttempt { report, server: server.no, stop, fault, server_memory, left }
    }

    /// Looks for the directory and the files. A server takes a missing directory for an empty one.
    async fn explore(&mut self) -> Result<(), JobError> {
        let (server, job) = (self.server().clone(), Arc::clone(&self.job));
        let runtime = Arc::clone(&self.server().inner.host.runtime);
        let Place { path, requested } = match server.place(job.directory.as_deref()).await {
            Ok(place) => place,
            Err(NoDirectory { path, source }) => return Err(JobError::Directory { path, source }),
        };
        let machine = server.inner.machine();
        let files = unblock(&runtime, move || {
            let base = path.as_deref().unwrap_or_else(|| Path::new(""));
            let files = found(job.config.flags().files(), base, machine);
            let unusable = || unusable(&TurnPost::from(job.prompt.clone()), machine);
            match files.iter().find_map(ServedFile::error).or_else(unusable) {
                Some(error) => Err(error),
                None => Ok(files),
            }
        })
        .await?;
        if let Some(file) = files.iter().find(|file| file.kind == ServedFileKind::Missing) {
            return Err(JobError::FileNotFound { path: file.given.clone() });
        }
        self.directory = requested.requested().map(str::to_owned);
        self.attempt.handle_directory(requested);
        self.files = files;
        Ok(())
    }

    /// Carries out the actions of the machine until the attempt is over.
    async fn run(&mut self) -> AttemptEnd {
        loop {
            match self.attempt.poll_action() {
                AttemptAction::Call(call) => {
                    let http = self.server().http.clone();
                    let directory = self.directory.clone();
                    self.set(JobActivity::Calling(Box::pin(async move {
                        let id = call.id;
                        (id, http.answer(*call, directory.as_deref()).await)
                    })));
                }
                AttemptAction::CancelTurn => {
                    if let JobActivity::Turn(turn) = &mut self.work.first_mut().activity {
                        turn.cancel();
                    }
                }
                AttemptAction::Finished(end) => return *end,
                AttemptAction::Follow(id) => {
                    let session = self.work.first().session.as_ref();
                    let directory = session.and_then(|session| session.directory());
                    let follower = self.server().inner.follow(id, directory.map(str::to_owned));
                    self.work.first_mut().follower = Some(follower);
                }
                AttemptAction::Prepare(session) => self.prepare(&session),
                AttemptAction::Send => {
                    let turn = self.send();
                    self.set(JobActivity::Turn(turn));
                }
                AttemptAction::Wait(at) => poll_fn(|cx| self.poll_inputs(at, cx)).await,
            }
        }
    }

    fn prepare(&mut self, session: &SessionInfo) {
        let session = Session::found(self.server(), session);
        self.report.record.session = Some(session.id().clone());
        let policy = self.job.policy.clone();
        let (server, directory) = (Arc::clone(&self.server().inner), self.directory.clone());
        let job = Arc::clone(&self.job);
        self.set(JobActivity::Governing(Box::pin(async move {
            let directory = directory.as_deref();
            let warnings = server.surroundings(directory).await;
            let required = job.config.required_mcp();
            if let Some(missing) = missing_mcp(&server.http, directory, required).await {
                return Err(JobError::McpUnavailable(Box::new(missing)));
            }
            let session = match policy {
                Some(policy) => session.with_policy(policy).await?,
                None => session,
            };
            Ok((session, warnings))
        })));
    }

    /// Records and announces that the prompt is about to be sent.
    fn announce(&mut self, session: Session) {
        let (attempt, server) = (self.number, self.work.second().no);
        let (job, id) = (self.report.no, session.id().clone());
        self.work.first_mut().session = Some(session);
        let (mut feed, results) = (self.feed.clone(), self.results.clone());
        let record = self.report.record.clone();
        let runtime = Arc::clone(&self.server().inner.host.runtime);
        self.set(JobActivity::Announcing(Box::pin(async move {
            if let Some(results) = results {
                let written = results.write_started(&runtime, &record, attempt, id.clone()).await;
                written.map_err(|error| JobError::Results(Arc::new(error)))?;
            }
            feed.announce(BatchEvent::JobStarted { job, attempt, server, session: id }).await;
            Ok(())
        })));
    }

    fn send(&self) -> JobStream {
        let session = self.work.first().session.as_ref().expect("a session is prepared first");
        let request = turn::request(&self.job, &self.files);
        match &self.job.answer {
            Some(schema) => {
                JobStream::Structured(Box::new(session.send_structured(request, schema)))
            }
            None => JobStream::Text(Box::new(session.send(request))),
        }
    }

    /// Polls everything that the attempt waits for.
    fn poll_inputs(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let is_moved = self.poll_cancelled(cx).is_ready()
            | self.poll_activity(cx).is_ready()
            | self.poll_follower(cx).is_ready();
        let runtime = Arc::clone(&self.server().inner.host.runtime);
        let has_come = is_due(&*runtime, &mut self.timer, at, cx);
        if !is_moved && !has_come {
            return Poll::Pending;
        }
        self.attempt.handle_timeout(self.now());
        Poll::Ready(())
    }

    fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let JobActivity::Announcing(_) = self.work.first().activity {
            return Poll::Pending;
        }
        ready!(self.cancelled.as_mut().poll(cx));
        self.cancelled = Box::pin(std::future::pending());
        self.attempt.cancel(self.now());
        Poll::Ready(())
    }

    fn poll_activity(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        match &mut self.work.first_mut().activity {
            JobActivity::Idle => return Poll::Pending,
            JobActivity::Announcing(announced) => match ready!(announced.as_mut().poll(cx)) {
                Ok(()) => {
                    self.set(JobActivity::Idle);
                    self.attempt.handle_prepared(now);
                }
                Err(error) => self.fail_preparation(error, now),
            },
            JobActivity::Calling(reply) => {
                let (id, reply) = ready!(reply.as_mut().poll(cx));
                self.set(JobActivity::Idle);
                self.attempt.handle_reply(id, reply, now);
            }
            JobActivity::Ending(turns) => {
                let turns = ready!(turns.as_mut().poll(cx));
                self.set(JobActivity::Idle);
                self.end_turns(turns, now);
            }
            JobActivity::Governing(session) => match ready!(session.as_mut().poll(cx)) {
                Ok((session, warnings)) => {
                    self.report.warnings.clone_from(&warnings);
                    self.announce(session);
                }
                Err(error) => self.fail_preparation(error, now),
            },
            JobActivity::Turn(_) => return self.poll_turn(cx),
        }
        Poll::Ready(())
    }

    /// Passes the next event of the turn on, when the reader of the batch has room.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.feed.poll_ready(cx));
        let activity = &mut self.work.first_mut().activity;
        let JobActivity::Turn(turn) = activity else { return Poll::Pending };
        let Some(event) = ready!(turn.poll_next(cx)) else {
            if let JobActivity::Turn(turn) = std::mem::take(activity) {
                self.set(JobActivity::Ending(turn.outcome()));
            }
            return Poll::Ready(());
        };
        let job = self.report.no;
        let spend = if let TurnEventKind::StepFinished(finish) = &event.kind {
            self.spend += Spend::new(finish.tokens, finish.cost);
            Some((job, self.spend))
        } else {
            None
        };
        if let TurnEventKind::McpLost(server) = &event.kind {
            self.report.warnings.push(Warning::McpLost(server.clone()));
        }
        let event = Box::new(BatchEvent::JobEvent { job, event: Box::new(event) });
        self.feed.send(FeedItem::Event { event, spend });
        Poll::Ready(())
    }

    fn poll_follower(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        let Some(follower) = &self.work.first().follower else { return Poll::Pending };
        match ready!(follower.mailbox().poll_take(cx)) {
            Delivery::Event(event) => self.attempt.handle_event(&event, now),
            Delivery::Finished(_) | Delivery::Interrupted(_) => {
                self.attempt.handle_stream_gap(now);
            }
            Delivery::Opened => self.attempt.handle_stream_open(now),
        }
        Poll::Ready(())
    }

    fn fail_preparation(&mut self, error: JobError, now: Instant) {
        self.set(JobActivity::Idle);
        self.report.error = Some(error);
        self.attempt.handle_not_prepared(now);
    }

    fn end_turns(&mut self, turns: JobTurns, now: Instant) {
        let end = match turns {
            Ok((turns, value)) => {
                self.report.complete(turns, value);
                AttemptTurn::Answered
            }
            Err(error) => {
                let end = end_of(&error);
                self.report.error = Some(error);
                end
            }
        };
        if let Some(reason) = self.work.second().fault.value() {
            self.attempt.handle_server_lost(&*reason);
        }
        self.attempt.handle_turn_end(end, now);
    }

    fn conclude(&mut self, end: AttemptEnd) {
        let error = self.report.error.take();
        let error = match end.cause {
            AttemptCause::Cancelled => Some(JobError::NotRun(SkipReason::Cancelled)),
            AttemptCause::Directory(error) => {
                let path = self.directory.clone().unwrap_or_default().into();
                Some(JobError::Directory { path, source: directory_error(error) })
            }
            AttemptCause::NotPrepared | AttemptCause::Turn => error,
            AttemptCause::ServerLost(reason) => error.map(|error| error.blame_server(reason)),
            AttemptCause::Session(fault) => Some(JobError::Session(fault)),
        };
        if let Some(error) = error {
            self.report.end_attempt(error, end.stop);
        }
    }

    fn set(&mut self, activity: JobActivity) {
        self.work.first_mut().activity = activity;
    }

    fn server(&self) -> &Server {
        &self.work.second().server
    }

    fn now(&self) -> Instant {
        self.server().inner.host.runtime.now()
    }
}
