//! The process to start.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::{Credentials, Environment, IsolationPlan, RunConfig, RunConfigError, ServeFlags};

mod arguments;
mod shell;
#[cfg(test)]
mod tests;

use arguments::Arguments;

/// A command line, its environment, directory and input, ready to be spawned.
///
/// `Display` and [`command_line`](Self::command_line) show the command for error messages; neither
/// they nor `Debug` show values of the environment or the prompt.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Invocation {
    /// The OpenCode binary.
    pub program: PathBuf,
    /// Its arguments, without the program.
    pub args: Vec<OsString>,
    /// Its whole environment: start from an empty one.
    pub env: Environment,
    /// Its working directory, which `PWD` names too. OpenCode goes by `PWD`.
    pub directory: PathBuf,
    /// What to write to its stdin, which must then be closed: OpenCode reads to the end before it
    /// does anything.
    pub stdin: Bytes,
}

impl Invocation {
    /// `opencode run --format json` with `prompt` in `directory`.
    ///
    /// `plan` must have been made from the same `config`. The prompt reaches the model byte for byte:
    /// it goes by stdin, since OpenCode puts arguments that contain a space into quotes and takes
    /// those that start with a dash for flags. With
    /// [`RunFlags::command`](crate::RunFlags::command) it is the arguments of the command, and may be
    /// empty.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when [`RunConfig::check`] fails, the directory is relative, or the prompt
    /// is empty.
    pub fn run(
        program: impl Into<PathBuf>,
        prompt: impl Into<Bytes>,
        directory: impl Into<PathBuf>,
        config: &RunConfig,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        config.check()?;
        let stdin = prompt.into();
        if config.flags.command.is_none() && is_blank(&stdin) {
            return Err(RunConfigError::EmptyPrompt);
        }
        let attach = config.flags.attach.as_ref();
        let mut invocation = Self {
            program: program.into(),
            args: Arguments::of_run(config)?.into_vec(),
            env: plan.environment.clone(),
            directory: directory.into(),
            stdin,
        };
        // The clients that OpenCode has ask questions; a resumed session would wait for an answer
        // for ever.
        if invocation.env.var("OPENCODE_CLIENT").is_none() {
            invocation.env.set("OPENCODE_CLIENT", "sdk");
        }
        invocation.authenticate(attach.and_then(|attach| attach.credentials.as_ref()))?;
        invocation.settle()
    }

    /// `opencode serve` in `directory`.
    ///
    /// `plan` must have been made from the same `config`. Model, agent and flags of the config play
    /// no part: a server is told with every prompt.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when [`RunConfig::check_for_serve`] fails, the directory is relative, or a
    /// flag cannot be passed.
    pub fn serve(
        program: impl Into<PathBuf>,
        directory: impl Into<PathBuf>,
        config: &RunConfig,
        flags: &ServeFlags,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        config.check_for_serve()?;
        let mut invocation = Self {
            program: program.into(),
            args: Arguments::of_serve(flags)?.into_vec(),
            env: plan.environment.clone(),
            directory: directory.into(),
            stdin: Bytes::new(),
        };
        invocation.authenticate(flags.credentials.as_ref())?;
        invocation.settle()
    }

    /// The command as one would type it into a shell.
    #[must_use]
    pub fn command_line(&self) -> String {
        shell::join(&self.program, &self.args)
    }

    fn authenticate(&mut self, credentials: Option<&Credentials>) -> Result<(), RunConfigError> {
        let Some(credentials) = credentials else { return Ok(()) };
        if credentials.password.is_empty() {
            return Err(RunConfigError::EmptyValue { flag: "OPENCODE_SERVER_PASSWORD" });
        }
        self.env.set("OPENCODE_SERVER_PASSWORD", &credentials.password);
        match &credentials.username {
            Some(username) => self.env.set("OPENCODE_SERVER_USERNAME", username),
            None => drop(self.env.remove("OPENCODE_SERVER_USERNAME")),
        }
        Ok(())
    }

    /// Enters the directory, and checks that everything can be passed to a process.
    fn settle(mut self) -> Result<Self, RunConfigError> {
        if !self.directory.is_absolute() {
            return Err(RunConfigError::RelativeDirectory { path: self.directory });
        }
        self.env.set("PWD", &self.directory);
        no_nul("the program", self.program.as_os_str())?;
        for (index, argument) in self.args.iter().enumerate() {
            no_nul(&format!("argument {}", index + 1), argument)?;
        }
        for (name, value) in self.env.iter() {
            no_nul(&format!("the variable {}", name.display()), value)?;
        }
        Ok(self)
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command_line())
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("command_line", &self.command_line())
            .field("env", &self.env)
            .field("directory", &Path::display(&self.directory))
            .field("stdin_size", &self.stdin.len())
            .finish()
    }
}

fn no_nul(place: &str, text: &OsStr) -> Result<(), RunConfigError> {
    if text.as_encoded_bytes().contains(&0) {
        return Err(RunConfigError::Nul { place: place.to_owned() });
    }
    Ok(())
}

/// Whether JavaScript's `trim` leaves nothing, which is what OpenCode asks.
fn is_blank(prompt: &[u8]) -> bool {
    let is_space = |c: char| match c {
        '\u{feff}' => true,
        '\u{85}' => false,
        c => c.is_whitespace(),
    };
    String::from_utf8_lossy(prompt).chars().all(is_space)
}
