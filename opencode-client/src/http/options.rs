use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue};
use opencode_config::Credentials;
use opencode_proto::RetryPolicy;

use super::endpoint::{UrlError, authorize};
use super::observer::{Observer, RequestNotice};

/// Options of requests: for all requests of a server
/// ([`AttachRequest::with_options`](crate::AttachRequest::with_options)), or for the requests of
/// one handle ([`Server::with_options`](crate::Server::with_options)), which can be as little as
/// one call. An option that is not set here is that of the handle before.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), opencode_tokio::CallError> {
/// use std::time::Duration;
/// use opencode_tokio::api::Health;
/// use opencode_tokio::server::{CallOptions, RetryPolicy};
///
/// let patient = CallOptions::new().with_timeout(Duration::from_secs(300));
/// let there = CallOptions::new().with_directory("/src/crate").with_retry(RetryPolicy::NONE);
/// let server = server.with_options(patient);
/// let health = server.with_options(there).call(&Health::new()).await?;
/// # Ok(())
/// # }
/// ```
///
/// `Debug` shows the names of headers, and no value.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CallOptions {
    timeout: Option<Duration>,
    retry: Option<RetryPolicy>,
    headers: HeaderMap,
    directory: Option<String>,
    workspace: Option<String>,
    observer: Option<Observer>,
}

impl CallOptions {
    /// Creates options that change nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limit of a whole call: all attempts, the pauses between them, and the reply. For a
    /// stream, the limit ends with the head of the reply. The limit replaces
    /// [`HttpLimits::reply`](super::HttpLimits::reply) and [`boot`](super::HttpLimits::boot), and
    /// also holds for calls that wait for a model.
    ///
    /// Turns are not calls, and have [`Deadlines`](crate::Deadlines).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Returns the limit of a whole call. Default: none besides those of
    /// [`HttpLimits`](super::HttpLimits).
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Sets the policy for further attempts.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Returns the policy for further attempts. Default: that of
    /// [`HttpLimits`](super::HttpLimits::retry).
    #[must_use]
    pub fn retry(&self) -> Option<RetryPolicy> {
        self.retry
    }

    /// Sets a header, in place of one of the same name. A header that a request itself has comes
    /// first; then these; then those of the library (`accept`, `authorization`,
    /// `x-opencode-directory`).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sets the header `authorization` to a bearer token, for a proxy in front of the server.
    /// OpenCode itself knows user names and passwords.
    ///
    /// # Errors
    ///
    /// The token has characters that no header can have.
    pub fn with_bearer_token(self, token: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// Sets the header `authorization` to a user name and a password, in place of those of the
    /// server.
    ///
    /// # Errors
    ///
    /// [`UrlError::Username`] when the user name contains a colon.
    pub fn with_credentials(self, credentials: &Credentials) -> Result<Self, UrlError> {
        let value = authorize(credentials)?;
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// Sets the directory of requests, an absolute path on the server's machine, in place of that
    /// of the server. New sessions work there.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<String>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Returns the directory of requests.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Sets the workspace of requests, by its id (`wrk_…`), for servers with the experimental
    /// workspaces of OpenCode: the query's `workspace`, and below `/api` the header
    /// `x-opencode-workspace`.
    #[must_use]
    pub fn with_workspace(self, workspace: impl Into<String>) -> Self {
        Self { workspace: Some(workspace.into()), ..self }
    }

    /// Returns the workspace of requests.
    #[must_use]
    pub fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// Sets a function that is called at the start and at the end of every request, in place of the
    /// one before: for metrics and traces. The function must not block.
    ///
    /// ```
    /// use opencode_tokio::server::{CallOptions, RequestEvent};
    ///
    /// let options = CallOptions::new().with_observer(|notice| {
    ///     if let RequestEvent::Finished { status, duration, .. } = notice.event {
    ///         println!("{} {} {status:?} in {duration:?}", notice.method, notice.route);
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn with_observer(
        self,
        observe: impl Fn(&RequestNotice<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self { observer: Some(Observer::new(observe)), ..self }
    }

    pub(super) fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref()
    }

    /// Returns these options, completed by those of `base`.
    pub(crate) fn over(self, base: &Self) -> Self {
        let mut headers = base.headers.clone();
        headers.extend(self.headers);
        Self {
            timeout: self.timeout.or(base.timeout),
            retry: self.retry.or(base.retry),
            headers,
            directory: self.directory.or_else(|| base.directory.clone()),
            workspace: self.workspace.or_else(|| base.workspace.clone()),
            observer: self.observer.or_else(|| base.observer.clone()),
        }
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("headers", &self.headers.keys())
            .field("directory", &self.directory)
            .field("workspace", &self.workspace)
            .field("observer", &self.observer)
            .finish()
    }
}
