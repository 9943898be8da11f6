//! Attaching to a running server.

use std::sync::Arc;
use std::time::Duration;

use opencode_proto::{
    CallFault, Delivery, HealthError, ReadinessCheck, RequestedDirectory, Version,
};

#[cfg(feature = "tls")]
use crate::http::TlsClient;
use crate::http::{Endpoint, Http};
use crate::process::host::{Host, directory_error};
#[cfg(feature = "tls")]
use crate::runtime::blocking::unblock;
use crate::runtime::wait::{Elapsed, sleep_until, within};

use super::attach_request::AttachRequest;
use super::core::ServerInner;
use super::error::AttachError;
use super::survey::missing_mcp;
use super::{Server, health};

/// Pause between attempts to reach a server that does not listen yet.
const PAUSE: Duration = Duration::from_millis(200);

/// Treatment of a server on this machine that refuses connections. On another machine, a refusal is
/// a wrong address or a dead server more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedConnection {
    /// The server may be starting, and is waited for up to the start limit.
    Await,
    /// The server counts as dead.
    Fail,
}

async fn check(
    http: &Http,
    directory: Option<&str>,
    limit: Duration,
    refused: RefusedConnection,
) -> Result<Option<Version>, HealthError> {
    let runtime = http.runtime();
    let until = runtime.now().checked_add(limit);
    loop {
        let checked = health::check(http, directory, ReadinessCheck::Health, None).await;
        let again = runtime.now() + PAUSE;
        match &checked {
            Err(HealthError::Call(CallFault::Failed(failure)))
                if refused == RefusedConnection::Await
                    && failure.delivery == Delivery::NotSent
                    && http.endpoint().is_this_machine()
                    // What encrypts for a server on this machine runs already.
                    && !http.endpoint().is_encrypted()
                    && until.is_none_or(|until| again < until) => {}
            _ => return checked,
        }
        sleep_until(&**runtime, again).await;
    }
}

pub(crate) async fn attach(
    host: Arc<Host>,
    request: AttachRequest,
    refused: RefusedConnection,
) -> Result<Server, AttachError> {
    #[cfg(feature = "tls")]
    let root_certificates = request.root_certificates.clone();
    let AttachRequest {
        url,
        credentials,
        directory,
        required_mcp,
        start_limit,
        limits,
        options,
        events,
        ..
    } = request;
    let endpoint = Endpoint::parse(&url, credentials.as_ref())?;
    // The endpoint's form of the URL has no password.
    let url = endpoint.to_string();
    // A request for the directory would load its project, which may not be complete yet.
    let requested = directory.as_deref().map(RequestedDirectory::new).unwrap_or_default();
    if let Err(error) = requested.check_name() {
        let directory = directory.unwrap_or_default().into();
        return Err(AttachError::Directory { url, directory, source: directory_error(error) });
    }
    #[cfg(feature = "tls")]
    let is_encrypted = endpoint.is_encrypted();
    let http = Http::new(Arc::clone(&host.runtime), endpoint, limits);
    #[cfg(feature = "tls")]
    let http = if is_encrypted {
        let tls = unblock(&host.runtime, move || TlsClient::load(&root_certificates)).await;
        http.with_tls(tls.map_err(|source| AttachError::Tls { url: url.clone(), source })?)
    } else {
        http
    };
    let http = http.with_options(options);
    let check = check(&http, directory.as_deref(), start_limit, refused);
    let checked = within(&*host.runtime, Some(start_limit), check);
    match checked.await {
        Ok(Ok(version)) => {
            if let Some(server) = missing_mcp(&http, directory.as_deref(), &required_mcp).await {
                return Err(AttachError::McpUnavailable { url, server: Box::new(server) });
            }
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
