//! A server that runs already.

use std::sync::Arc;

use crate::http::{Endpoint, Http};
use crate::inner::Inner;
use crate::race::{First, race};

use super::error::AttachError;
use super::request::AttachRequest;
use super::{Server, ServerInner, health};

pub(crate) async fn attach(
    inner: Arc<Inner>,
    request: AttachRequest,
) -> Result<Server, AttachError> {
    let AttachRequest { url, credentials, directory, start_limit: limit, limits, events } = request;
    let endpoint = Endpoint::parse(&url, credentials.as_ref())?;
    // Without the password that may have been in it.
    let url = endpoint.to_string();
    let http = Http::new(Arc::clone(&inner.runtime), endpoint, limits);
    let late = async {
        match inner.runtime.now().checked_add(limit) {
            Some(at) => inner.runtime.timer(at).await,
            None => std::future::pending().await,
        }
    };
    match race(health::version(&http, directory.as_deref()), late).await {
        First::One(Ok(version)) => {
            let inner = Arc::clone(&inner);
            let server = ServerInner::new(inner, http, directory, version, None);
            Ok(Server::new(server.with_events(events)))
        }
        First::One(Err(error)) if error.is_unauthorized() => Err(AttachError::Unauthorized { url }),
        First::One(Err(source)) => Err(AttachError::Unhealthy { url, source }),
        First::Other(()) => Err(AttachError::TimedOut { url, limit }),
    }
}
