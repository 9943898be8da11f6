//! A stand-in for the `opencode` program, for faults that the real one does not show on demand.
//!
//! The program is a shell script of this crate that plays what a [`Behavior`] says. No test writes an
//! executable, so no test can run into "text file busy" because another thread is forking.
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

/// The environment variable that leads the program to its script.
const VARIABLE: &str = "OPENCODE_FAKE";

/// A program that plays behaviors, one per call, and remembers how it was called.
///
/// Dropping it removes its directory and, on Linux, ends every process that still has its environment.
#[derive(Debug)]
pub struct Fake {
    home: TempDir,
}

impl Fake {
    /// A program that behaves the same in every call.
    ///
    /// # Errors
    ///
    /// When its files cannot be written.
    pub fn new(behavior: Behavior) -> io::Result<Self> {
        Self::with_attempts([behavior])
    }

    /// A program that plays the first behavior in its first call, and so on; the last one repeats.
    ///
    /// Calls with `--version` alone print [`VERSION`](crate::opencode::VERSION), or what
    /// [`Self::set_version`] says, and do not count.
    ///
    /// # Errors
    ///
    /// When its files cannot be written.
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

    /// Prints `version` for `--version`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn set_version(&self, version: &str) -> io::Result<()> {
        fs::write(self.home.path().join("version"), format!("{version}\n"))
    }

    /// The executable to run instead of `opencode`.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fake/opencode")
    }

    /// The environment variable that the executable needs, and by which its processes can be found.
    #[must_use]
    pub fn env(&self) -> (String, String) {
        let script = self.home.path().join("script");
        (VARIABLE.to_owned(), script.into_os_string().into_string().expect("temp dirs are UTF-8"))
    }

    /// Lets pass what waits in [`Behavior::pause_until`] with this name, and what comes later.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn open(&self, gate: &str) -> io::Result<()> {
        fs::write(self.home.path().join("gates").join(gate), "")
    }

    /// The calls so far, in the order in which they began.
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
            // Of another user: not started by this test.
            let _ = crate::processes::kill(&process);
        }
    }
}
