//! The program to start, with leading arguments.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Version;

#[cfg(test)]
mod tests;
mod words;

pub(crate) use words::quoted;

/// A command that starts OpenCode: a program with the arguments that precede OpenCode's own.
///
/// Usually the program is OpenCode itself. It can also be a wrapper:
///
/// ```
/// use opencode_config::ProgramCommand;
///
/// let plain = ProgramCommand::new("/usr/local/bin/opencode");
/// let pinned = ProgramCommand::new("npx").with_args(["-y", "opencode-ai@1.18.33"]);
///
/// // Settings files have a command in one line.
/// let read: ProgramCommand = "npx -y opencode-ai@1.18.33".parse()?;
/// assert_eq!(read, pinned);
/// assert_eq!(read.to_string(), "npx -y opencode-ai@1.18.33");
/// # assert!(plain.args().is_empty());
/// # Ok::<(), opencode_config::ProgramCommandError>(())
/// ```
///
/// # Wrappers
///
/// A wrapper must start OpenCode with all further arguments, and pass on stdin, stdout, stderr, the
/// environment and the working directory. `npx`, `bunx`, `mise exec`, `nix run` and `env` do so.
/// Programs that start OpenCode elsewhere, such as `docker run` or `ssh`, pass on stdin with a flag
/// (`docker run -i`) and little else:
///
/// - The *environment* carries the config of a run, the password of a server and the isolation.
///   Without the variables (`docker run -e NAME`, `SendEnv` of ssh), OpenCode runs with the
///   settings of the other place, and without the rules of the run.
/// - *Paths* must be the same on both sides: the project and the private directory of the run have
///   to be mounted, or do not exist for OpenCode. The working directory has to be set with the
///   wrapper's own flag (`docker run -w`).
/// - A *server* must be reachable at the address that OpenCode prints; in a container that takes
///   `--network host`.
/// - *Processes* elsewhere are not found by a program that ends a run. They end only if the wrapper
///   ends them when the wrapper itself receives SIGTERM or loses the input (`docker run --init`,
///   `ssh -tt`); `docker kill` and the like remain for the caller.
/// - The version check before the first start (`--version`, once per handle) costs a whole start of
///   the wrapper, which for `npx` can include a download.
///
/// The arguments of OpenCode come last. `ssh` joins all arguments with spaces and gives them to a
/// shell, so a title, a variant or a file name with spaces or quotes arrives changed; the prompt
/// does not, which goes by stdin. The working directory is part of the command:
///
/// ```
/// use opencode_config::ProgramCommand;
///
/// let project = "/src/app";
/// let docker = ProgramCommand::new("docker")
///     .with_args(["run", "--rm", "--init", "-i", "--network", "host"])
///     .with_args(["-v", "/src/app:/src/app", "-v", "/tmp:/tmp", "-w", project])
///     // And all other variables that the run sets: `OPENCODE_*`, `XDG_*`, `TMPDIR`, keys.
///     .with_args(["-e", "OPENCODE_CONFIG_CONTENT", "-e", "XDG_DATA_HOME"])
///     .with_args(["opencode-image", "opencode"]);
/// let ssh = ProgramCommand::new("ssh")
///     // The server has to accept the variables: `AcceptEnv OPENCODE_* XDG_* TMPDIR`.
///     .with_args(["-o", "SendEnv=OPENCODE_* XDG_* TMPDIR", "host"])
///     .with_arg(format!("cd '{project}' && exec opencode"));
/// # drop((docker, ssh));
/// ```
///
/// A server that is started through a wrapper is asked for its directory before the start counts as
/// a success; a directory that does not exist there is an error.
///
/// For OpenCode on another machine, attaching to an `opencode serve` there has none of these
/// limits.
///
/// `Display` shows the command in the syntax of a POSIX shell, in error messages and logs too, so
/// secrets belong in the environment and not in the arguments.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ProgramCommand {
    program: PathBuf,
    args: Vec<OsString>,
    version: Option<Version>,
}

impl ProgramCommand {
    /// Creates the command that starts `program`, the path or the name of a file, without
    /// arguments.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), version: None }
    }

    /// Sets the program and keeps the arguments.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    /// Adds an argument.
    #[must_use]
    pub fn with_arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn with_args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the version of OpenCode that the command starts. Default: unknown, and taken for the
    /// newest one.
    ///
    /// The version decides the spelling of flags, and an [`Invocation`](crate::Invocation) that
    /// needs a feature which the version lacks is refused.
    #[must_use]
    pub fn with_version(self, version: impl Into<Option<Version>>) -> Self {
        Self { version: version.into(), ..self }
    }

    /// Returns the version of OpenCode that the command starts.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns the program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the arguments that precede those of OpenCode.
    #[must_use]
    pub fn args(&self) -> &[OsString] {
        &self.args
    }

    pub(crate) fn into_parts(self) -> (PathBuf, Vec<OsString>, Option<Version>) {
        (self.program, self.args, self.version)
    }
}

/// A line that cannot be read as a command.
///
/// ```
/// use opencode_config::ProgramCommand;
///
/// let error = "cat key | opencode".parse::<ProgramCommand>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the command needs a shell for `|`: quote the character, or use `sh -c`",
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramCommandError {
    /// The line has no words.
    #[error("the command is empty: name a program, such as `opencode`")]
    Empty,
    /// The line has a character that means something to a shell and is not quoted.
    #[error("the command needs a shell for `{character}`: quote the character, or use `sh -c`")]
    Shell {
        /// Character that is not quoted.
        character: char,
    },
    /// A quotation mark has no partner.
    #[error("the command has a `{quote}` without a partner")]
    Unclosed {
        /// Quotation mark.
        quote: char,
    },
}

/// Reads a line of words like a POSIX shell, with quotation marks and backslashes, but without
/// variables, wildcards and operators.
impl FromStr for ProgramCommand {
    type Err = ProgramCommandError;

    fn from_str(line: &str) -> Result<Self, ProgramCommandError> {
        let mut words = words::split(line)?.into_iter();
        let program = words.next().ok_or(ProgramCommandError::Empty)?;
        Ok(Self::new(program).with_args(words))
    }
}

/// The whole text is the program; a line with arguments is read with [`str::parse`].
impl From<&str> for ProgramCommand {
    fn from(program: &str) -> Self {
        Self::new(program)
    }
}

impl From<&Path> for ProgramCommand {
    fn from(program: &Path) -> Self {
        Self::new(program)
    }
}

impl From<PathBuf> for ProgramCommand {
    fn from(program: PathBuf) -> Self {
        Self::new(program)
    }
}

impl fmt::Display for ProgramCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = self.args.iter().map(|arg| arg.to_string_lossy());
        let words = [self.program.to_string_lossy()].into_iter().chain(args);
        f.write_str(&words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" "))
    }
}
