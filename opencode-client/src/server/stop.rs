//! The end of a server.

use std::time::Duration;

use opencode_proto::api::{AbortSession, SessionStatuses};
use opencode_proto::{ServeOutcome, SessionId, SessionStatus};

use crate::race::race;

use super::ServerInner;
use super::error::{ServerReport, StopError};
use super::local::Local;

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
        let Ok(statuses) = server.http.call(&SessionStatuses, directory).await else { return };
        for (session, status) in statuses {
            if status == SessionStatus::Idle {
                continue;
            }
            let operation = AbortSession { session };
            if let Err(error) = server.http.call(&operation, directory).await {
                tracing::debug!(%error, "cannot stop a session");
                continue;
            }
            aborted.push(operation.session);
        }
    };
    let runtime = &server.inner.runtime;
    let late = runtime.timer(runtime.now() + ABORT_LIMIT);
    race(local.life().ended.wait(), race(abort, late)).await;
    aborted
}
