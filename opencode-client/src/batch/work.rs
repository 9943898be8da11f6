//! One job on one server.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use opencode_proto::api::{CreateSession, Health};
use opencode_proto::{
    HubEnd, JobNo, JobStop, MessageId, NotRun, RawJson, ServerNo, SessionId, Spend, TurnEnd,
    TurnEvent, TurnEventKind, TurnOutcome,
};

use super::event::BatchEvent;
use super::feed::{Feed, News};
use super::job::Job;
use super::job_error::JobError;
use super::record::Line;
use super::results::{ResultsError, ResultsFile};
use super::servers::resident_size;
use super::withdraw::{discard, withdraw};
use crate::http::Http;
use crate::log::describe;
use crate::process::host::NoDirectory;
use crate::runtime::blocking::unblock;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{First, race};
use crate::server::Server;
use crate::session::Session;
use crate::session::structured::{StructuredError, StructuredOutcome, StructuredStream};
use crate::session::turn::{TurnError, TurnRequest, TurnStream};

/// A job, and all it needs.
pub(super) struct Assignment {
    pub(super) no: JobNo,
    pub(super) id: Arc<str>,
    pub(super) fingerprint: Arc<str>,
    pub(super) job: Arc<Job>,
    pub(super) attempt: u32,
    pub(super) server_no: ServerNo,
    pub(super) server: Server,
    /// Why it was given up, once it is.
    pub(super) server_fault: Arc<Latch<String>>,
    pub(super) cancelled: Arc<Latch<()>>,
    pub(super) feed: Feed,
    pub(super) results: Option<ResultsFile>,
}

/// What it said.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) turns: Vec<TurnOutcome>,
    /// In the form that was asked for.
    pub(super) value: Option<RawJson>,
}

/// What came of it.
pub(super) struct Worked {
    pub(super) no: JobNo,
    pub(super) server: ServerNo,
    pub(super) session: Option<SessionId>,
    pub(super) answer: Answer,
    pub(super) error: Option<JobError>,
    pub(super) stop: JobStop,
    /// Why the server is of no use any more.
    pub(super) fault: Option<String>,
    /// How much memory the server takes after it, in bytes.
    pub(super) server_memory: Option<u64>,
    pub(super) elapsed: Duration,
}

/// Why a job came to no answer, and what that means for it and its server.
struct Failure {
    error: JobError,
    stop: JobStop,
    fault: Option<String>,
}

pub(super) async fn work(assignment: Assignment) -> Worked {
    let runtime = Arc::clone(&assignment.server.inner.host.runtime);
    let begun = runtime.now();
    let (no, server) = (assignment.no, assignment.server_no);
    let process = assignment.server.process_id();
    let mut session = None;
    let mut answer = Answer::default();
    let failure = carry_out(assignment, &mut session, &mut answer).await.err();
    let (error, stop, fault) = match failure {
        Some(Failure { error, stop, fault }) => (Some(error), stop, fault),
        None => (None, JobStop::Done, None),
    };
    let elapsed = runtime.now().saturating_duration_since(begun);
    let server_memory = match process {
        Some(process) => unblock(&runtime, move || resident_size(process)).await,
        None => None,
    };
    Worked { no, server, session, answer, error, stop, fault, server_memory, elapsed }
}

async fn carry_out(
    mut assignment: Assignment,
    session_slot: &mut Option<SessionId>,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let cancelled = Arc::clone(&assignment.cancelled);
    let session = match race(cancelled.wait(), create(&assignment)).await {
        First::One(_) => return Err(Failure::of(JobError::NotRun(NotRun::Cancelled))),
        First::Other(created) => created?,
    };
    *session_slot = Some(session.id().clone());
    announce(&mut assignment, session.id()).await?;
    let request = request(&assignment.job);
    let outcome = match assignment.job.answer.clone() {
        None => {
            let mut turn = session.send(request);
            follow(&mut turn, &mut assignment).await;
            turn.outcome().await.map(|outcome| answer.turns.push(outcome)).map_err(JobError::Turn)
        }
        Some(schema) => {
            let mut turns = session.send_structured(request, &schema);
            follow(&mut turns, &mut assignment).await;
            let outcome = turns.outcome().await.map_err(JobError::Structured);
            outcome.map(|StructuredOutcome { value, turns, .. }| {
                *answer = Answer { turns, value: Some(value) };
            })
        }
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(failure(&session, blame_server(&assignment, error)).await),
    }
}

/// What is sent, and how.
fn request(job: &Job) -> TurnRequest {
    let mut prompt = job.prompt.clone();
    if let (None, Some(agent)) = (prompt.agent(), job.config.agent()) {
        prompt = prompt.with_agent(agent);
    }
    if let (None, Some(model)) = (prompt.model(), job.config.model()) {
        prompt = prompt.with_model(model.clone());
    }
    let mut request = TurnRequest::new(prompt).with_settings(job.settings.clone());
    request.log.clone_from(&job.log);
    request.handlers = job.handlers.clone();
    // What one job is granted for ever, the server would grant all.
    request.handlers.remember_always();
    request
}

/// Its session, under its policy. A new one for each try.
async fn create(assignment: &Assignment) -> Result<Session, Failure> {
    let Assignment { job, server, .. } = assignment;
    let directory = directory(assignment).await.map_err(Failure::of)?;
    let title = job.title.clone().unwrap_or_else(|| format!("job {}", assignment.id));
    let create = CreateSession::new().with_title(title);
    let error = match server.create_session_in(create, directory.as_deref()).await {
        Ok(session) => return govern(session, job).await,
        Err(error) => error,
    };
    // What the server answered is final; otherwise at worst a session was created that nobody uses.
    let stop = if error.api().is_some() { JobStop::Failed } else { JobStop::NotAccepted };
    let fault = if error.api().is_some() { None } else { fault(&server.inner.http).await };
    Err(Failure { error: JobError::Session(error), stop, fault })
}

async fn govern(session: Session, job: &Job) -> Result<Session, Failure> {
    match job.policy.clone() {
        None => Ok(session),
        Some(policy) => {
            session.with_policy(policy).await.map_err(|error| Failure::of(JobError::Policy(error)))
        }
    }
}

/// The directory it works in. A server takes one that is not there for one that is empty.
async fn directory(assignment: &Assignment) -> Result<Option<String>, JobError> {
    let Assignment { job, server, .. } = assignment;
    let (at, path) = (server.clone(), job.directory.clone());
    let runtime = &server.inner.host.runtime;
    match unblock(runtime, move || at.place_of(path.as_deref())).await {
        Ok(directory) => Ok(directory.map(|directory| directory.to_string_lossy().into_owned())),
        Err(NoDirectory { path, source }) => Err(JobError::Directory { path, source }),
    }
}

/// Says that the prompt is about to be sent, in the results first.
async fn announce(assignment: &mut Assignment, session: &SessionId) -> Result<(), Failure> {
    let Assignment { no, attempt, server_no, feed, .. } = assignment;
    if let Some(results) = &assignment.results {
        let line = Line::Started {
            job: assignment.id.to_string(),
            fingerprint: assignment.fingerprint.to_string(),
            attempt: *attempt,
            session: session.clone(),
        };
        let written: Result<(), ResultsError> =
            results.write(&assignment.server.inner.host.runtime, &line).await;
        written.map_err(|error| Failure::of(JobError::Results(Arc::new(error))))?;
    }
    let (job, attempt, server, session) = (*no, *attempt, *server_no, session.clone());
    feed.event(BatchEvent::JobStarted { job, attempt, server, session }).await;
    Ok(())
}

/// Passes on what happens, until there is no more.
async fn follow(events: &mut impl Events, assignment: &mut Assignment) {
    let (job, feed) = (assignment.no, &mut assignment.feed);
    let cancelled = Arc::clone(&assignment.cancelled);
    let mut is_cancelled = false;
    let mut spend = Spend::default();
    loop {
        let mut wait = pin!(cancelled.wait());
        let event = poll_fn(|cx| {
            if !is_cancelled && wait.as_mut().poll(cx).is_ready() {
                is_cancelled = true;
                events.cancel();
            }
            Pin::new(&mut *events).poll_next(cx)
        });
        let Some(event) = event.await else { return };
        if let Some(used) = used_by(&event) {
            spend += used;
            feed.send(News::Spend(job, spend)).await;
        }
        feed.event(BatchEvent::JobEvent { job, event: Box::new(event) }).await;
    }
}

/// One turn, or several until the answer fits.
trait Events: Stream<Item = TurnEvent> + Unpin {
    fn cancel(&mut self);
}

impl Events for TurnStream {
    fn cancel(&mut self) {
        Self::cancel(self);
    }
}

impl Events for StructuredStream {
    fn cancel(&mut self) {
        Self::cancel(self);
    }
}

/// What a call of a model used, when the event is its end.
fn used_by(event: &TurnEvent) -> Option<Spend> {
    if let TurnEventKind::StepFinished(finish) = &event.kind {
        return Some(Spend::new(finish.tokens, finish.cost));
    }
    None
}

impl Failure {
    /// Another try would not end better.
    fn of(error: JobError) -> Self {
        Self { error, stop: JobStop::Failed, fault: None }
    }
}

/// A server of ours that is given up aborts what it works on. That is its end, and nobody's doing who used the session.
fn blame_server(assignment: &Assignment, mut error: JobError) -> JobError {
    let is_ours = assignment.server.process_id().is_some();
    let fault = assignment.server_fault.value().filter(|_| is_ours);
    if let Some(reason) = fault
        && let Some(TurnError::Ended(outcome)) = error.turn_mut()
        && matches!(outcome.end, TurnEnd::Aborted)
    {
        outcome.end = TurnEnd::server_lost(&*reason);
    }
    error
}

/// What a turn that has no complete answer means.
async fn failure(session: &Session, error: JobError) -> Failure {
    if let JobError::Structured(StructuredError::Misfit { .. }) = &error {
        return Failure { error, stop: JobStop::Done, fault: None };
    }
    let Some(turn) = error.turn() else { return Failure::of(error) };
    // After an answer that did not fit, what was done would be done again.
    let is_first = !matches!(&error, JobError::Structured(error) if error.turns().count() > 1);
    let (stop, is_doubtful) = match turn {
        TurnError::Ended(outcome) => {
            if let TurnEnd::NotPosted { is_certain, .. } = outcome.end {
                (not_posted(session, &outcome.message, is_certain).await, true)
            } else {
                (ended(&outcome.end), matches!(outcome.end, TurnEnd::ServerLost { .. }))
            }
        }
        TurnError::Events(HubEnd::Refused(_)) => (JobStop::Failed, false),
        TurnError::Events(_) => (JobStop::NotAccepted, true),
        TurnError::Log { .. } | TurnError::LogOpen(_) => (JobStop::Failed, false),
    };
    let fault = if is_doubtful { fault(&session.core.server.http).await } else { None };
    let stop = if stop == JobStop::NotAccepted && !is_first { JobStop::Broken } else { stop };
    Failure { error, stop, fault }
}

/// The prompt was not found on the server.
async fn not_posted(session: &Session, prompt: &MessageId, is_certain: bool) -> JobStop {
    if is_certain {
        // Nothing is on its way.
        discard(session).await;
        return JobStop::NotAccepted;
    }
    if withdraw(session, prompt).await { JobStop::NotAccepted } else { JobStop::Broken }
}

fn ended(end: &TurnEnd) -> JobStop {
    if matches!(end, TurnEnd::ServerLost { .. } | TurnEnd::Torn) {
        JobStop::Broken
    } else if matches!(end, TurnEnd::AgentError(_) | TurnEnd::Endless | TurnEnd::Rejected { .. }) {
        JobStop::Done
    } else {
        JobStop::Failed
    }
}

/// Why the server is of no use, if it is. That one call or one stream fails does not say so, and other jobs run there.
async fn fault(http: &Http) -> Option<String> {
    let health = http.call(&Health::new(), None).await;
    health.err().filter(|error| error.api().is_none()).map(|error| describe(&error))
}
