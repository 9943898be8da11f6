//! From a request to a turn that can begin.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opencode_config::{Questions, ServeFlags};
use opencode_proto::{
    Deadline, Deadlines, RunEnd, ServeEnd, ServeOutcome, ServeSettings, ServedRun, TurnSettings,
};

use crate::log::EventLog;
use crate::log::Log;
use crate::process::host::Host;
use crate::process::host::existing;
use crate::process::launch::GroundError;
use crate::run::error::RunError;
use crate::run::request::{Backend, RunRequest};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::{Late, within};
use crate::server::{self, ServeError, ServeRequest};

use super::prepare::prepare;
use super::running::{Running, Source};
use super::{check, command};

/// What was found where the run is to work.
pub(super) struct Place {
    /// As the server knows it.
    pub(super) directory: Option<String>,
    /// The files to attach, each with the name it was given by.
    pub(super) files: Vec<(PathBuf, PathBuf, FileKind)>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Directory,
    File,
    Missing,
}

pub(super) async fn begin(
    host: Arc<Host>,
    request: Arc<RunRequest>,
) -> Result<Box<Running>, RunError> {
    check::check(&request)?;
    let runtime = Arc::clone(&host.runtime);
    let (place, log) = {
        let request = Arc::clone(&request);
        unblock(&runtime, move || explore(&request)).await?
    };
    let started = runtime.now();
    let run = ServedRun::new(&request.settings, request.config.flags(), started);
    let log = log.map(|log| Log::new(log, Arc::clone(&runtime)));
    let command = command(&request.backend);
    let mut running = Running::new(Arc::clone(&host), run, log, command);

    let (server, started) = match &request.backend {
        Backend::Server(server) => (server.clone(), started),
        Backend::NewServer | Backend::Process => {
            match server::serve(host, serve_request(&request)).await {
                Ok(server) => {
                    let since = server.started().unwrap_or(started);
                    running.own(server.clone());
                    (server, since)
                }
                Err(error) => {
                    not_served(error, &request, &mut running)?;
                    return Ok(Box::new(running));
                }
            }
        }
    };
    let deadlines = request.settings.deadlines;
    let since = |now: Instant| now.saturating_duration_since(started);
    let limit = soonest(&deadlines)
        .map(|(limit, deadline)| (limit.saturating_sub(since(runtime.now())), deadline));
    let preparing = prepare(&server, &request, &place, running.run());
    let prepared = within(&*runtime, limit.map(|(limit, _)| limit), preparing).await;
    running.source = match (prepared, limit) {
        (Ok(Ok((session, turn))), _) => {
            let left = left(&deadlines, since(runtime.now()));
            let mut settings = TurnSettings::default().with_deadlines(left);
            settings.overflows_max = request.settings.overflows_max;
            settings.unfinished_max = request.settings.unfinished_max;
            Source::Turn(session.send(turn.with_settings(settings)))
        }
        (Ok(Err(end)), _) => Source::Over(end),
        (Err(Late(_)), Some((_, deadline))) => Source::Over(RunEnd::TimedOut(deadline)),
        (Err(Late(_)), None) => unreachable!("without a limit it is waited for"),
    };
    Ok(Box::new(running))
}

/// Looks at the directory and the files, and opens the log. Blocks.
fn explore(request: &RunRequest) -> Result<(Place, Option<EventLog>), RunError> {
    let directory = match &request.backend {
        Backend::Server(server) => {
            server.place_of(request.directory.as_deref()).map_err(GroundError::from)?
        }
        Backend::NewServer | Backend::Process => {
            Some(existing(request.directory.as_deref()).map_err(GroundError::from)?)
        }
    };
    let base = directory.as_deref().unwrap_or_else(|| Path::new(""));
    let files = request.config.flags().files().iter().map(|file| {
        let path = base.join(file);
        let kind = file_kind(&path);
        (file.clone(), path, kind)
    });
    let files = files.collect();
    let directory = directory.map(|path| path.to_string_lossy().into_owned());
    let log = request.log.clone().map(EventLog::open).transpose().map_err(RunError::LogOpen)?;
    Ok((Place { directory, files }, log))
}

fn file_kind(path: &Path) -> FileKind {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => FileKind::Directory,
        Ok(_) => FileKind::File,
        Err(_) => FileKind::Missing,
    }
}

/// A server for this run alone.
fn serve_request(request: &RunRequest) -> ServeRequest {
    let RunRequest { config, settings, .. } = request;
    let flags = ServeFlags::new()
        .with_log_level(config.flags().log_level())
        .with_logs(config.flags().logs())
        .with_plugins(config.flags().plugins())
        .with_questions(Questions::Hide);
    let served = ServeSettings::default()
        .with_kill_grace(settings.kill_grace)
        .with_drain_limit(settings.drain_limit)
        .with_output_size_max(settings.stderr_size_max);
    let start_limit = soonest(&settings.deadlines)
        .map_or(served.start_limit, |(limit, _)| limit.min(served.start_limit));
    let mut serve = ServeRequest::new()
        .with_config(config.clone())
        .with_flags(flags)
        .with_settings(served.with_start_limit(start_limit))
        .with_retry(request.retry);
    serve.directory.clone_from(&request.directory);
    serve
}

/// A server that did not get to work: what the process would have ended with, where it is that.
fn not_served(
    error: ServeError,
    request: &RunRequest,
    running: &mut Running,
) -> Result<(), RunError> {
    let end = match error {
        ServeError::Binary(error) => return Err(error.into()),
        ServeError::Config(error) => return Err(error.into()),
        ServeError::Directory { path, source } => {
            return Err(RunError::Directory { path, source });
        }
        ServeError::PrivateDir(error) => return Err(error.into()),
        ServeError::Spawn { command, source } => return Err(RunError::Spawn { command, source }),
        ServeError::Ended { command, outcome } => {
            let ServeOutcome { end, exit, stderr, .. } = *outcome;
            (running.command, running.stderr, running.exit) = (command, stderr, exit);
            start_end(end, request, running)
        }
        ServeError::InvalidConfig { command, message, stderr } => {
            (running.command, running.stderr) = (command, stderr);
            RunEnd::StartupError { message }
        }
        ServeError::TimedOut { command, limit, stderr } => {
            match soonest(&request.settings.deadlines) {
                Some((deadline_limit, deadline)) if deadline_limit <= limit => {
                    (running.command, running.stderr) = (command, stderr);
                    RunEnd::TimedOut(deadline)
                }
                Some(_) | None => {
                    let error = ServeError::TimedOut { command, limit, stderr };
                    return Err(RunError::Serve(Box::new(error)));
                }
            }
        }
        error @ (ServeError::Listen { .. }
        | ServeError::NoPort { .. }
        | ServeError::Unhealthy { .. }
        | ServeError::Url { .. }) => return Err(RunError::Serve(Box::new(error))),
    };
    running.source = Source::Over(end);
    Ok(())
}

fn start_end(end: ServeEnd, request: &RunRequest, running: &mut Running) -> RunEnd {
    if let ServeEnd::StartupDatabase { message } = end {
        running.attempts = request.retry.retries_max.saturating_add(1);
        return RunEnd::StartupDatabase { message };
    }
    if let ServeEnd::StartupError { message } = end {
        return RunEnd::StartupError { message };
    }
    RunEnd::StartupError { message: end.to_string() }
}

/// The deadline that passes first while nothing happens.
fn soonest(deadlines: &Deadlines) -> Option<(Duration, Deadline)> {
    let overall = deadlines.overall.map(|limit| (limit, Deadline::Overall));
    let first = deadlines.first_event.map(|limit| (limit, Deadline::FirstEvent));
    overall.into_iter().chain(first).min_by_key(|(limit, _)| *limit)
}

/// What is left of them.
fn left(deadlines: &Deadlines, elapsed: Duration) -> Deadlines {
    let mut left = *deadlines;
    left.overall = left.overall.map(|limit| limit.saturating_sub(elapsed));
    left.first_event = left.first_event.map(|limit| limit.saturating_sub(elapsed));
    left
}
