//! Attaching to a running server.

use std::sync::Arc;

use opencode_proto::{HealthError, ReadinessCheck};

use crate::http::{Endpoint, Http};
use crate::process::host::Host;
use crate::runtime::wait::{Elapsed, within};

use super::core::ServerInner;
use super::error::AttachError;
use super::request::AttachRequest;
use super::{Server, health};

pub(crate) async fn attach(host: Arc<Host>, request: AttachRequest) -> Result<Server, AttachError> {
    let AttachRequest { url, credentials, directory, start_limit, limits, events } = request;
    let endpoint = Endpoint::parse(&url, credentials.as_ref())?;
    // The endpoint's form of the URL has no password.
    let url = endpoint.to_string();
    let http = Http::new(Arc::clone(&host.runtime), endpoint, limits);
    let check = health::check(&http, directory.as_deref(), ReadinessCheck::Health);
    let checked = within(&*host.runtime, Some(start_limit), check);
    match checked.await {
        Ok(Ok(version)) => {
            let host = Arc::clone(&host);
            let server = ServerInner::new(host, http, directory, version, None);
            Ok(Server::new(server.with_events(events)))
        }
        Ok(Err(HealthError::Version(unsupported))) => {
            Err(AttachError::Version { url, unsupported })
        }
        Ok(Err(error)) if error.is_unauthorized() => Err(AttachError::Unauthorized { url }),
        Ok(Err(source)) => Err(AttachError::Unhealthy { url, source }),
        Err(Elapsed(limit)) => Err(AttachError::TimedOut { url, limit }),
    }
}
