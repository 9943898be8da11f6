//! The start of a server, from the request to a passed health check.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opencode_config::{Credentials, Invocation, IsolationPlan, ProgramCommand, ServeFlags};
use opencode_proto::api::{McpServer, McpStatus};
use opencode_proto::{HealthError, ReadinessCheck, ServeEnd, ServeOutcome, Version};

use crate::http::{Endpoint, Http, UrlError};
use crate::process::host::{Host, NoDirectory};
use crate::process::launch::{self, LaunchPlan, Prepared};
use crate::process::machine;
use crate::process::plugins;
use crate::process::private_dir::PrivateDir;
use crate::process::process_tree::Marker;
use crate::process::ripgrep::RipgrepMissing;
use crate::process::version_check;
use crate::runtime::Runtime;
use crate::runtime::blocking::{unblock, unblock_bound};
use crate::runtime::wait::{First, race, sleep_until};

use super::core::ServerInner;
use super::error::ServeError;
use super::files::ServerMachine;
use super::local::Local;
use super::request::{ServeRequest, WorkingDirectory};
use super::survey::{PluginFaults, missing_mcp};
use super::{Server, health, port};

/// Maximum number of retries with another free port after a different process took the port.
const PORT_RETRIES_MAX: u32 = 5;

pub(crate) async fn serve(
    host: Arc<Host>,
    mut request: ServeRequest,
) -> Result<Server, ServeError> {
    let credentials = request.flags.credentials().cloned();
    let credentials = credentials.unwrap_or_else(|| random_credentials(&*host.runtime));
    request.flags = request.flags.with_credentials(credentials.clone());
    let request = Arc::new(request);
    let (mut delay, mut retries, mut ports) = (Duration::ZERO, 0, 0);
    loop {
        let permit = launch::turn(&host, request.config.isolation().data(), delay).await;
        let program = version_check::check(&host).await?;
        let error = match attempt(&host, &request, program, &credentials).await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        drop(permit);
        if matches!(error, ServeError::Listen { .. })
            && port::wanted(&request.flags).is_none()
            && ports < PORT_RETRIES_MAX
        {
            tracing::debug!(%error, "chosen port was taken");
            ports += 1;
            delay = Duration::ZERO;
            continue;
        }
        match request.retry.delay_before(retries) {
            Some(wait) if is_database_race(&error) => {
                tracing::debug!(retries, ?wait, "server start failed, database in use");
                retries += 1;
                delay = wait;
            }
            _ => return Err(error),
        }
    }
}

fn random_credentials(runtime: &dyn Runtime) -> Credentials {
    Credentials::new(format!("{:032x}{:032x}", runtime.secret(), runtime.secret()))
}

fn is_database_race(error: &ServeError) -> bool {
    matches!(error, ServeError::Ended { outcome, .. }
        if matches!(outcome.end, ServeEnd::StartupDatabase { .. }))
}

/// Everything resolved before the first side effect of a server start.
struct ServerLaunch {
    invocation: Invocation,
    marker: Marker,
    plan: IsolationPlan,
    ripgrep: Option<RipgrepMissing>,
    plugins: BTreeSet<String>,
    flags: ServeFlags,
    directory: String,
    machine: ServerMachine,
}

async fn attempt(
    host: &Arc<Host>,
    request: &Arc<ServeRequest>,
    program: Option<ProgramCommand>,
    credentials: &Credentials,
) -> Result<Server, ServeError> {
    let runtime = Arc::clone(&host.runtime);
    let planned = {
        let (host, request) = (Arc::clone(host), Arc::clone(request));
        unblock(&runtime, move || plan(&host, program, &request)).await?
    };
    let ServerLaunch { invocation, marker, mut plan, ripgrep, plugins, flags, directory, machine } =
        planned;
    let install = plugins::claim(host, &mut plan, plugins).await;
    let installing = install.plugins();
    let prepared = {
        let host = Arc::clone(host);
        let make = move || Prepared::make(&host, invocation, marker, plan, ripgrep);
        unblock_bound(&runtime, make).await?
    };
    let start_limit = request.settings.start_limit();
    // The packages stay claimed until the server has read the configuration, or has ended.
    let started = launch::spawn(host, prepared).await?;
    request.output.begin();
    if !installing.is_empty() {
        request.output.push_installing(&installing);
    }
    let output = request.output.clone();
    let local = Local::watch(&runtime, started, request.settings.clone(), output);

    let url = match local.ready().await {
        Ok(url) => url,
        Err(outcome) => {
            let error = not_ready(host, local, &outcome, flags, start_limit).await;
            return Err(error.while_installing(installing));
        }
    };
    let version = local.version().map(tracing::field::display);
    tracing::debug!(%url, version, "server started to listen");
    let endpoint = Endpoint::parse(&url, Some(credentials)).and_then(|endpoint| {
        if endpoint.is_encrypted() { Err(UrlError::Https) } else { Ok(endpoint) }
    });
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(source) => {
            let (command, version, _) = dismiss(local).await;
            return Err(ServeError::Url { command, version, source });
        }
    };
    let http = Http::new(Arc::clone(&runtime), endpoint, request.limits)
        .with_options(request.options.clone());
    let until = runtime.now().checked_add(start_limit);
    let ended = race(local.life().ended.wait(), late(&*runtime, until));
    let mut faults = PluginFaults::default();
    let listener = match request.place {
        WorkingDirectory::Directory => Some(&mut faults),
        WorkingDirectory::Nowhere => None,
    };
    let check = health::check(&http, Some(&directory), ReadinessCheck::Configuration, listener);
    match race(check, ended).await {
        First::One(Ok(version)) => {
            drop(install);
            let required = request.config.required_mcp();
            if let Some(server) = missing(&http, &directory, required, &local, until).await {
                let (command, version, stderr) = dismiss(local).await;
                let server = Box::new(server);
                return Err(ServeError::McpUnavailable { command, version, server, stderr });
            }
            let host = Arc::clone(host);
            let server = ServerInner::new(host, http, Some(directory), version, Some(local));
            let server = server.with_events(request.events.clone()).with_machine(machine);
            if request.place == WorkingDirectory::Directory {
                let survey = server.surveyed(server.directory.as_deref(), faults);
                // A server whose MCP servers take long is ready for other work.
                drop(race(survey, late(&*runtime, until)).await);
            }
            check_place(Server::new(server), request).await
        }
        First::One(Err(source)) => Err(unhealthy(local, http.endpoint().to_string(), source).await),
        First::Other(First::One(outcome)) => {
            let error = not_ready(host, local, &outcome, flags, start_limit).await;
            Err(error.while_installing(installing))
        }
        First::Other(First::Other(())) => {
            let (command, version, stderr) = dismiss(local).await;
            Err(ServeError::TimedOut { command, version, limit: start_limit, installing, stderr })
        }
    }
}

/// Waits until the time that a start may take has passed.
async fn late(runtime: &dyn Runtime, until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(runtime, at).await,
        None => std::future::pending().await,
    }
}

/// Returns the first required MCP server that is not connected when the start has to be over.
async fn missing(
    http: &Http,
    directory: &str,
    required: &[String],
    local: &Local,
    until: Option<Instant>,
) -> Option<McpServer> {
    let first = required.first()?;
    let ended = race(local.life().ended.wait(), late(&**http.runtime(), until));
    let error = match race(missing_mcp(http, Some(directory), required), ended).await {
        First::One(missing) => return missing,
        First::Other(First::One(outcome)) => outcome.end.to_string(),
        First::Other(First::Other(())) => "not connected within the limit of the start".to_owned(),
    };
    Some(McpServer::new(first, McpStatus::Failed { error: Some(error) }))
}

/// Checks that a server that may be on another machine can work in the directory.
async fn check_place(server: Server, request: &ServeRequest) -> Result<Server, ServeError> {
    let (machine, place) = (server.inner.machine(), request.place);
    if machine == ServerMachine::Here || place == WorkingDirectory::Nowhere {
        return Ok(server);
    }
    match server.place(None).await {
        Ok(_) => Ok(server),
        Err(NoDirectory { path, source }) => {
            if let Err(error) = server.stop().await {
                tracing::warn!(%error, "cleanup after a failed server start failed");
            }
            Err(ServeError::Directory { path, source })
        }
    }
}

/// Resolves everything that the server depends on. Blocks.
fn plan(
    host: &Host,
    program: Option<ProgramCommand>,
    request: &ServeRequest,
) -> Result<ServerLaunch, ServeError> {
    let directory = match request.place {
        WorkingDirectory::Directory => request.directory.as_deref(),
        WorkingDirectory::Nowhere => Some(&*host.temp_dir),
    };
    let launch = LaunchPlan::explore(host, program, &request.config, directory)?;
    let LaunchPlan { program, directory, marker, plan, ripgrep, plugins } = launch;
    let directory = match request.place {
        WorkingDirectory::Directory => directory.path,
        WorkingDirectory::Nowhere => PrivateDir::root(&host.temp_dir, marker.token()),
    };
    let mut flags = request.flags.clone();
    if port::wanted(&flags).is_none() {
        let port = port::free(&flags).map_err(|source| ServeError::NoPort {
            hostname: port::hostname(&flags).to_owned(),
            source,
        })?;
        flags = flags.with_port(port);
    }
    let machine = match program.args() {
        [] => ServerMachine::Here,
        _ => ServerMachine::Elsewhere,
    };
    let served = directory.to_string_lossy().into_owned();
    let invocation = Invocation::serve(program, directory, &request.config, &flags, &plan)?;
    Ok(ServerLaunch {
        invocation,
        marker,
        plan,
        ripgrep,
        plugins,
        flags,
        directory: served,
        machine,
    })
}

/// Returns the error for a server that was not ready: the process exited or timed out.
async fn not_ready(
    host: &Arc<Host>,
    local: Local,
    outcome: &ServeOutcome,
    flags: ServeFlags,
    limit: Duration,
) -> ServeError {
    let (command, version) = (local.command().to_owned(), local.version().cloned().map(Box::new));
    let mut outcome = outcome.clone();
    if let ServeEnd::StartupError { message } = &mut outcome.end {
        let (mut text, temp_dir) = (std::mem::take(message), host.temp_dir.clone());
        // Before the cleanup, which makes room on the disk.
        *message = unblock(&host.runtime, move || {
            machine::explain(&mut text, &temp_dir);
            text
        })
        .await;
    }
    abandon(local).await;
    let stderr = outcome.stderr.clone();
    if outcome.end == ServeEnd::TimedOut {
        let installing = Vec::new();
        return ServeError::TimedOut { command, version, limit, installing, stderr };
    }
    if let ServeEnd::InvalidConfig { message } = &outcome.end {
        let message = message.clone();
        return ServeError::InvalidConfig { command, version, message, stderr };
    }
    if let ServeEnd::CannotListen { .. } = &outcome.end {
        let port = flags.port().unwrap_or_default();
        let address = format!("{}:{port}", port::hostname(&flags));
        let source = unblock(&host.runtime, move || port::fault(&flags, port)).await;
        return ServeError::Listen { command, version, address, source, stderr };
    }
    ServeError::Ended { command, version, outcome: Box::new(outcome) }
}

/// Returns the error for a server that listens but failed the health check.
async fn unhealthy(local: Local, url: String, source: HealthError) -> ServeError {
    let (command, version, stderr) = dismiss(local).await;
    match source.config_fault() {
        Some(message) => ServeError::InvalidConfig { command, version, message, stderr },
        None => ServeError::Unhealthy { command, version, url, source: Box::new(source), stderr },
    }
}

/// Abandons a server whose start has failed. Returns the command line, the version of the program
/// and standard error.
async fn dismiss(local: Local) -> (String, Option<Box<Version>>, String) {
    let (command, version) = (local.command().to_owned(), local.version().cloned().map(Box::new));
    (command, version, abandon(local).await.stderr.clone())
}

/// Ends an unusable server, and removes everything that remains.
async fn abandon(local: Local) -> Arc<ServeOutcome> {
    let removed = local.abandon().await;
    if let Err(error) = removed {
        // The caller needs the error of the start; the guardian still knows the remaining files.
        tracing::warn!(%error, "cleanup after a failed server start failed");
    }
    local.end().await
}
