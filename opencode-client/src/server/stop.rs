//! The end of a server.

use std::sync::Arc;
use std::time::Duration;

use opencode_proto::api::{AbortSession, SessionStatuses};
use opencode_proto::{ServeOutcome, SessionId, SessionStatus};

use crate::process::cleanup::CleanupError;
use crate::runtime::describe::debug_as_chain;
use crate::runtime::wait::race;

use super::core::ServerInner;
use super::local::Local;

/// What became of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerReport {
    /// How its process ended; `None` for a server that was attached to, which goes on.
    pub outcome: Option<ServeOutcome>,
    /// The sessions that were busy, and were stopped before.
    pub aborted: Vec<SessionId>,
}

/// Why a server could not be stopped without a trace.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// It was stopped, but not all of it could be removed.
    #[error("`{command}`: cannot clean up after it")]
    Leftovers {
        /// The command, as a shell would take it.
        command: String,
        /// What became of it.
        report: Box<ServerReport>,
        /// What is left.
        source: Arc<CleanupError>,
    },
}

debug_as_chain!(StopError);

/// How long sessions may take to stop. The server ends their tools then; when it is killed, we do.
const ABORT_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn stop(server: &ServerInner) -> Result<ServerReport, StopError> {
    let Some(local) = &server.local else {
        return Ok(ServerReport { outcome: None, aborted: Vec::new() });
    };
    let aborted = Vec::clone(&*local.abort(abort(server, local)).await);
    let outcome = local.end().await;
    let removed = local.remove().await;
    let report = ServerReport { outcome: Some(ServeOutcome::clone(&outcome)), aborted };
    removed.map(|()| report.clone()).map_err(|source| StopError::Leftovers {
        command: local.command().to_owned(),
        report: Box::new(report),
        source,
    })
}

/// Stops what is busy, as far as it answers in time.
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
                tracing::debug!(%error, "cannot stop a session");
                continue;
            }
            aborted.push(session);
        }
    };
    let runtime = &server.host.runtime;
    let late = runtime.timer(runtime.now() + ABORT_LIMIT);
    race(local.life().ended.wait(), race(abort, late)).await;
    aborted
}
