//! Sessions that a run continues.

/// A session that a run continues.
///
/// ```
/// use opencode_config::Resume;
///
/// let copy = Resume::session("ses_1").forked();
/// assert_eq!((copy.session_id(), copy.is_forked()), (Some("ses_1"), true));
///
/// let newest = Resume::latest();
/// assert_eq!((newest.session_id(), newest.is_forked()), (None, false));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resume {
    session_id: Option<String>,
    is_forked: bool,
}

impl Resume {
    /// Continues the newest session of the directory that is not the child of another one
    /// (`--continue`).
    #[must_use]
    pub fn latest() -> Self {
        Self { session_id: None, is_forked: false }
    }

    /// Continues the session with this id (`--session`), which must belong to the directory of the
    /// run: OpenCode 1.18.33 hangs for ever otherwise, although the model answers. A run of
    /// `opencode-client` refuses other directories, and keeps the agent of the session unless the
    /// config names one.
    #[must_use]
    pub fn session(id: impl Into<String>) -> Self {
        Self { session_id: Some(id.into()), is_forked: false }
    }

    /// Copies the session first and continues the copy (`--fork`).
    #[must_use]
    pub fn forked(self) -> Self {
        Self { is_forked: true, ..self }
    }

    /// Returns the id of the session, or `None` for the newest session of the directory.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Returns whether a copy of the session is continued.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.is_forked
    }
}
