//! A run over a server: a turn, told as the process would have told it.

mod begin;
mod check;
mod prepare;
mod running;

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use opencode_proto::{Answer, RunEnd, RunEvent, ServedRun};

use crate::process::host::Host;
use crate::run::error::RunError;
use crate::run::report::RunReport;
use crate::run::request::{Backend, RunRequest};
use crate::runtime::blocking::unblock;

use super::error::RunResult;
use crate::runtime::wait::BoxFuture;
use running::{Closed, Progress, Running};

pub(super) struct ServerRun {
    host: Arc<Host>,
    request: Arc<RunRequest>,
    phase: Phase,
    cancelled: bool,
}

enum Phase {
    Created,
    Starting(BoxFuture<Result<Box<Running>, RunError>>),
    /// Cancelled before the prompt was sent.
    Abandoning(BoxFuture<()>),
    Running(Box<Running>),
    Ending(Box<RunReport>, BoxFuture<Closed>),
    Ended(Box<RunResult>),
    Taken,
}

impl ServerRun {
    pub(super) fn new(host: Arc<Host>, request: Arc<RunRequest>) -> Self {
        Self { host, request, phase: Phase::Created, cancelled: false }
    }

    /// How it ended, once.
    pub(super) fn take_result(&mut self) -> Option<RunResult> {
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => Some(*result),
            Phase::Created
            | Phase::Starting(_)
            | Phase::Abandoning(_)
            | Phase::Running(_)
            | Phase::Ending(..)
            | Phase::Taken => None,
        }
    }

    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        if let Phase::Running(running) = &mut self.phase {
            running.cancel();
        }
    }

    pub(super) fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Created => "created",
            Phase::Starting(_) => "starting",
            Phase::Running(_) => "running",
            Phase::Abandoning(_) | Phase::Ending(..) => "ending",
            Phase::Ended(_) | Phase::Taken => "ended",
        }
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.phase {
            Phase::Running(running) => Some(running.answer()),
            Phase::Ended(result) => match &**result {
                Ok(report) => Some(report.answer()),
                Err(error) => error.report().map(RunReport::answer),
            },
            Phase::Ending(report, _) => Some(report.answer()),
            Phase::Created | Phase::Starting(_) | Phase::Abandoning(_) | Phase::Taken => None,
        }
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut self.phase {
                Phase::Created if self.cancelled => self.phase = Phase::ended(self.cancelled()),
                Phase::Created => {
                    let (host, request) = (Arc::clone(&self.host), Arc::clone(&self.request));
                    self.phase = Phase::Starting(Box::pin(begin::begin(host, request)));
                }
                Phase::Starting(_) if self.cancelled => self.abandon(),
                Phase::Starting(start) => {
                    self.phase = match ready!(start.as_mut().poll(cx)) {
                        Ok(running) => Phase::Running(running),
                        Err(error) => Phase::ended(Err(error)),
                    };
                }
                Phase::Abandoning(gone) => {
                    ready!(gone.as_mut().poll(cx));
                    self.phase = Phase::ended(self.cancelled());
                }
                Phase::Running(running) => match ready!(running.poll_progress(cx)) {
                    Progress::Event(event) => return Poll::Ready(Some(*event)),
                    Progress::Finished(end) => self.close(end),
                },
                Phase::Ending(_, closing) => {
                    let closed = ready!(closing.as_mut().poll(cx));
                    let Phase::Ending(report, _) = mem::replace(&mut self.phase, Phase::Taken)
                    else {
                        unreachable!("it was just looked at")
                    };
                    self.phase = Phase::ended(closed.conclude(report));
                }
                Phase::Ended(_) | Phase::Taken => return Poll::Ready(None),
            }
        }
    }

    /// Drops what was begun, a server that is about to work among it. That blocks.
    fn abandon(&mut self) {
        let Phase::Starting(start) = mem::replace(&mut self.phase, Phase::Taken) else {
            unreachable!("it was starting")
        };
        let runtime = Arc::clone(&self.host.runtime);
        let gone = async move { unblock(&runtime, move || drop(start)).await };
        self.phase = Phase::Abandoning(Box::pin(gone));
    }

    fn close(&mut self, end: RunEnd) {
        let Phase::Running(running) = mem::replace(&mut self.phase, Phase::Taken) else {
            unreachable!("it was running")
        };
        let (report, closing) = running.close(end);
        self.phase = Phase::Ending(Box::new(report), Box::pin(closing));
    }

    /// What is told of a run that was cancelled before its prompt was sent.
    fn cancelled(&self) -> RunResult {
        let now = self.host.runtime.now();
        let run = ServedRun::new(&self.request.settings, self.request.config.flags(), now);
        Err(RunError::Ended(Box::new(RunReport {
            outcome: run.into_outcome(RunEnd::Cancelled, now),
            command: command(&self.request.backend),
            warnings: Vec::new(),
            attempts: 0,
        })))
    }
}

impl Phase {
    fn ended(result: RunResult) -> Self {
        Self::Ended(Box::new(result))
    }
}

/// A command that would do the same.
fn command(backend: &Backend) -> String {
    match backend {
        Backend::NewServer => "opencode serve".to_owned(),
        Backend::Process => "opencode run".to_owned(),
        Backend::Server(server) => format!("opencode run --attach {}", server.url()),
    }
}
