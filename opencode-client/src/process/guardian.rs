//! The guardian: a shell that cleans up after this program was killed.
//!
//! A program that is killed leaves its runs behind: OpenCode, OpenCode's tools, private directories
//! with keys in them. So a small shell script runs beside the program. The script gets one line
//! before each run starts, and one after the run was cleaned up. When the program is gone for any
//! reason, the standard input of the script closes; the script then ends the runs that were not
//! cleaned up, and exits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, PipeWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crate::process::process_tree::{GUARDIAN_ENTRY, Marker};
use crate::runtime::describe::debug_as_chain;

const SCRIPT: &str = include_str!("guardian.sh");
const SHELL: &str = "/bin/sh";
const PROCESS_TABLE: &str = "/proc";

/// Maximum number of shells that take over one after the other.
const TAKEOVERS_MAX: u32 = 20;

/// Number of bytes that every pipe holds without a reader.
const PIPE_MIN: usize = 4096;

/// Directories in which the script finds `grep`, `tr`, `rm` and the like; the `PATH` of the caller
/// comes after them.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Guardian of the runs of one client handle. Starts with the first run; all operations block
/// shortly.
///
/// The guardian ignores the signals that a terminal or a service manager sends to a whole group, is
/// in a process group of its own, holds no inherited file open, and carries no marker of a run. If
/// the guardian is killed all the same, a new one takes over the runs at once.
#[derive(Debug)]
pub(crate) struct Guardian(Arc<GuardianCore>);

#[derive(Debug)]
struct GuardianCore {
    path: OsString,
    state: Mutex<GuardianState>,
}

#[derive(Debug, Default)]
struct GuardianState {
    shell: Option<Shell>,
    /// Runs that are not cleaned up yet, by token, with their private directories.
    watched: BTreeMap<String, Option<PathBuf>>,
    /// Number of shells that took over since the last run was added.
    takeovers: u32,
}

/// Process of the script.
#[derive(Debug)]
struct Shell {
    pid: u32,
    stdin: PipeWriter,
    /// Set before the input is closed: the exit is no accident then.
    is_ending: Arc<AtomicBool>,
    /// Thread that waits for the exit.
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

/// Error of the guardian: a run would stay behind if this program were killed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum GuardianError {
    /// The shell that runs the guardian cannot be started.
    #[error("cannot start the guardian {SHELL}")]
    Start(#[source] io::Error),
    /// A message cannot be written to the guardian.
    #[error("cannot write to the guardian")]
    Tell(#[source] io::Error),
}

debug_as_chain!(GuardianError);

impl Guardian {
    /// Creates a guardian without a process yet; `path` is the caller's `PATH`.
    pub(crate) fn new(path: Option<OsString>) -> Self {
        let mut search_path = OsString::from(SYSTEM_PATH);
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            search_path.push(":");
            search_path.push(path);
        }
        Self(Arc::new(GuardianCore { path: search_path, state: Mutex::default() }))
    }

    /// Guards the run of this token, from before the process starts.
    ///
    /// `private_dir` is removed with the run if the path is absolute and ends in the token.
    ///
    /// # Errors
    ///
    /// [`GuardianError`] when the run is not guarded.
    pub(crate) fn watch(
        &self,
        token: &str,
        private_dir: Option<&Path>,
    ) -> Result<(), GuardianError> {
        let mut state = self.0.lock();
        let line = watch_line(token, private_dir);
        state.watched.insert(token.to_owned(), private_dir.map(Path::to_owned));
        state.takeovers = 0;
        let told = self.0.tell(&mut state, &line);
        if told.is_err() {
            state.watched.remove(token);
        }
        told
    }

    /// Stops guarding the run of this token, which was cleaned up.
    ///
    /// # Errors
    ///
    /// [`GuardianError`] when the guardian still guards the run, of which nothing should be left.
    pub(crate) fn done(&self, token: &str) -> Result<(), GuardianError> {
        let mut state = self.0.lock();
        if state.watched.remove(token).is_none() || state.shell.is_none() {
            return Ok(());
        }
        self.0.tell(&mut state, &format!("done {token}\n"))
    }

    /// Ends the guardian after the cleanup of the runs that are still guarded.
    #[cfg(all(test, unix))]
    fn close(self) -> Option<ExitStatus> {
        let shell = self.0.lock().shell.take()?;
        Some(shell.end().expect("waited for"))
    }

    #[cfg(all(test, unix))]
    fn pid(&self) -> Option<u32> {
        self.0.lock().shell.as_ref().map(|shell| shell.pid)
    }
}

impl Drop for Guardian {
    /// Ends the guardian. Without guarded runs, the drop waits for the exit, which follows at once.
    /// Runs that are still guarded are cleaned up in the background.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let is_idle = state.watched.is_empty();
        let shell = state.shell.take();
        // The thread of the shell may wait for the lock.
        drop(state);
        if let Some(shell) = shell {
            match is_idle {
                true => drop(shell.end()),
                // The thread of the shell waits for the exit.
                false => drop(shell.close()),
            }
        }
    }
}

impl GuardianCore {
    /// Locks the state, which is consistent between any two statements, also after a panic.
    fn lock(&self) -> MutexGuard<'_, GuardianState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line. A guardian that has exited is replaced by a new one, which gets all lines.
    fn tell(self: &Arc<Self>, state: &mut GuardianState, line: &str) -> Result<(), GuardianError> {
        if let Some(shell) = &mut state.shell {
            match shell.stdin.write_all(line.as_bytes()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(GuardianError::Tell(error)),
            }
        }
        state.shell = None;
        self.take_over(state)
    }

    /// Starts a shell that guards all runs, if there are any.
    fn take_over(self: &Arc<Self>, state: &mut GuardianState) -> Result<(), GuardianError> {
        if state.watched.is_empty() {
            return Ok(());
        }
        let lines: String = state
            .watched
            .iter()
            .map(|(token, private_dir)| watch_line(token, private_dir.as_deref()))
            .collect();
        let core = Arc::downgrade(self);
        let replace = move |pid| Self::replace(&core, pid);
        state.shell = Some(Shell::start(SHELL, &self.path, lines.as_bytes(), replace)?);
        Ok(())
    }

    /// Replaces the shell with this pid, which has exited by accident.
    fn replace(core: &Weak<Self>, pid: u32) {
        let Some(core) = core.upgrade() else { return };
        let mut state = core.lock();
        if state.shell.as_ref().is_none_or(|shell| shell.pid != pid) {
            return;
        }
        state.shell = None;
        state.takeovers += 1;
        if state.takeovers > TAKEOVERS_MAX {
            tracing::warn!("guardian exited again and again, runs are not guarded");
            return;
        }
        match core.take_over(&mut state) {
            Ok(()) => tracing::debug!("guardian was replaced"),
            Err(error) => tracing::warn!(%error, "guardian exited and was not replaced"),
        }
    }
}

impl Shell {
    /// Starts the script with these lines as the first of its input. `replace` is called on another
    /// thread when the process exits by accident.
    fn start(
        program: &str,
        path: &OsString,
        lines: &[u8],
        replace: impl FnOnce(u32) + Send + 'static,
    ) -> Result<Self, GuardianError> {
        let (stdin, mut writer) = io::pipe().map_err(GuardianError::Start)?;
        // Before the process exists: from then on this program may be killed at any moment.
        let (first, rest) = lines.split_at(lines.len().min(PIPE_MIN));
        writer.write_all(first).map_err(GuardianError::Tell)?;

        let mut command = Command::new(program);
        let (name, value) = GUARDIAN_ENTRY.split_once('=').expect("an entry has a `=`");
        command
            .args(["-c", SCRIPT, "opencode-guardian"])
            .args([Marker::NAME, PROCESS_TABLE])
            // Without our own marker, so that the cleanup of an outer run does not end the
            // guardian.
            .env_clear()
            .env(name, value)
            .env("LC_ALL", "C")
            .env("PATH", path)
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let child = command.spawn().map_err(GuardianError::Start)?;
        // The command keeps the reading end open in this process.
        drop(command);
        let pid = child.id();
        let is_ending = Arc::new(AtomicBool::new(false));
        let waiter = wait(child, Arc::clone(&is_ending), replace).map_err(GuardianError::Start)?;
        let mut shell = Self { pid, stdin: writer, is_ending, waiter };
        shell.stdin.write_all(rest).map_err(GuardianError::Tell)?;
        Ok(shell)
    }

    /// Closes the input, after which the script cleans up and exits.
    fn close(self) -> JoinHandle<io::Result<ExitStatus>> {
        self.is_ending.store(true, Ordering::SeqCst);
        drop(self.stdin);
        self.waiter
    }

    fn end(self) -> io::Result<ExitStatus> {
        self.close().join().unwrap_or_else(|_| Err(io::Error::other("the waiting thread panicked")))
    }
}

/// Waits for the exit on a thread.
#[expect(clippy::disallowed_methods, reason = "a guardian outlives every task of a runtime")]
fn wait(
    mut child: Child,
    is_ending: Arc<AtomicBool>,
    replace: impl FnOnce(u32) + Send + 'static,
) -> io::Result<JoinHandle<io::Result<ExitStatus>>> {
    thread::Builder::new().name("opencode-guard".to_owned()).spawn(move || {
        let pid = child.id();
        let status = child.wait();
        if !is_ending.load(Ordering::SeqCst) {
            replace(pid);
        }
        status
    })
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

/// Escapes a path for `printf %b`, without spaces, newlines and quotes.
fn escape(path: &Path, line: &mut String) {
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            line.push(char::from(byte));
        } else {
            write!(line, "\\0{byte:03o}").expect("a String accepts every write");
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
