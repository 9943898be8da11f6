//! Whether a server works.

use opencode_proto::api::{ApiErrorKind, ConfiguredModel, Health};

use crate::http::{CallError, Http};
use crate::process::binary::{Version, parse_version};

use super::error::HealthError;

/// The version of a server that answers; `None` when it is too old to say.
pub(super) async fn version(
    http: &Http,
    directory: Option<&str>,
) -> Result<Option<Version>, HealthError> {
    match http.call(&Health::new(), None).await {
        Ok(health) if health.healthy => Ok(parse_version(&health.version)),
        Ok(_) => Err(HealthError::Unhealthy),
        // Before 1.0.224 there was no such question, and the answer to it was a page, or anything else.
        Err(CallError::Api(error)) if error.kind != ApiErrorKind::Unauthorized => {
            configuration(http, directory).await.map(|()| None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the server can use the configuration of this directory. It starts without looking at it.
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

    /// What is wrong with the configuration, when it is that.
    pub(super) fn config_fault(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.api()?.config_fault(),
            Self::Unhealthy => None,
        }
    }
}
