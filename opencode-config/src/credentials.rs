//! Authentication of clients to a server.

use std::fmt;

/// Name and password for the Basic authentication of an OpenCode server.
///
/// OpenCode reads them from the environment (`OPENCODE_SERVER_USERNAME`,
/// `OPENCODE_SERVER_PASSWORD`), never from arguments. `Debug` does not print the password.
///
/// ```
/// use opencode_config::Credentials;
///
/// let credentials = Credentials::new("correct horse").with_username("ci");
/// assert_eq!(credentials.username(), Some("ci"));
/// assert!(!format!("{credentials:?}").contains("horse"));
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    username: Option<String>,
    password: String,
}

impl Credentials {
    /// Creates credentials with this password for OpenCode's default user.
    ///
    /// To OpenCode an empty password means no authentication, so an empty one is refused when a
    /// command line is built.
    #[must_use]
    pub fn new(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into() }
    }

    /// Sets the name of the user. Default: OpenCode's own, `opencode`.
    #[must_use]
    pub fn with_username(self, username: impl Into<String>) -> Self {
        Self { username: Some(username.into()), ..self }
    }

    /// Returns the name of the user, or `None` for OpenCode's default.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns the password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}
