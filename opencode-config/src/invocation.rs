//! The command line of a process to start.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::isolation::variables::CLIENT;
use crate::{
    Attach, Credentials, Environment, IsolationPlan, ProgramCommand, Questions, RunConfig,
    RunConfigError, ServeFlags, Version,
};

mod arguments;
mod check;
mod needs;
mod shell;
#[cfg(test)]
mod tests;

use arguments::Arguments;

/// A command line with environment, directory and input, ready to be spawned.
///
/// ```no_run
/// use std::io::Write;
/// use std::process::{Command, Stdio};
///
/// use opencode_config::Invocation;
///
/// fn spawn(run: &Invocation) -> std::io::Result<std::process::Child> {
///     let mut child = Command::new(&run.program)
///         .args(&run.args)
///         .env_clear()
///         .envs(run.env.iter())
///         .current_dir(&run.directory)
///         .stdin(Stdio::piped())
///         .stdout(Stdio::piped())
///         .spawn()?;
///     // Dropping the pipe closes it, which OpenCode waits for.
///     child.stdin.take().expect("a pipe").write_all(&run.stdin)?;
///     Ok(child)
/// }
/// ```
///
/// `Display` and [`command_line`](Self::command_line) show the command for error messages. Neither
/// these nor `Debug` show values of the environment or the prompt.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Invocation {
    /// Program to start.
    pub program: PathBuf,
    /// Arguments of the program: those of the [`ProgramCommand`], then those of OpenCode.
    pub args: Vec<OsString>,
    /// Whole environment of the process; the caller's own is not inherited.
    pub env: Environment,
    /// Working directory. OpenCode goes by the variable `PWD`, which names the same directory.
    pub directory: PathBuf,
    /// Text to write to stdin, which must then be closed: OpenCode reads stdin to the end before
    /// anything else.
    pub stdin: Bytes,
    /// Version of OpenCode that starts, as far as the [`ProgramCommand`] has one.
    pub version: Option<Version>,
}

impl Invocation {
    /// Builds `opencode run --format json` with `prompt` in `directory`.
    ///
    /// `plan` must have been made from the same `config`. The prompt reaches the model byte for
    /// byte: the prompt goes by stdin, since OpenCode puts arguments that contain a space into
    /// quotes and takes those that start with a dash for flags. With
    /// [`RunFlags::with_command`](crate::RunFlags::with_command) the prompt has the arguments of
    /// the command, and may be empty.
    ///
    /// ```
    /// use opencode_config::{Environment, Invocation, IsolationPlan, RunConfig, RunFlags};
    ///
    /// let config = RunConfig::new().with_flags(RunFlags::new().with_command("review"));
    /// let plan = IsolationPlan::new(&config, &Environment::new(), "/tmp/run-1", Vec::new())?;
    /// let run = Invocation::run("opencode", "HEAD~1", "/src/app", &config, &plan)?;
    /// assert_eq!(run.args[3], "--command=review");
    /// assert_eq!(run.stdin, "HEAD~1");
    /// # Ok::<(), opencode_config::RunConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when [`RunConfig::check`] fails, the directory is relative, the prompt is
    /// empty, or the version of the program lacks a [feature](crate::Feature) that is needed.
    pub fn run(
        program: impl Into<ProgramCommand>,
        prompt: impl Into<Bytes>,
        directory: impl Into<PathBuf>,
        config: &RunConfig,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        config.check()?;
        let stdin = prompt.into();
        if config.flags().command().is_none() && is_blank(&stdin) {
            return Err(RunConfigError::EmptyPrompt);
        }
        check::required_mcp(config)?;
        let program = program.into();
        for feature in needs::of_run(config, plan) {
            feature.check(program.version())?;
        }
        let args = Arguments::of_run(config, program.version())?.into_vec();
        let mut invocation = Self::new(program, args, directory.into(), plan);
        invocation.stdin = stdin;
        // A resumed session with the `question` tool would wait for an answer for ever.
        invocation.hide_questions(config);
        invocation.authenticate(config.flags().attach().and_then(Attach::credentials))?;
        invocation.settle()
    }

    /// Builds `opencode serve` in `directory`.
    ///
    /// `plan` must have been made from the same `config`. Model, agent and flags of the config have
    /// no effect: a server gets these with every prompt.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when [`RunConfig::check_for_serve`] fails, the directory is relative, a
    /// flag cannot be passed, or the version of the program lacks a [feature](crate::Feature) that is needed.
    pub fn serve(
        program: impl Into<ProgramCommand>,
        directory: impl Into<PathBuf>,
        config: &RunConfig,
        flags: &ServeFlags,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        config.check_for_serve()?;
        let program = program.into();
        for feature in needs::of_server(config, flags, plan) {
            feature.check(program.version())?;
        }
        let args = Arguments::of_serve(flags)?.into_vec();
        let mut invocation = Self::new(program, args, directory.into(), plan);
        if flags.questions() == Questions::Hide {
            invocation.hide_questions(config);
        }
        invocation.authenticate(flags.credentials())?;
        invocation.settle()
    }

    /// Builds another command of OpenCode in `directory`, for example `opencode export`.
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when the directory is relative, or an argument cannot be passed.
    pub fn subcommand<T: Into<OsString>>(
        program: impl Into<ProgramCommand>,
        args: impl IntoIterator<Item = T>,
        directory: impl Into<PathBuf>,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        let args = args.into_iter().map(Into::into).collect();
        Self::new(program.into(), args, directory.into(), plan).settle()
    }

    /// Builds `opencode --version` in `directory`.
    ///
    /// OpenCode writes to disk even for this command, so a plan is needed, such as that of
    /// [`RunConfig::new`].
    ///
    /// ```
    /// use opencode_config::{Environment, Invocation, IsolationPlan, ProgramCommand, RunConfig};
    ///
    /// let npx = ProgramCommand::new("npx").with_args(["-y", "opencode-ai@1.18.33"]);
    /// let plan = IsolationPlan::new(
    ///     &RunConfig::new(), &Environment::new(), "/tmp/version-1", Vec::new(),
    /// )?;
    /// let version = Invocation::version(npx, "/tmp/version-1", &plan)?;
    /// assert_eq!(version.command_line(), "npx -y opencode-ai@1.18.33 --version");
    /// # Ok::<(), opencode_config::RunConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunConfigError`] when the directory is relative.
    pub fn version(
        program: impl Into<ProgramCommand>,
        directory: impl Into<PathBuf>,
        plan: &IsolationPlan,
    ) -> Result<Self, RunConfigError> {
        let args = vec!["--version".into()];
        Self::new(program.into(), args, directory.into(), plan).settle()
    }

    fn new(
        command: ProgramCommand,
        args: Vec<OsString>,
        directory: PathBuf,
        plan: &IsolationPlan,
    ) -> Self {
        let (program, mut all_args, version) = command.into_parts();
        all_args.extend(args);
        let env = plan.environment.clone();
        Self { program, args: all_args, env, directory, stdin: Bytes::new(), version }
    }

    /// Returns the command in the form in which it is typed into a shell, without secrets.
    #[must_use]
    pub fn command_line(&self) -> String {
        shell::join(&self.program, &self.args)
    }

    fn authenticate(&mut self, credentials: Option<&Credentials>) -> Result<(), RunConfigError> {
        let Some(credentials) = credentials else { return Ok(()) };
        if credentials.password().is_empty() {
            return Err(RunConfigError::EmptyValue { flag: "OPENCODE_SERVER_PASSWORD" });
        }
        self.env.set("OPENCODE_SERVER_PASSWORD", credentials.password());
        match credentials.username() {
            Some(username) => self.env.set("OPENCODE_SERVER_USERNAME", username),
            None => drop(self.env.remove("OPENCODE_SERVER_USERNAME")),
        }
        Ok(())
    }

    /// Names a client for which OpenCode does not offer the `question` tool, unless the caller has
    /// chosen a client.
    fn hide_questions(&mut self, config: &RunConfig) {
        let is_chosen = config.env().var(CLIENT).is_some();
        let client = self.env.non_empty(CLIENT);
        let has_questions = client
            .is_none_or(|client| ["app", "cli", "desktop"].iter().any(|name| client == *name));
        if has_questions && !is_chosen {
            self.env.set(CLIENT, "sdk");
        }
    }

    /// Sets the directory, and checks that everything can be passed to a process.
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

/// Whether JavaScript's `trim` leaves nothing of the prompt, which OpenCode then refuses.
fn is_blank(prompt: &[u8]) -> bool {
    let is_space = |c: char| match c {
        '\u{feff}' => true,
        '\u{85}' => false,
        c => c.is_whitespace(),
    };
    String::from_utf8_lossy(prompt).chars().all(is_space)
}
