//! What outlives this program for a moment, to end what it could not end any more.
//!
//! A program that is killed leaves its runs behind: OpenCode, OpenCode's tools, private
//! directories with keys in them. So a small shell script is started beside it, told of every run
//! before the run starts and after it was cleaned up. It sees its standard input close when the
//! program is gone, whatever the reason, ends the runs that were not cleaned up, and exits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::process::process_tree::{GUARDIAN_ENTRY, Marker};

const SCRIPT: &str = include_str!("guardian.sh");
const SHELL: &str = "/bin/sh";
const PROCESS_TABLE: &str = "/proc";

/// Where the script finds grep, tr, rm and the like before it looks where the caller does.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Guards the runs of one client handle. Starts with the first run; all operations block shortly.
///
/// It ignores the signals that a terminal or a service manager sends to a whole group, is in a
/// process group of its own, holds nothing open that this program inherited, and carries no run's
/// marker. Should it be killed all the same, the next run starts it anew.
#[derive(Debug)]
pub(crate) struct Guardian {
    path: OsString,
    state: Mutex<GuardianState>,
}

#[derive(Debug, Default)]
struct GuardianState {
    shell: Option<Shell>,
    /// The runs not cleaned up yet, by token, with their private directories.
    watched: BTreeMap<String, Option<PathBuf>>,
}

/// The script's process.
#[derive(Debug)]
struct Shell {
    child: Child,
    stdin: ChildStdin,
}

/// A run would not be cleaned up after the end of this program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardianError {
    /// The shell that runs the guardian cannot be started.
    #[error("cannot start the guardian {SHELL}")]
    Start(#[source] io::Error),
    /// The guardian cannot be told of a run.
    #[error("cannot write to the guardian")]
    Tell(#[source] io::Error),
    /// The end of the guardian cannot be waited for.
    #[error("cannot wait for the guardian")]
    Wait(#[source] io::Error),
}

impl Guardian {
    /// A guardian that has not been started; `path` is the caller's `PATH`.
    pub(crate) fn new(path: Option<OsString>) -> Self {
        let mut search_path = OsString::from(SYSTEM_PATH);
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            search_path.push(":");
            search_path.push(path);
        }
        Self { path: search_path, state: Mutex::default() }
    }

    /// Has the run of this token guarded: call it before the run's process starts.
    ///
    /// `private_dir` is removed with the run if it is absolute and its name ends in the token.
    ///
    /// # Errors
    ///
    /// The run is not guarded.
    pub(crate) fn watch(
        &self,
        token: &str,
        private_dir: Option<&Path>,
    ) -> Result<(), GuardianError> {
        let mut state = self.lock();
        let line = watch_line(token, private_dir);
        state.watched.insert(token.to_owned(), private_dir.map(Path::to_owned));
        let told = state.tell(&line, &self.path);
        if told.is_err() {
            state.watched.remove(token);
        }
        told
    }

    /// The run of this token was cleaned up: it is not guarded any more.
    ///
    /// # Errors
    ///
    /// The guardian may still end what carries the token, of which there should be nothing.
    pub(crate) fn done(&self, token: &str) -> Result<(), GuardianError> {
        let mut state = self.lock();
        if state.watched.remove(token).is_none() || state.shell.is_none() {
            return Ok(());
        }
        state.tell(&format!("done {token}\n"), &self.path)
    }

    /// The state is whole between any two statements that change it, so a panic spoils nothing.
    fn lock(&self) -> MutexGuard<'_, GuardianState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the guardian, once it has cleaned up the runs that are still guarded.
    #[cfg(all(test, unix))]
    fn close(self) -> Option<ExitStatus> {
        let shell = self.lock().shell.take()?;
        Some(shell.end().expect("waited for"))
    }

    #[cfg(all(test, unix))]
    fn pid(&self) -> Option<u32> {
        self.lock().shell.as_ref().map(|shell| shell.child.id())
    }
}

impl Drop for Guardian {
    /// Ends the guardian and waits for that, which is at once if no run is guarded any more. Runs
    /// that are, were left by whoever drops this, and are cleaned up in the background.
    #[expect(clippy::disallowed_methods, reason = "a drop may happen where no runtime is left")]
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(shell) = state.shell.take() else {
            return;
        };
        if state.watched.is_empty() {
            shell.end().ok();
        } else {
            // Only to reap it: where no thread can be had it ends all the same.
            std::thread::Builder::new()
                .name("opencode-guardian".to_owned())
                .spawn(move || shell.end())
                .ok();
        }
    }
}

impl GuardianState {
    /// Writes a line; a guardian that is gone is replaced by one that hears of everything.
    fn tell(&mut self, line: &str, path: &OsString) -> Result<(), GuardianError> {
        if let Some(shell) = &mut self.shell {
            match shell.stdin.write_all(line.as_bytes()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(GuardianError::Tell(error)),
            }
        }
        if let Some(gone) = self.shell.take() {
            gone.end().map_err(GuardianError::Wait)?;
        }
        if self.watched.is_empty() {
            return Ok(());
        }
        let shell = self.shell.insert(Shell::start(SHELL, path)?);
        let lines: String = self
            .watched
            .iter()
            .map(|(token, private_dir)| watch_line(token, private_dir.as_deref()))
            .collect();
        shell.stdin.write_all(lines.as_bytes()).map_err(GuardianError::Tell)
    }
}

impl Shell {
    fn start(program: &str, path: &OsString) -> Result<Self, GuardianError> {
        let mut command = Command::new(program);
        let (name, value) = GUARDIAN_ENTRY.split_once('=').expect("an entry has a =");
        command
            .args(["-c", SCRIPT, "opencode-guardian"])
            .args([Marker::NAME, PROCESS_TABLE])
            // Not our own marker above all: an outer run's clean-up must not end it.
            .env_clear()
            .env(name, value)
            .env("LC_ALL", "C")
            .env("PATH", path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut child = command.spawn().map_err(GuardianError::Start)?;
        let stdin = child.stdin.take().expect("stdin is piped");
        Ok(Self { child, stdin })
    }

    fn end(self) -> io::Result<ExitStatus> {
        let Self { mut child, stdin } = self;
        drop(stdin);
        child.wait()
    }
}

fn watch_line(token: &str, private_dir: Option<&Path>) -> String {
    let mut line = format!("watch {token}");
    if let Some(private_dir) = private_dir {
        line.push(' ');
        escape(private_dir, &mut line);
    }
    line.push('\n');
    line
}

/// The form that printf's `%b` undoes: no space, newline or quote is left.
fn escape(path: &Path, line: &mut String) {
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            line.push(char::from(byte));
        } else {
            write!(line, "\\0{byte:03o}").expect("a String takes everything");
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
