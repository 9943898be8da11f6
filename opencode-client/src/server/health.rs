//! Driver of the check of a server that listens.

use opencode_proto::{
    HealthError, Readiness, ReadinessAction, ReadinessCheck, Version, parse_version,
};

use super::survey::PluginFaults;
use crate::http::Http;

/// Returns the version of a server that works; `None` for a server that reports no number.
///
/// # Cancel safety
///
/// Dropping the future closes the connection. The calls change nothing.
pub(super) async fn check(
    http: &Http,
    directory: Option<&str>,
    extent: ReadinessCheck,
    mut faults: Option<&mut PluginFaults>,
) -> Result<Option<Version>, HealthError> {
    let mut readiness = Readiness::new(extent);
    loop {
        match readiness.poll_action() {
            ReadinessAction::Call(call) => {
                let id = call.id;
                // The first request for a directory makes OpenCode load the plugins.
                if call.request.uri().path() == "/config"
                    && let Some(faults) = &mut faults
                {
                    faults.listen(http).await;
                }
                let reply = http.answer(*call, directory).await;
                readiness.handle_reply(id, reply);
            }
            ReadinessAction::Finished(result) => {
                return result.map(|version| parse_version(&version));
            }
            ReadinessAction::Wait => unreachable!("the reply to every call was passed on"),
        }
    }
}
