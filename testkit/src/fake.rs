//! A stand-in for the `opencode` program, for faults that the real program does not show on demand.
//!
//! The program is a shell script of this crate that plays a [`Behavior`]. No test writes an
//! executable, so no test fails with "text file busy" because another thread is forking.
//!
//! ```
//! use std::process::Command;
//!
//! use testkit::fake::{Behavior, Fake};
//!
//! let fake = Fake::with_attempts([
//!     Behavior::new().stderr_line("Error: database is locked").exit(1),
//!     Behavior::new().read_stdin().stdout_line(r#"{"type":"step_start"}"#),
//! ])?;
//! let run = || {
//!     let mut command = Command::new(fake.program());
//!     command.args(["run", "--format", "json"]).envs([fake.env()]);
//!     command.output()
//! };
//! assert_eq!(run()?.status.code(), Some(1));
//! assert_eq!(run()?.stdout, b"{\"type\":\"step_start\"}\n");
//! assert_eq!(fake.calls()?[1].args, ["run", "--format", "json"]);
//! # Ok::<(), std::io::Error>(())
//! ```

mod behavior;
mod call;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use self::behavior::{Behavior, Pipes, Signal};
pub use self::call::Call;

/// Environment variable with the path of the script to play.
const VARIABLE: &str = "OPENCODE_FAKE";

/// Directory for the search path with a stand-in for ripgrep, which finds nothing.
#[must_use]
pub fn ripgrep() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ripgrep")
}

/// A program that plays one behavior per call and records every call.
///
/// Dropping the value removes the directory and, on Linux, kills every process that has the
/// environment variable.
#[derive(Debug)]
pub struct Fake {
    home: TempDir,
}

impl Fake {
    /// Creates a program that behaves the same in every call.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn new(behavior: Behavior) -> io::Result<Self> {
        Self::with_attempts([behavior])
    }

    /// Creates a program that plays the first behavior in the first call, and so on; the last
    /// behavior repeats.
    ///
    /// A call with only `--version` prints [`VERSION`](crate::opencode::VERSION), or the version of
    /// [`Self::set_version`], and is not recorded.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    ///
    /// # Panics
    ///
    /// When there is no behavior.
    pub fn with_attempts(attempts: impl IntoIterator<Item = Behavior>) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("opencode-fake-").tempdir()?;
        for directory in ["blobs", "calls", "gates"] {
            fs::create_dir(home.path().join(directory))?;
        }
        let script = behavior::script(attempts, &home.path().join("blobs"))?;
        fs::write(home.path().join("script"), script)?;
        let fake = Self { home };
        fake.set_version(crate::opencode::VERSION)?;
        Ok(fake)
    }

    /// Sets the output of `--version`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn set_version(&self, version: &str) -> io::Result<()> {
        fs::write(self.home.path().join("version"), format!("{version}\n"))
    }

    /// Path of the executable to run in place of `opencode`.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fake/opencode")
    }

    /// Environment variable that the executable needs, and that identifies the processes.
    #[must_use]
    pub fn env(&self) -> (String, String) {
        let script = self.home.path().join("script");
        (VARIABLE.to_owned(), script.into_os_string().into_string().expect("temp dirs are UTF-8"))
    }

    /// Opens a gate for good: [`Behavior::pause_until`] with this name no longer waits.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn open(&self, gate: &str) -> io::Result<()> {
        fs::write(self.home.path().join("gates").join(gate), "")
    }

    /// Records of the calls so far, in the order in which they began.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub fn calls(&self) -> io::Result<Vec<Call>> {
        let calls = self.home.path().join("calls");
        (0..)
            .map(|number| calls.join(number.to_string()))
            .take_while(|directory| directory.join("recorded").exists())
            .map(|directory| Call::read(&directory))
            .collect()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Fake {
    fn drop(&mut self) {
        let (name, value) = self.env();
        for process in crate::processes::with_env(&name, value) {
            // An error means a process of another user, which this test did not start.
            let _ = crate::processes::kill(&process);
        }
    }
}
