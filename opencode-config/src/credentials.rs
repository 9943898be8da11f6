//! Who may use a server.

use std::fmt;

/// Basic authentication of an OpenCode server.
///
/// Reaches OpenCode by environment (`OPENCODE_SERVER_USERNAME`, `OPENCODE_SERVER_PASSWORD`), never by
/// arguments. `Debug` does not print the password.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// OpenCode's own default is `opencode`.
    pub username: Option<String>,
    /// An empty password means no authentication to OpenCode, and is refused.
    pub password: String,
}

impl Credentials {
    /// The default user with this password.
    #[must_use]
    pub fn new(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into() }
    }

    /// Sets [`username`](Self::username).
    #[must_use]
    pub fn with_username(self, username: impl Into<String>) -> Self {
        Self { username: Some(username.into()), ..self }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}
