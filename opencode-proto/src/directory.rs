//! Directories that are requested of a server, compared with those that the server reports.

mod check;

use crate::server_event::SessionInfo;

pub use check::{DirectoryAction, DirectoryCheck};

/// Directory that is requested of a server, with all names under which the server may report it.
///
/// OpenCode resolves the directory of a request: links are followed, `..` and slashes at the end
/// vanish, and a relative path counts from the directory of the server. So a report can have another
/// name, and a report with none of the known names is another directory.
///
/// ```
/// use opencode_proto::{DirectoryError, RequestedDirectory};
///
/// let requested = RequestedDirectory::new("/src/link/").with_real_name("/src/app");
/// requested.check_name()?;
/// for reported in ["/src/link", "/src/app"] {
///     requested.check_report(reported)?;
/// }
/// let error = requested.check_report("/src/other").unwrap_err();
/// assert_eq!(error.to_string(), "OpenCode works in /src/other in place of /src/link/");
/// # Ok::<(), DirectoryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedDirectory {
    /// `None` for the directory of the server.
    requested: Option<String>,
    real_name: Option<String>,
}

/// Reason for which OpenCode does not work in a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The name has a percent code. OpenCode 1.18.33 decodes the directory of a request once too
    /// often, and then works in another directory, if there is one of that name.
    #[error(
        "OpenCode decodes `{code}` in the path, and would work in another directory than \
         {directory}: rename it"
    )]
    #[non_exhaustive]
    Decoded {
        /// The directory.
        directory: String,
        /// The percent code.
        code: String,
    },
    /// OpenCode reported another directory than the requested one.
    #[error("OpenCode works in {reported} in place of {requested}")]
    #[non_exhaustive]
    Elsewhere {
        /// The requested directory.
        requested: String,
        /// The directory that OpenCode reported.
        reported: String,
    },
    /// The directory does not exist on the machine of the server, or the server may not read it.
    #[error("{directory} does not exist on the machine of the server, or cannot be read there")]
    #[non_exhaustive]
    Missing {
        /// The directory.
        directory: String,
    },
    /// The bytes of the path are not UTF-8. OpenCode would replace some of them.
    #[error("the path is not UTF-8, and OpenCode would replace bytes of it: rename the directory")]
    NotUtf8,
    /// The path is relative, and would count from the working directory of the server.
    #[error("{directory} is relative, and would count from the working directory of the server")]
    #[non_exhaustive]
    Relative {
        /// The directory.
        directory: String,
    },
    /// The session to continue belongs to another directory.
    #[error("session {session} belongs to {belongs_to}, not to {requested}: continue it there")]
    #[non_exhaustive]
    Session {
        /// Id of the session.
        session: String,
        /// Directory of the session.
        belongs_to: String,
        /// The requested directory.
        requested: String,
    },
}

impl RequestedDirectory {
    /// Creates a request for this directory, an absolute path on the server's machine.
    pub fn new(requested: impl Into<String>) -> Self {
        Self { requested: Some(requested.into()), real_name: None }
    }

    /// Creates a request for the directory in which the server was started, whatever its name.
    pub fn of_server() -> Self {
        Self::default()
    }

    /// Sets the path without links, which OpenCode reports.
    #[must_use]
    pub fn with_real_name(self, real_name: impl Into<String>) -> Self {
        Self { real_name: Some(real_name.into()), ..self }
    }

    /// Returns the path as requested; `None` for the directory of the server.
    #[must_use]
    pub fn requested(&self) -> Option<&str> {
        self.requested.as_deref()
    }

    /// Returns the path as OpenCode reports it, as far as this is known.
    #[must_use]
    pub fn real_name(&self) -> Option<&str> {
        self.real_name.as_deref().or_else(|| self.requested())
    }

    /// Checks that the directory can be requested at all.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Relative`] and [`DirectoryError::Decoded`].
    pub fn check_name(&self) -> Result<(), DirectoryError> {
        if let Some(requested) = self.requested()
            && !is_absolute(requested)
        {
            return Err(DirectoryError::Relative { directory: requested.to_owned() });
        }
        [self.requested(), self.real_name()].into_iter().flatten().try_for_each(check_codes)
    }

    /// Returns whether a report of OpenCode names this directory.
    #[must_use]
    pub fn is_named(&self, reported: &str) -> bool {
        let mut names = [self.requested(), self.real_name()].into_iter().flatten();
        self.requested.is_none() || names.any(|name| is_same(name, reported))
    }

    /// Checks a directory that OpenCode reports.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Elsewhere`], and [`DirectoryError::Decoded`] for a directory whose name
    /// OpenCode decodes in later requests.
    pub fn check_report(&self, reported: &str) -> Result<(), DirectoryError> {
        if !self.is_named(reported) {
            let requested = self.requested().unwrap_or_default().to_owned();
            return Err(DirectoryError::Elsewhere { requested, reported: reported.to_owned() });
        }
        check_codes(reported)
    }

    /// Checks a session that was created for this directory. A session without a directory passes.
    ///
    /// # Errors
    ///
    /// The errors of [`check_report`](Self::check_report).
    pub fn check_created(&self, session: &SessionInfo) -> Result<(), DirectoryError> {
        session.directory.as_deref().map_or(Ok(()), |reported| self.check_report(reported))
    }

    /// Checks a session that is to be continued in this directory. A session without a directory
    /// passes.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Session`], and [`DirectoryError::Decoded`].
    pub fn check_resumed(&self, session: &SessionInfo) -> Result<(), DirectoryError> {
        let directory = session.directory.as_deref();
        directory.map_or(Ok(()), |directory| self.check_session(session.id.as_str(), directory))
    }

    /// Checks a session of this id and directory that is to be continued in this directory.
    ///
    /// # Errors
    ///
    /// The errors of [`check_resumed`](Self::check_resumed).
    pub fn check_session(&self, id: &str, directory: &str) -> Result<(), DirectoryError> {
        let error = match self.check_report(directory) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let DirectoryError::Elsewhere { requested, reported } = error {
            let session = id.to_owned();
            return Err(DirectoryError::Session { session, belongs_to: reported, requested });
        }
        Err(error)
    }
}

/// Checks that OpenCode takes the name of a directory as it is.
fn check_codes(directory: &str) -> Result<(), DirectoryError> {
    let code = directory.match_indices('%').find_map(|(at, _)| {
        let code = directory.get(at..at + 3)?;
        code[1..].bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(code)
    });
    match code {
        Some(code) => {
            Err(DirectoryError::Decoded { directory: directory.to_owned(), code: code.to_owned() })
        }
        None => Ok(()),
    }
}

/// Returns whether the path is absolute on any system: `/src`, `C:\src`, `\\host\src`.
fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || is_on_drive(path)
}

fn is_on_drive(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.next() == Some(b':')
        && matches!(bytes.next(), Some(b'/' | b'\\'))
}

/// Compares two absolute paths by their text.
fn is_same(one: &str, other: &str) -> bool {
    let is_windows = |path: &str| is_on_drive(path) || path.starts_with('\\');
    if is_windows(one) && is_windows(other) {
        let same = |path: &str| names(path, &['/', '\\']).join("\\").to_lowercase();
        return same(one) == same(other);
    }
    names(one, &['/']) == names(other, &['/'])
}

/// Splits a path into names, without `.` and `..`.
fn names<'a>(path: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in path.split(separators) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::api::{Operation, ReadSession};

    #[test]
    fn one_directory_has_many_spellings() {
        let requested = RequestedDirectory::new("/src/a/../app//./");
        for same in ["/src/app", "/src/app/", "//src//app", "/src/b/../app"] {
            assert_eq!(requested.check_report(same), Ok(()), "{same}");
        }
        for other in ["/", "/src", "/src/app2", "/src/App", "/src/app/..", "src", "\\src\\app"] {
            let error = requested.check_report(other).expect_err(other);
            assert!(matches!(error, DirectoryError::Elsewhere { .. }), "{other}: {error}");
        }
        let root = RequestedDirectory::new("/");
        assert!(root.is_named("/") && root.is_named("/..") && !root.is_named("/src"));
    }

    #[test]
    fn a_directory_of_windows_ignores_case_and_the_kind_of_slash() {
        let requested = RequestedDirectory::new("C:/Src/App");
        requested.check_name().expect("absolute");
        assert!(requested.is_named("c:\\src\\app\\") && !requested.is_named("d:\\src\\app"));
        assert!(!requested.is_named("/Src/App"));
    }

    #[test]
    fn names_that_cannot_be_requested_are_refused() {
        for (name, expected) in [
            ("src/app", "relative"),
            ("", "relative"),
            ("./app", "relative"),
            ("C:app", "relative"),
            ("/src/My%20Repo", "`%20`"),
            ("/a%zz/%C3%A9", "`%C3`"),
        ] {
            let error = RequestedDirectory::new(name).check_name().expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        for name in ["/", "/My Repo", "/100%", "/a%zz", "/#?&;+", "/\u{e9}%\u{e9}", "/%2"] {
            assert_eq!(RequestedDirectory::new(name).check_name(), Ok(()), "{name}");
        }
        let link = RequestedDirectory::new("/link").with_real_name("/My%20Repo");
        assert!(link.check_name().is_err());
    }

    #[test]
    fn the_directory_of_a_server_has_any_name_that_opencode_keeps() {
        let own = RequestedDirectory::of_server();
        assert_eq!((own.check_name(), own.check_report("/anywhere")), (Ok(()), Ok(())));
        assert!(matches!(own.check_report("/a%41"), Err(DirectoryError::Decoded { .. })));
    }

    #[test]
    fn a_session_of_another_directory_is_named() {
        let read = |reply: &'static str| {
            ReadSession::new("ses_1").decode(Response::new(reply.into())).expect("a session")
        };
        let session = read(r#"{"id":"ses_1","title":"","directory":"/src/other"}"#);
        let requested = RequestedDirectory::new("/src/app");
        let error = requested.check_resumed(&session).expect_err("another directory");
        let text = "session ses_1 belongs to /src/other, not to /src/app: continue it there";
        assert_eq!(error.to_string(), text);
        let created = requested.check_created(&session).expect_err("another directory");
        assert!(matches!(created, DirectoryError::Elsewhere { .. }), "{created}");
        assert_eq!(requested.check_resumed(&read(r#"{"id":"ses_1","title":""}"#)), Ok(()));
        let mangled = read(r#"{"id":"ses_1","title":"","directory":"/a%41"}"#);
        assert!(RequestedDirectory::of_server().check_resumed(&mangled).is_err());
    }
}
