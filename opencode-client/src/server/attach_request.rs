use std::fmt;
use std::time::Duration;

use opencode_config::{Credentials, Environment};
use opencode_proto::{HubSettings, ServeSettings};

use super::error::AttachError;
use crate::http::{CallOptions, HttpLimits};

/// A running server to attach to, on this machine or another.
///
/// ```
/// use opencode_tokio::config::Credentials;
/// use opencode_tokio::AttachRequest;
///
/// let request = AttachRequest::new("http://127.0.0.1:4096")
///     .with_credentials(Credentials::new("its password"))
///     .with_directory("/src/crate");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct AttachRequest {
    pub(crate) url: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) directory: Option<String>,
    pub(crate) required_mcp: Vec<String>,
    pub(crate) start_limit: Duration,
    pub(crate) limits: HttpLimits,
    pub(crate) options: CallOptions,
    pub(crate) events: HubSettings,
    #[cfg(feature = "tls")]
    pub(crate) root_certificates: Vec<Vec<u8>>,
}

impl AttachRequest {
    /// Creates a request for the server at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            directory: None,
            required_mcp: Vec::new(),
            start_limit: ServeSettings::default().start_limit(),
            limits: HttpLimits::default(),
            options: CallOptions::default(),
            events: HubSettings::default(),
            #[cfg(feature = "tls")]
            root_certificates: Vec::new(),
        }
    }

    /// Creates a request from the environment of this process, as other clients of OpenCode do:
    ///
    /// | variable | meaning | default |
    /// | --- | --- | --- |
    /// | `OPENCODE_BASE_URL` | URL of the server | `http://127.0.0.1:4096` |
    /// | `OPENCODE_SERVER_PASSWORD` | password of the server | the one in the URL, or none |
    /// | `OPENCODE_SERVER_USERNAME` | user name to the password | `opencode` |
    /// | `OPENCODE_TIMEOUT` | [timeout](CallOptions::with_timeout) of calls, in seconds | none |
    ///
    /// An empty variable counts as not set. Proxy variables (`HTTP_PROXY` and the like) have no
    /// effect: this library connects to the host of the URL.
    ///
    /// # Errors
    ///
    /// [`AttachError::Environment`] when a variable has a value that is not understood.
    pub fn from_env() -> Result<Self, AttachError> {
        Self::from_environment(&std::env::vars_os().collect())
    }

    /// Creates a request from these variables, like [`from_env`](Self::from_env).
    ///
    /// ```
    /// use opencode_tokio::AttachRequest;
    /// use opencode_tokio::config::Environment;
    ///
    /// let environment = Environment::new().with_var("OPENCODE_BASE_URL", "http://10.0.0.7:4096");
    /// let request = AttachRequest::from_environment(&environment)?;
    /// assert_eq!(request.url(), "http://10.0.0.7:4096");
    /// # Ok::<(), opencode_tokio::AttachError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AttachError::Environment`] when a variable has a value that is not understood.
    pub fn from_environment(environment: &Environment) -> Result<Self, AttachError> {
        let var = |variable: &'static str| {
            let value = environment.var(variable).filter(|value| !value.is_empty());
            let text = value.map(|value| {
                let reason = "the value is no text in UTF-8";
                value.to_str().ok_or(AttachError::Environment { variable, reason })
            });
            text.transpose()
        };
        let mut request = Self::new(var("OPENCODE_BASE_URL")?.unwrap_or("http://127.0.0.1:4096"));
        if let Some(password) = var("OPENCODE_SERVER_PASSWORD")? {
            let credentials = Credentials::new(password);
            request.credentials = Some(match var("OPENCODE_SERVER_USERNAME")? {
                Some(username) => credentials.with_username(username),
                None => credentials,
            });
        }
        if let Some(seconds) = var("OPENCODE_TIMEOUT")? {
            let seconds = seconds.trim().parse().ok();
            let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) else {
                let reason = "the value is no positive number of seconds";
                return Err(AttachError::Environment { variable: "OPENCODE_TIMEOUT", reason });
            };
            request.options = request.options.with_timeout(timeout);
        }
        Ok(request)
    }

    /// Sets the credentials of the server.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Returns the credentials of the server. Default: the credentials in the URL, if any.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Adds certificates (PEM) that are trusted besides those of the system, for an `https://` URL:
    /// those of a company, or the certificate that a server has signed itself.
    ///
    /// The system's certificates are read where the system keeps them; on Linux, `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name other places. There is no way to accept any certificate.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Sets the project's directory, an absolute path. Before each session, the server is asked
    /// whether the directory exists there (`GET /path`, `GET /file`).
    #[must_use]
    pub fn with_directory(self, directory: impl Into<String>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Returns the project's directory, as a path on the server's machine. Default: the directory
    /// in which the server was started.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Sets MCP servers that have to be connected in the directory: otherwise, the attempt to attach
    /// ends as [`AttachError::McpUnavailable`]. The server loads
    /// the directory to find out.
    #[must_use]
    pub fn with_required_mcp(self, servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { required_mcp: servers.into_iter().map(Into::into).collect(), ..self }
    }

    /// Returns the MCP servers that have to be connected. Default: none.
    #[must_use]
    pub fn required_mcp(&self) -> &[String] {
        &self.required_mcp
    }

    /// Sets the time limit for the attempt to attach.
    #[must_use]
    pub fn with_start_limit(self, start_limit: Duration) -> Self {
        Self { start_limit, ..self }
    }

    /// Returns the time limit for the attempt to attach. A server on this machine that does not
    /// listen yet is waited for. Default: 60 seconds.
    #[must_use]
    pub fn start_limit(&self) -> Duration {
        self.start_limit
    }

    /// Sets the limits of requests and responses.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the time limits of requests and size limits of responses.
    #[must_use]
    pub fn limits(&self) -> HttpLimits {
        self.limits
    }

    /// Sets the options of all requests to the server, those of turns and event streams included.
    #[must_use]
    pub fn with_options(self, options: CallOptions) -> Self {
        Self { options, ..self }
    }

    /// Returns the options of all requests to the server. [`Server::with_options`] changes them for
    /// one handle.
    ///
    /// [`Server::with_options`]: crate::Server::with_options
    #[must_use]
    pub fn options(&self) -> &CallOptions {
        &self.options
    }

    /// Sets the settings of the event stream.
    #[must_use]
    pub fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }

    /// Returns the settings for the supervision of the event stream, and the time limit of
    /// reconnects.
    #[must_use]
    pub fn events(&self) -> &HubSettings {
        &self.events
    }

    /// Returns the URL of the server: `http://host:port`, with a path if the server is behind one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// `Debug` without the URL, which may contain a password.
impl fmt::Debug for AttachRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachRequest")
            .field("credentials", &self.credentials)
            .field("directory", &self.directory)
            .field("start_limit", &self.start_limit)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl From<&str> for AttachRequest {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for AttachRequest {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(variables: &[(&str, &str)]) -> Result<AttachRequest, AttachError> {
        let environment = Environment::new();
        let environment = variables
            .iter()
            .fold(environment, |environment, (name, value)| environment.with_var(name, value));
        AttachRequest::from_environment(&environment)
    }

    #[test]
    fn an_environment_without_variables_leads_to_the_usual_address() {
        for variables in [&[][..], &[("OPENCODE_BASE_URL", ""), ("OPENCODE_SERVER_PASSWORD", "")]] {
            let request = request(variables).unwrap();
            assert_eq!(request.url(), "http://127.0.0.1:4096");
            assert_eq!((request.credentials(), request.options().timeout()), (None, None));
        }
    }

    #[test]
    fn the_variables_of_other_clients_are_understood() {
        let request = request(&[
            ("OPENCODE_BASE_URL", "http://host/code"),
            ("OPENCODE_SERVER_PASSWORD", "secret"),
            ("OPENCODE_SERVER_USERNAME", "ann"),
            ("OPENCODE_TIMEOUT", "2.5"),
            // Without an effect.
            ("HTTP_PROXY", "http://proxy"),
        ]);
        let request = request.unwrap();
        assert_eq!(request.url(), "http://host/code");
        let credentials = request.credentials().unwrap();
        assert_eq!((credentials.username(), credentials.password()), (Some("ann"), "secret"));
        assert_eq!(request.options().timeout(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_value_that_is_not_understood_is_an_error() {
        for seconds in ["soon", "-1", "0", "inf", "1e300", "NaN"] {
            let error = request(&[("OPENCODE_TIMEOUT", seconds)]).unwrap_err();
            let message = "cannot use OPENCODE_TIMEOUT: the value is no positive number of seconds";
            assert_eq!(error.to_string(), message, "{seconds}");
        }
    }
}
