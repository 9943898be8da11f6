//! The stop of a server.

use std::sync::Arc;
use std::time::Duration;

use opencode_proto::api::{AbortSession, SessionStatuses};
use opencode_proto::{ServeOutcome, SessionId, SessionStatus, Version};

use crate::process::cleanup::CleanupError;
use crate::process::version::in_parentheses;
use crate::runtime::describe::debug_as_chain;
use crate::runtime::wait::{race, sleep_until};

use super::core::ServerInner;
use super::local::Local;

/// Result of the stop of a server.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
/// let report = server.stop().await?;
/// println!("{} turns were aborted", report.aborted.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerReport {
    /// The outcome of the process; `None` for an attached server, which keeps running.
    pub outcome: Option<ServeOutcome>,
    /// The version of OpenCode; `None` for a build without a number.
    pub version: Option<Version>,
    /// The busy sessions that were aborted before the stop.
    pub aborted: Vec<SessionId>,
}

/// An error of the stop of a server.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The server was stopped, but not everything could be removed.
    #[error("cannot clean up after `{command}`{}", in_parentheses(report.version.as_ref()))]
    Leftovers {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The report of the stop.
        report: Box<ServerReport>,
        /// The processes and files that are left.
        source: Arc<CleanupError>,
    },
}

debug_as_chain!(StopError);

/// Time limit for the abort of the sessions. The server ends the tools of aborted sessions; this
/// library ends the tools of a killed server.
const ABORT_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn stop(server: &ServerInner) -> Result<ServerReport, StopError> {
    let Some(local) = &server.local else {
        return Ok(ServerReport {
            outcome: None,
            version: server.version().cloned(),
            aborted: Vec::new(),
        });
    };
    let aborted = Vec::clone(&*local.abort(abort(server, local)).await);
    let outcome = local.end().await;
    let removed = local.remove().await;
    let report = ServerReport {
        outcome: Some(ServeOutcome::clone(&outcome)),
        version: server.version().cloned(),
        aborted,
    };
    removed.map(|()| report.clone()).map_err(|source| StopError::Leftovers {
        command: local.command().to_owned(),
        report: Box::new(report),
        source,
    })
}

/// Aborts the busy sessions, as far as the server answers in time.
async fn abort(server: &ServerInner, local: &Local) -> Vec<SessionId> {
    let mut aborted = Vec::new();
    let abort = async {
        let directory = server.directory.as_deref();
        let Ok(statuses) = server.http.call(&SessionStatuses::new(), directory).await else {
            return;
        };
        for (session, status) in statuses {
            if status == SessionStatus::Idle {
                continue;
            }
            if let Err(error) = server.http.call(&AbortSession::new(&session), directory).await {
                tracing::debug!(%error, "session abort failed");
                continue;
            }
            aborted.push(session);
        }
    };
    let runtime = &server.host.runtime;
    let late = sleep_until(&**runtime, runtime.now() + ABORT_LIMIT);
    race(local.life().ended.wait(), race(abort, late)).await;
    aborted
}
