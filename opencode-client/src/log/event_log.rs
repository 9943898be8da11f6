//! Log file with the events of a run or turn, one JSON object per line.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::runtime::describe::debug_as_chain;

/// File for the events of a run or turn, which are written as JSON lines while they arrive.
///
/// The file contains prompts, answers and the files that tools read. A new file is readable by the
/// owner only (mode 0600); the mode of an existing file stays. The directory has to exist.
///
/// ```
/// use opencode_tokio::log::{EventLogConfig, EventLogMode};
/// use opencode_tokio::RunRequest;
///
/// let log = EventLogConfig::new("events.jsonl")
///     .with_mode(EventLogMode::Append)
///     .without_type("step_start");
/// let request = RunRequest::new("Tidy up.").with_log(log);
/// # drop(request);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLogConfig {
    pub(crate) exclude_types: BTreeSet<String>,
    pub(crate) mode: EventLogMode,
    pub(crate) path: PathBuf,
}

/// Treatment of the content that a log file has before the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventLogMode {
    /// Keeps the content, and adds the events. Several runs may write to one file: lines stay
    /// whole.
    Append,
    /// Removes the content.
    #[default]
    Truncate,
}

/// The open log of one run. [`EventLog::write`] passes an event to the system before it returns.
#[derive(Debug)]
pub(crate) struct EventLog {
    config: EventLogConfig,
    /// `None` after an error, because a log with a gap would be worse than one that ends.
    file: Option<File>,
    line: Vec<u8>,
}

/// Error of an event log.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum EventLogError {
    /// The file cannot be opened or created.
    #[error("cannot open the event log {}", path.display())]
    Open {
        /// Path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// An event cannot be written as a whole; this event and all later ones are missing.
    #[error("cannot write to the event log {}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

debug_as_chain!(EventLogError);

impl EventLogConfig {
    /// Logs all events to this file, whose content is removed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { exclude_types: BTreeSet::new(), mode: EventLogMode::default(), path: path.into() }
    }

    /// Leaves out events with this `type`.
    #[must_use]
    pub fn without_type(mut self, event_type: impl Into<String>) -> Self {
        self.exclude_types.insert(event_type.into());
        self
    }

    /// Sets [`mode`](Self::mode).
    #[must_use]
    pub fn with_mode(mut self, mode: EventLogMode) -> Self {
        self.mode = mode;
        self
    }

    /// Returns the treatment of existing content. Default: [`EventLogMode::Truncate`].
    #[must_use]
    pub fn mode(&self) -> EventLogMode {
        self.mode
    }

    /// Returns the values of `type` whose events are left out. Default: none.
    #[must_use]
    pub fn exclude_types(&self) -> &BTreeSet<String> {
        &self.exclude_types
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl EventLog {
    pub(crate) fn open(config: EventLogConfig) -> Result<Self, EventLogError> {
        let mut options = OpenOptions::new();
        options.create(true);
        match config.mode {
            EventLogMode::Append => options.append(true),
            EventLogMode::Truncate => options.write(true).truncate(true),
        };
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);

        match options.open(&config.path) {
            Ok(file) => Ok(Self { config, file: Some(file), line: Vec::new() }),
            Err(source) => Err(EventLogError::Open { path: config.path, source }),
        }
    }

    /// Writes one event, unless events of the type are left out.
    ///
    /// # Errors
    ///
    /// The first error. After that error nothing is written, and all calls return `Ok`.
    pub(crate) fn write(
        &mut self,
        event_type: Option<&str>,
        line: &[u8],
    ) -> Result<(), EventLogError> {
        let is_excluded =
            event_type.is_some_and(|event_type| self.config.exclude_types.contains(event_type));
        let Some(file) = self.file.as_mut().filter(|_| !is_excluded) else {
            return Ok(());
        };
        self.line.clear();
        self.line.extend_from_slice(&single_line(line));
        self.line.push(b'\n');
        file.write_all(&self.line).map_err(|source| {
            self.file = None;
            EventLogError::Write { path: self.config.path.clone(), source }
        })
    }
}

/// Replaces line breaks by spaces: JSON allows raw line breaks only between tokens, where a space
/// means the same.
fn single_line(line: &[u8]) -> Cow<'_, [u8]> {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !line.iter().any(is_break) {
        return Cow::Borrowed(line);
    }
    debug_assert!(false, "an event is one line");
    let replaced = line.iter().map(|byte| if is_break(byte) { b' ' } else { *byte });
    Cow::Owned(replaced.collect())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("created"))
        }

        fn config(&self) -> EventLogConfig {
            EventLogConfig::new(self.0.path().join("events.jsonl"))
        }

        fn contents(&self) -> String {
            fs::read_to_string(self.config().path).expect("readable")
        }
    }

    #[test]
    fn every_event_is_in_the_file_when_the_write_returns() {
        let directory = Directory::new();
        let mut log = EventLog::open(directory.config()).expect("opened");
        assert_eq!(directory.contents(), "");
        log.write(Some("text"), br#"{"type":"text"}"#).expect("ok");
        assert_eq!(directory.contents(), "{\"type\":\"text\"}\n");
        log.write(None, b"{}").expect("ok");
        assert_eq!(directory.contents(), "{\"type\":\"text\"}\n{}\n");
    }

    #[test]
    fn excluded_types_are_left_out() {
        let directory = Directory::new();
        let config = directory.config().without_type("text");
        let mut log = EventLog::open(config).expect("opened");
        for (event_type, line) in [(Some("text"), "1"), (Some("tool_use"), "2"), (None, "3")] {
            log.write(event_type, line.as_bytes()).expect("ok");
        }
        assert_eq!(directory.contents(), "2\n3\n");
    }

    #[test]
    fn the_mode_truncates_or_appends() {
        let directory = Directory::new();
        for (mode, expected) in [
            (EventLogMode::Append, "1\n"),
            (EventLogMode::Append, "1\n1\n"),
            (EventLogMode::Truncate, "1\n"),
        ] {
            let mut log = EventLog::open(directory.config().with_mode(mode)).expect("opened");
            log.write(None, b"1").expect("ok");
            assert_eq!(directory.contents(), expected);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "two threads write one file")]
    fn appended_lines_of_two_runs_stay_whole() {
        let directory = Directory::new();
        let config = directory.config().with_mode(EventLogMode::Append);
        std::thread::scope(|scope| {
            for name in ["a", "b"] {
                let mut log = EventLog::open(config.clone()).expect("opened");
                scope.spawn(move || {
                    for size in 1..500 {
                        log.write(None, name.repeat(size).as_bytes()).expect("ok");
                    }
                });
            }
        });
        let contents = directory.contents();
        assert_eq!(contents.lines().count(), 2 * 499);
        for line in contents.lines() {
            let mut bytes = line.bytes();
            let first = bytes.next().expect("not empty");
            assert!(bytes.all(|byte| byte == first));
        }
    }

    #[test]
    fn only_the_owner_may_read_a_new_file() {
        let directory = Directory::new();
        for mode in [EventLogMode::Append, EventLogMode::Truncate] {
            let config = directory.config().with_mode(mode);
            drop(EventLog::open(config).expect("opened"));
            let metadata = fs::metadata(directory.config().path).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            fs::remove_file(directory.config().path).expect("removed");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_first_error_is_returned_once_and_names_the_file() {
        // Every write to this device fails as on a full disk.
        let mut log = EventLog::open(EventLogConfig::new("/dev/full")).expect("opened");
        let error = log.write(None, b"{}").expect_err("no space");
        assert_eq!(error.to_string(), "cannot write to the event log /dev/full");
        let source = std::error::Error::source(&error).expect("has one");
        let source = source.downcast_ref::<io::Error>().expect("of the system");
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        log.write(None, b"{}").expect("no second error");
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_file() {
        let error = EventLog::open(EventLogConfig::new("/nonexistent/log")).expect_err("missing");
        assert_eq!(error.to_string(), "cannot open the event log /nonexistent/log");
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "an event is one line"))]
    fn line_breaks_in_an_event_become_spaces() {
        assert_eq!(*single_line(b"{\r\n}"), *b"{  }");
    }
}
