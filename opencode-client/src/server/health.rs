//! Health checks of servers.

use opencode_proto::api::{ApiErrorKind, ConfiguredModel, Health};

use crate::http::{CallError, Http};
use crate::process::binary::{Version, parse_version};

use super::error::HealthError;

/// Returns the version of a server that answers; `None` for a server too old to report one.
pub(super) async fn version(
    http: &Http,
    directory: Option<&str>,
) -> Result<Option<Version>, HealthError> {
    match http.call(&Health::new(), None).await {
        Ok(health) if health.healthy => Ok(parse_version(&health.version)),
        Ok(_) => Err(HealthError::Unhealthy),
        // Before 1.0.224 `GET /global/health` did not exist, and the response was a page, or
        // anything else.
        Err(CallError::Api(error)) if error.kind != ApiErrorKind::Unauthorized => {
            configuration(http, directory).await.map(|()| None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks that the server can use the configuration of this directory. A server starts without
/// reading the configuration.
pub(super) async fn configuration(http: &Http, directory: Option<&str>) -> Result<(), HealthError> {
    http.call(&ConfiguredModel::new(), directory).await?;
    Ok(())
}

impl HealthError {
    pub(super) fn is_unauthorized(&self) -> bool {
        match self {
            Self::Call(error) => {
                error.api().is_some_and(|error| error.kind == ApiErrorKind::Unauthorized)
            }
            Self::Unhealthy => false,
        }
    }

    /// Returns the fault in the configuration, if the configuration caused the error.
    pub(super) fn config_fault(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.api()?.config_fault(),
            Self::Unhealthy => None,
        }
    }
}
