//! A turn, and the run that is made of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opencode_proto::{
    Answer, Exit, RunEnd, RunEvent, RunEventKind, ServeEnd, ServeOutcome, ServedRun, TurnOutcome,
};

use crate::log::Log;
use crate::process::cleanup::CleanupError;
use crate::process::host::Host;
use crate::process::warning::Warning;
use crate::run::end::CleanUp;
use crate::run::error::RunResult;
use crate::run::report::RunReport;
use crate::runtime::wait::BoxFuture;
use crate::server::{Server, StopError};
use crate::session::turn::{TurnError, TurnStream};

/// Its fields are dropped in this order: the turn before its server.
pub(super) struct Running {
    pub(super) source: Source,
    /// The server that was started for this run.
    server: Option<Server>,
    run: ServedRun,
    log: Option<Log>,
    host: Arc<Host>,
    pub(super) command: String,
    pub(super) stderr: String,
    pub(super) exit: Option<Exit>,
    pub(super) attempts: u32,
}

/// Where the events come from.
pub(super) enum Source {
    Turn(TurnStream),
    Ending(BoxFuture<Result<TurnOutcome, TurnError>>),
    Over(RunEnd),
}

pub(super) enum Progress {
    Event(Box<RunEvent>),
    Finished(RunEnd),
}

impl Running {
    /// A run that comes to nothing, unless it gets a turn.
    pub(super) fn new(host: Arc<Host>, run: ServedRun, log: Option<Log>, command: String) -> Self {
        Self {
            source: Source::Over(RunEnd::Cancelled),
            server: None,
            run,
            log,
            host,
            command,
            stderr: String::new(),
            exit: None,
            attempts: 1,
        }
    }

    /// The server lives and ends with the run.
    pub(super) fn own(&mut self, server: Server) {
        if let Some(command) = server.command() {
            command.clone_into(&mut self.command);
        }
        self.server = Some(server);
    }

    pub(super) fn run(&mut self) -> &mut ServedRun {
        &mut self.run
    }

    pub(super) fn answer(&self) -> &Answer {
        self.run.answer()
    }

    pub(super) fn cancel(&mut self) {
        if let Source::Turn(turn) = &mut self.source {
            turn.cancel();
        }
    }

    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        loop {
            if let Some(event) = self.run.poll_event() {
                self.log(&event);
                return Poll::Ready(Progress::Event(Box::new(event)));
            }
            if let Some(log) = &mut self.log {
                while log.poll(cx) {}
                // A log that cannot keep up holds the run back.
                if log.is_full() {
                    return Poll::Pending;
                }
            }
            match &mut self.source {
                Source::Turn(turn) => match ready!(Pin::new(&mut *turn).poll_next(cx)) {
                    Some(event) => self.run.handle_event(&event, self.host.runtime.epoch_ms()),
                    None => self.end_turn(),
                },
                Source::Ending(outcome) => {
                    let outcome = ready!(outcome.as_mut().poll(cx));
                    self.source = Source::Over(self.end_of(outcome));
                }
                Source::Over(end) => return Poll::Ready(Progress::Finished(end.clone())),
            }
        }
    }

    /// What it came to, and what is left to do: to stop its server, and to end the log.
    pub(super) fn close(
        self,
        end: RunEnd,
    ) -> (RunReport, impl Future<Output = Closed> + Send + use<>) {
        let Self { source, server, run, log, host, command, stderr, exit, attempts } = self;
        drop(source);
        tracing::debug!(%command, end = %end.name(), "ended");
        let mut outcome = run.into_outcome(end, host.runtime.now());
        (outcome.stderr, outcome.exit) = (stderr, exit);
        let report = RunReport { outcome, command, warnings: Vec::new(), attempts };
        let closing = async move {
            let (server, removed) = match server {
                Some(server) => stop(server).await,
                None => (None, Ok(())),
            };
            let logged = match log {
                Some(log) => log.close().await,
                None => Ok(()),
            };
            Closed { server, clean_up: CleanUp { removed, logged } }
        };
        (report, closing)
    }

    fn log(&mut self, event: &RunEvent) {
        // The whole part follows.
        let is_delta = matches!(event.kind, RunEventKind::TextDelta(_));
        if let Some(log) = self.log.as_mut().filter(|_| !is_delta) {
            log.add(event.event_type(), event.to_json_line());
        }
    }

    fn end_turn(&mut self) {
        let over = Source::Over(RunEnd::Torn);
        if let Source::Turn(turn) = std::mem::replace(&mut self.source, over) {
            self.source = Source::Ending(Box::pin(turn.outcome()));
        }
    }

    fn end_of(&mut self, outcome: Result<TurnOutcome, TurnError>) -> RunEnd {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome) | TurnError::Log { outcome, .. }) => *outcome,
            Err(TurnError::Events(end)) => return RunEnd::ServerLost { reason: end.to_string() },
            Err(TurnError::LogOpen(_)) => unreachable!("the log is the run's, not the turn's"),
        };
        self.run.handle_end(outcome.transcript.id(), &outcome.end, self.host.runtime.epoch_ms())
    }
}

/// How the end went.
pub(super) struct Closed {
    /// What became of the run's own server.
    server: Option<(ServeOutcome, Vec<Warning>)>,
    clean_up: CleanUp,
}

impl Closed {
    pub(super) fn conclude(self, mut report: Box<RunReport>) -> RunResult {
        let Self { server, clean_up } = self;
        if let Some((served, warnings)) = server {
            let outcome = &mut report.outcome;
            // It went before the run did.
            if let (ServeEnd::Exited, RunEnd::ServerLost { .. }) = (&served.end, &outcome.end) {
                outcome.exit = served.exit;
                match served.exit {
                    Some(Exit::Signal(signal)) => outcome.end = RunEnd::Interrupted { signal },
                    Some(Exit::Code(code)) => {
                        outcome.end = RunEnd::Crashed { code, message: String::new() };
                    }
                    None => {}
                }
            }
            outcome.stderr = served.stderr;
            report.warnings.extend(warnings);
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
