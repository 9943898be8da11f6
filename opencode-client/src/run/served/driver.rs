//! Driver of a run over a server that is ready, together with the machine.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use opencode_config::Approval;
use opencode_proto::{
    Answer, ApiCallId, ApiReply, Notice, PermissionReply, RunEvent, RunEventKind, RunOutcome,
    ServeOutcome, ServedRun, ServedRunAction, ServedTurn, TurnOutcome, Version,
};

use crate::log::Log;
use crate::process::cleanup::CleanupError;
use crate::process::drop_order::DropOrder;
use crate::process::host::Host;
use crate::process::warning::Warning;
use crate::run::end::CleanUp;
use crate::run::error::RunResult;
use crate::run::report::RunReport;
use crate::runtime::Timer;
use crate::runtime::span::record_version;
use crate::runtime::wait::{BoxFuture, is_due};
use crate::server::{Server, StopError};
use crate::session::Session;
use crate::session::turn::{TurnError, TurnRequest, TurnStream};

/// A run over a server, with the machine that decides about the run.
pub(super) struct ServedDriver {
    /// The turn is dropped before the server.
    work: DropOrder<ServedActivity, Option<RunServer>>,
    run: ServedRun,
    log: Option<Log>,
    host: Arc<Host>,
    timer: Option<Pin<Box<dyn Timer>>>,
    pub(super) directory: Option<String>,
    pub(super) command: String,
    pub(super) version: Option<Version>,
    pub(super) attempts: u32,
}

/// Server of a run.
pub(super) enum RunServer {
    /// The server lives and ends with the run.
    Own(Server),
    Shared(Server),
}

/// Pending work of a run.
enum ServedActivity {
    Calling(BoxFuture<(ApiCallId, ApiReply)>),
    Ending(BoxFuture<Result<TurnOutcome, TurnError>>),
    Idle,
    Turn(TurnStream),
}

/// Progress of a [`ServedDriver`].
pub(super) enum ServedProgress {
    Event(Box<RunEvent>),
    Finished(Box<RunOutcome>),
}

impl ServedDriver {
    /// Creates the driver of a run that has no server yet.
    pub(super) fn new(host: Arc<Host>, run: ServedRun, log: Option<Log>, command: String) -> Self {
        Self {
            work: DropOrder::new(ServedActivity::Idle, None),
            run,
            log,
            host,
            timer: None,
            directory: None,
            command,
            version: None,
            attempts: 1,
        }
    }

    /// Begins on a server that is ready. The deadlines count from `since`.
    pub(super) fn start(&mut self, server: RunServer, since: Instant) {
        let (RunServer::Own(handle) | RunServer::Shared(handle)) = &server;
        self.version = handle.version().cloned();
        record_version(self.version.as_ref());
        if let RunServer::Own(server) = &server
            && let Some(command) = server.command()
        {
            command.clone_into(&mut self.command);
        }
        *self.work.second_mut() = Some(server);
        self.run.handle_server_ready(since, self.host.runtime.now());
    }

    /// Takes the faults in the surroundings of the run.
    pub(super) fn warn(&mut self, warnings: &[Warning]) {
        for notice in warnings.iter().filter_map(Warning::notice) {
            self.run.handle_notice(notice);
        }
    }

    /// Takes the plugins that the run's own server was installing.
    pub(super) fn install(&mut self, plugins: Vec<String>) {
        if !plugins.is_empty() {
            self.run.handle_notice(Notice::installing(plugins));
        }
    }

    /// Ends the run, because the server for the run did not start.
    pub(super) fn fail(&mut self, outcome: &ServeOutcome) {
        self.run.handle_server_failed(outcome, self.host.runtime.now());
    }

    pub(super) fn answer(&self) -> &Answer {
        self.run.answer()
    }

    pub(super) fn cancel(&mut self) {
        self.run.cancel(self.host.runtime.now());
    }

    /// Carries out the actions of the machine until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<ServedProgress> {
        loop {
            match self.run.poll_action() {
                ServedRunAction::Call(call) => {
                    let http = self.server().http.clone();
                    let directory = self.directory.clone();
                    *self.work.first_mut() = ServedActivity::Calling(Box::pin(async move {
                        let id = call.id;
                        (id, http.answer(*call, directory.as_deref()).await)
                    }));
                }
                ServedRunAction::CancelTurn => {
                    if let ServedActivity::Turn(turn) = self.work.first_mut() {
                        turn.cancel();
                    }
                }
                ServedRunAction::Event(event) => {
                    self.log(&event);
                    return Poll::Ready(ServedProgress::Event(event));
                }
                ServedRunAction::Finished(outcome) => {
                    let end = outcome.end.name();
                    let version = self.version.as_ref().map(tracing::field::display);
                    tracing::debug!(command = %self.command, version, end, "run ended");
                    return Poll::Ready(ServedProgress::Finished(outcome));
                }
                ServedRunAction::Send(turn) => {
                    *self.work.first_mut() = ServedActivity::Turn(self.send(*turn));
                }
                ServedRunAction::Wait(at) => {
                    let is_moved = self.poll_inputs(cx);
                    let is_due = is_due(&*self.host.runtime, &mut self.timer, at, cx);
                    if !is_moved && !is_due {
                        return Poll::Pending;
                    }
                    self.run.handle_timeout(self.host.runtime.now());
                }
            }
        }
    }

    /// Returns the report, and the work that is left: to stop the run's own server, and to close
    /// the log.
    pub(super) fn close(
        self,
        outcome: RunOutcome,
    ) -> (RunReport, impl Future<Output = ClosedRun> + Send + use<>) {
        let Self { work, log, command, version, attempts, .. } = self;
        let (activity, server) = work.into_parts();
        drop(activity);
        let warnings = Warning::of_notices(&outcome.notices).collect();
        let report = RunReport { outcome, command, version, warnings, attempts };
        let closing = async move {
            let (server, removed) = match server {
                Some(RunServer::Own(server)) => stop(server).await,
                Some(RunServer::Shared(_)) | None => (None, Ok(())),
            };
            let logged = match log {
                Some(log) => log.close().await,
                None => Ok(()),
            };
            ClosedRun { server, clean_up: CleanUp { removed, logged } }
        };
        (report, closing)
    }

    /// Polls the pending work of the run. Returns whether anything happened.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(log) = &mut self.log {
            while log.poll(cx) {}
            // A log that cannot keep up holds the run back.
            if log.is_full() {
                return false;
            }
        }
        let (now, now_ms) = (self.host.runtime.now(), self.host.runtime.epoch_ms());
        let next = match self.work.first_mut() {
            ServedActivity::Idle => return false,
            ServedActivity::Calling(reply) => {
                let Poll::Ready((id, reply)) = reply.as_mut().poll(cx) else { return false };
                self.run.handle_reply(id, reply, now);
                ServedActivity::Idle
            }
            ServedActivity::Turn(turn) => match Pin::new(turn).poll_next(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(event)) => {
                    self.run.handle_turn_event(&event, now_ms);
                    return true;
                }
                Poll::Ready(None) => self.conclude_turn(),
            },
            ServedActivity::Ending(outcome) => {
                let Poll::Ready(outcome) = outcome.as_mut().poll(cx) else { return false };
                self.end_turn(outcome, now_ms, now);
                ServedActivity::Idle
            }
        };
        *self.work.first_mut() = next;
        true
    }

    fn conclude_turn(&mut self) -> ServedActivity {
        match mem::replace(self.work.first_mut(), ServedActivity::Idle) {
            ServedActivity::Turn(turn) => ServedActivity::Ending(Box::pin(turn.outcome())),
            other @ (ServedActivity::Calling(_)
            | ServedActivity::Ending(_)
            | ServedActivity::Idle) => other,
        }
    }

    fn end_turn(&mut self, outcome: Result<TurnOutcome, TurnError>, now_ms: u64, now: Instant) {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome) | TurnError::Log { outcome, .. }) => *outcome,
            Err(TurnError::Events(end)) => return self.run.handle_lost(&end, now),
            Err(TurnError::Attachment(_)) => unreachable!("the files of a run are checked before"),
            Err(TurnError::UnknownAgent(_)) => unreachable!("the agent of a run is checked before"),
            Err(TurnError::LogOpen(_)) => unreachable!("the log is the run's, not the turn's"),
        };
        self.run.handle_turn_end(outcome.transcript.id(), &outcome.end, now_ms, now);
    }

    fn send(&self, turn: ServedTurn) -> TurnStream {
        let ServedTurn { session, post, settings, approval, .. } = turn;
        let mut request = TurnRequest::new(post).with_settings(settings);
        if approval == Approval::Auto {
            request = request.on_permission(|_| async { PermissionReply::Once });
        }
        Session::found(self.server(), &session).send(request)
    }

    fn server(&self) -> &Server {
        match self.work.second() {
            Some(RunServer::Own(server) | RunServer::Shared(server)) => server,
            None => unreachable!("a run asks for nothing before its server is ready"),
        }
    }

    fn log(&mut self, event: &RunEvent) {
        // The whole part follows.
        let is_delta = matches!(event.kind, RunEventKind::TextDelta(_));
        if let Some(log) = self.log.as_mut().filter(|_| !is_delta) {
            log.add(event.event_type(), event.to_json_line());
        }
    }
}

/// A run whose own server is stopped and whose log is closed.
pub(super) struct ClosedRun {
    /// End of the run's own server.
    server: Option<(ServeOutcome, Vec<Warning>)>,
    clean_up: CleanUp,
}

impl ClosedRun {
    pub(super) fn conclude(self, mut report: Box<RunReport>) -> RunResult {
        let Self { server, clean_up } = self;
        if let Some((served, warnings)) = server {
            report.outcome = report.outcome.with_server(&served);
            report.add_warnings(warnings);
        }
        clean_up.conclude(report)
    }
}

/// Stops the run's own server.
async fn stop(server: Server) -> (Option<(ServeOutcome, Vec<Warning>)>, Result<(), CleanupError>) {
    let (report, removed) = match server.stop().await {
        Ok(report) => (report, Ok(())),
        Err(StopError::Leftovers { report, source, .. }) => (*report, Err(source.into())),
    };
    let warnings = server.into_warnings();
    (report.outcome.map(|outcome| (outcome, warnings)), removed)
}
