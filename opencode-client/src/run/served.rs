//! Driver of a run over a server. The machine decides; the driver starts, stops and cleans up.

mod begin;
mod check;
mod driver;

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use opencode_proto::{Answer, RunEvent, RunOutcome, ServedRun};

use crate::process::host::Host;
use crate::run::error::RunError;
use crate::run::report::RunReport;
use crate::run::request::{Backend, RunRequest};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::BoxFuture;

use super::error::RunResult;
use driver::{ClosedRun, ServedDriver, ServedProgress};

/// A run over a server.
pub(super) struct ServerRun {
    host: Arc<Host>,
    request: Arc<RunRequest>,
    state: ServerRunState,
}

enum ServerRunState {
    Created,
    Starting(BoxFuture<Result<Box<ServedDriver>, RunError>>),
    /// The run was cancelled before the server was ready, which is dropped.
    Abandoning(BoxFuture<()>),
    Running(Box<ServedDriver>),
    Ending {
        report: Box<RunReport>,
        closing: BoxFuture<ClosedRun>,
    },
    Ended(Box<RunResult>),
    Taken,
}

impl ServerRun {
    pub(super) fn new(host: Arc<Host>, request: Arc<RunRequest>) -> Self {
        Self { host, request, state: ServerRunState::Created }
    }

    /// Returns the result, once.
    pub(super) fn take_result(&mut self) -> Option<RunResult> {
        match mem::replace(&mut self.state, ServerRunState::Taken) {
            ServerRunState::Ended(result) => Some(*result),
            ServerRunState::Created
            | ServerRunState::Starting(_)
            | ServerRunState::Abandoning(_)
            | ServerRunState::Running(_)
            | ServerRunState::Ending { .. }
            | ServerRunState::Taken => None,
        }
    }

    /// Returns the result, until it is taken.
    pub(super) fn result(&self) -> Option<&RunResult> {
        if let ServerRunState::Ended(result) = &self.state { Some(result) } else { None }
    }

    pub(super) fn cancel(&mut self) {
        self.state = match mem::replace(&mut self.state, ServerRunState::Taken) {
            ServerRunState::Created => ServerRunState::ended(self.cancelled()),
            // The drop of a server that is about to work blocks.
            ServerRunState::Starting(start) => {
                let runtime = Arc::clone(&self.host.runtime);
                ServerRunState::Abandoning(Box::pin(async move {
                    unblock(&runtime, move || drop(start)).await;
                }))
            }
            ServerRunState::Running(mut driver) => {
                driver.cancel();
                ServerRunState::Running(driver)
            }
            other @ (ServerRunState::Abandoning(_)
            | ServerRunState::Ending { .. }
            | ServerRunState::Ended(_)
            | ServerRunState::Taken) => other,
        };
    }

    /// Returns the name of the state.
    pub(super) fn phase(&self) -> &'static str {
        match self.state {
            ServerRunState::Created => "created",
            ServerRunState::Starting(_) => "starting",
            ServerRunState::Running(_) => "running",
            ServerRunState::Abandoning(_) | ServerRunState::Ending { .. } => "ending",
            ServerRunState::Ended(_) | ServerRunState::Taken => "ended",
        }
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.state {
            ServerRunState::Running(driver) => Some(driver.answer()),
            ServerRunState::Ended(result) => match &**result {
                Ok(report) => Some(report.answer()),
                Err(error) => error.report().map(RunReport::answer),
            },
            ServerRunState::Ending { report, .. } => Some(report.answer()),
            ServerRunState::Created
            | ServerRunState::Starting(_)
            | ServerRunState::Abandoning(_)
            | ServerRunState::Taken => None,
        }
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            let next = match &mut self.state {
                ServerRunState::Created => {
                    let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
                    ServerRunState::Starting(Box::pin(begin::begin(host, request)))
                }
                ServerRunState::Starting(start) => match ready!(start.as_mut().poll(cx)) {
                    Ok(driver) => ServerRunState::Running(driver),
                    Err(error) => ServerRunState::ended(Err(error)),
                },
                ServerRunState::Abandoning(gone) => {
                    ready!(gone.as_mut().poll(cx));
                    ServerRunState::ended(self.cancelled())
                }
                ServerRunState::Running(driver) => match ready!(driver.poll_progress(cx)) {
                    ServedProgress::Event(event) => return Poll::Ready(Some(*event)),
                    ServedProgress::Finished(outcome) => self.close(*outcome),
                },
                ServerRunState::Ending { closing, .. } => {
                    let closed = ready!(closing.as_mut().poll(cx));
                    self.conclude(closed)
                }
                ServerRunState::Ended(_) | ServerRunState::Taken => return Poll::Ready(None),
            };
            self.state = next;
        }
    }

    fn close(&mut self, outcome: RunOutcome) -> ServerRunState {
        let running = mem::replace(&mut self.state, ServerRunState::Taken);
        let ServerRunState::Running(driver) = running else {
            unreachable!("only a running run finishes")
        };
        let (report, closing) = driver.close(outcome);
        ServerRunState::Ending { report: Box::new(report), closing: Box::pin(closing) }
    }

    fn conclude(&mut self, closed: ClosedRun) -> ServerRunState {
        let ending = mem::replace(&mut self.state, ServerRunState::Taken);
        let ServerRunState::Ending { report, .. } = ending else {
            unreachable!("only an ending run is closed")
        };
        ServerRunState::ended(closed.conclude(report))
    }

    /// Returns the result of a run that was cancelled before the server was ready.
    fn cancelled(&self) -> RunResult {
        let request = begin::served_request(&self.request, Vec::new());
        Err(RunError::Ended(Box::new(RunReport {
            outcome: ServedRun::not_started(request, self.host.runtime.now()),
            command: command(&self.request.backend),
            version: match &self.request.backend {
                Backend::Server(server) => server.version().cloned(),
                Backend::NewServer | Backend::Process => None,
            },
            warnings: Vec::new(),
            attempts: 0,
        })))
    }
}

impl ServerRunState {
    fn ended(result: RunResult) -> Self {
        Self::Ended(Box::new(result))
    }
}

/// Returns a command that would do the same.
fn command(backend: &Backend) -> String {
    match backend {
        Backend::NewServer => "opencode serve".to_owned(),
        Backend::Process => "opencode run".to_owned(),
        Backend::Server(server) => format!("opencode run --attach {}", server.url()),
    }
}
