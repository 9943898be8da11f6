//! From a request to a run whose server is ready, or has failed.

use std::path::Path;
use std::sync::Arc;

use opencode_config::{Questions, ServeFlags};
use opencode_proto::{
    RequestedDirectory, ServeEnd, ServeOutcome, ServedFile, ServedRun, ServedRunRequest,
};

use crate::log::{EventLog, Log};
use crate::process::host::{Host, existing};
use crate::process::launch::LaunchPlanError;
use crate::run::error::RunError;
use crate::run::request::{Backend, RunRequest};
use crate::runtime::blocking::unblock;
use crate::server::files::{ServerMachine, found};
use crate::server::place::Place;
use crate::server::{self, ServeError, ServeRequest};

use super::driver::{RunServer, ServedDriver};
use super::{check, command};

/// Everything that was found on the disk for a run.
struct RunGround {
    directory: RequestedDirectory,
    files: Vec<ServedFile>,
    log: Option<EventLog>,
}

pub(super) async fn begin(
    host: Arc<Host>,
    request: Arc<RunRequest>,
) -> Result<Box<ServedDriver>, RunError> {
    check::check(&request)?;
    let runtime = Arc::clone(&host.runtime);
    let place = match &request.backend {
        Backend::Server(server) => {
            let place = server.place(request.directory.as_deref()).await;
            Some((place.map_err(LaunchPlanError::from)?, server.inner.machine()))
        }
        Backend::NewServer | Backend::Process => None,
    };
    let RunGround { directory, files, log } = {
        let request = Arc::clone(&request);
        unblock(&runtime, move || explore(&request, place)).await?
    };
    let now = runtime.now();
    let served = served_request(&request, files).with_directory(directory);
    let run = ServedRun::new(served.clone(), now);
    let log = log.map(|log| Log::new(log, Arc::clone(&runtime)));
    let mut driver = ServedDriver::new(Arc::clone(&host), run, log, command(&request.backend));
    driver.directory = served.directory().requested().map(str::to_owned);
    match &request.backend {
        Backend::Server(server) => {
            let surroundings = server.inner.surroundings(driver.directory.as_deref()).await;
            driver.warn(&surroundings);
            driver.start(RunServer::Shared(server.clone()), now);
        }
        Backend::NewServer | Backend::Process => {
            match server::serve(host, serve_request(&request, &served)).await {
                Ok(server) => {
                    driver.warn(&server.warnings());
                    let since = server.started().unwrap_or(now);
                    driver.start(RunServer::Own(server), since);
                }
                Err(error) => not_served(error, &request, &served, &mut driver)?,
            }
        }
    }
    Ok(Box::new(driver))
}

/// Returns the request of the machine.
pub(super) fn served_request(request: &RunRequest, files: Vec<ServedFile>) -> ServedRunRequest {
    let settings = request.settings.clone();
    let served = ServedRunRequest::new(&*request.prompt, &request.config, settings);
    files.into_iter().fold(served, ServedRunRequest::with_file)
}

/// Looks at the directory and the files, and opens the log. Blocks. `shared` is the place on a
/// running server.
fn explore(
    request: &RunRequest,
    shared: Option<(Place, ServerMachine)>,
) -> Result<RunGround, RunError> {
    let (Place { path, requested }, machine) = match shared {
        Some(shared) => shared,
        None => {
            let found = existing(request.directory.as_deref()).map_err(LaunchPlanError::from)?;
            (Place { path: Some(found.path), requested: found.requested }, ServerMachine::Here)
        }
    };
    let base = path.as_deref().unwrap_or_else(|| Path::new(""));
    let files = found(request.config.flags().files(), base, machine);
    let log = request.log.clone().map(EventLog::open).transpose().map_err(RunError::LogOpen)?;
    Ok(RunGround { directory: requested, files, log })
}

/// Returns the request of a server for this run alone.
fn serve_request(request: &RunRequest, served: &ServedRunRequest) -> ServeRequest {
    let flags = request.config.flags();
    // As in a process: no one can answer questions.
    let flags = ServeFlags::new()
        .with_log_level(flags.log_level())
        .with_logs(flags.logs())
        .with_plugins(flags.plugins())
        .with_questions(Questions::Hide);
    let mut serve = ServeRequest::new()
        // The run itself looks for the required MCP servers.
        .with_config(request.config.clone().with_required_mcp([] as [&str; 0]))
        .with_flags(flags)
        .with_settings(served.serve_settings())
        .with_retry(request.retry);
    serve.directory.clone_from(&request.directory);
    serve
}

/// Ends a run whose server did not start, where a process would have ended the run as well.
fn not_served(
    error: ServeError,
    request: &RunRequest,
    served: &ServedRunRequest,
    driver: &mut ServedDriver,
) -> Result<(), RunError> {
    let (command, version, outcome) = match error {
        ServeError::Binary(error) => return Err(error.into()),
        ServeError::Config(error) => return Err(error.into()),
        ServeError::Directory { path, source } => return Err(RunError::Directory { path, source }),
        ServeError::PrivateDir(error) => return Err(error.into()),
        ServeError::Version(error) => return Err(error.into()),
        ServeError::Spawn { command, version, source } => {
            let version = version.map(|version| *version);
            return Err(RunError::Spawn { command, version, source });
        }
        ServeError::Ended { command, version, outcome } => (command, version, *outcome),
        ServeError::InvalidConfig { command, version, message, stderr } => {
            (command, version, failed(ServeEnd::InvalidConfig { message }, stderr))
        }
        ServeError::TimedOut { command, version, installing, stderr, .. }
            if served.start_deadline().is_some() =>
        {
            driver.install(installing);
            (command, version, failed(ServeEnd::TimedOut, stderr))
        }
        error @ (ServeError::Listen { .. }
        | ServeError::McpUnavailable { .. }
        | ServeError::NoPort { .. }
        | ServeError::TimedOut { .. }
        | ServeError::Unhealthy { .. }
        | ServeError::Url { .. }) => return Err(RunError::Serve(Box::new(error))),
    };
    if let ServeEnd::StartupDatabase { .. } = outcome.end {
        driver.attempts = request.retry.retries_max.saturating_add(1);
    }
    (driver.command, driver.version) = (command, version.map(|version| *version));
    driver.fail(&outcome);
    Ok(())
}

/// Returns the outcome of a server of which only this is known.
fn failed(end: ServeEnd, stderr: String) -> ServeOutcome {
    let mut outcome = ServeOutcome::new(end);
    outcome.stderr = stderr;
    outcome
}
