//! Search for the `opencode` program.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use opencode_config::{Environment, ProgramCommand};

use crate::runtime::describe::debug_as_chain;

use self::npm::NpmHost;

mod npm;

const VARIABLE: &str = "OPENCODE_BINARY";

#[cfg(windows)]
const NAMES: &[&str] = &["opencode.exe"];
#[cfg(not(windows))]
const NAMES: &[&str] = &["opencode", "opencode.exe"];

/// The `opencode` program to run.
///
/// A wrapper of npm is resolved to the program itself: the link in `node_modules/.bin`, the
/// launcher scripts of older releases, and the stub that stays where npm did not run the package's
/// postinstall script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binary {
    /// A command that starts OpenCode with all further arguments, such as
    /// `npx -y opencode-ai@1.18.33`. Its program is looked up by the rules of [`Binary::Path`], and
    /// nothing of npm is resolved. [`ProgramCommand`] lists the limits of such wrappers.
    ///
    /// ```
    /// use opencode_client::config::ProgramCommand;
    /// use opencode_client::process::Binary;
    ///
    /// let pinned = "npx -y opencode-ai@1.18.33".parse::<ProgramCommand>()?;
    /// let binary = Binary::from(pinned); // for `OpenCode::builder(..).binary(binary)`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Command(ProgramCommand),
    /// The program at this path. A bare name is looked up in `PATH`, `~/` is the home directory,
    /// and any other relative path starts at the current directory.
    Path(PathBuf),
    /// The program that `OPENCODE_BINARY` names, by the rules of [`Binary::Path`]. If the variable
    /// is not set, `opencode` in `PATH`, or else in the directory of OpenCode's installer,
    /// `~/.opencode/bin`.
    #[default]
    Search,
}

/// Error of a search: no searched place has an executable `opencode`.
#[derive(Clone, PartialEq, Eq)]
pub struct BinaryNotFound {
    tried: Vec<Tried>,
}

/// A place that was searched for the program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// A file, a directory of `PATH`, or the name of an environment variable.
    pub place: PathBuf,
    /// Reason why this place does not count.
    pub fault: BinaryFault,
}

/// Reason why a place has no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinaryFault {
    /// Not a regular file.
    NotAFile,
    /// The file is not executable for this user.
    NotExecutable,
    /// The file does not exist.
    NotFound,
    /// The environment variable is not set or empty.
    NotSet,
    /// The entry of `PATH` is relative. Such entries are ignored, because agents write to the
    /// current directory.
    Relative,
    /// The file cannot be inspected.
    Unreadable(io::ErrorKind),
}

impl Binary {
    /// Finds the program, and returns a command with the absolute path of an executable file.
    pub(crate) fn locate(
        &self,
        environment: &Environment,
    ) -> Result<ProgramCommand, BinaryNotFound> {
        let mut search = Search { environment, tried: Vec::new() };
        let resolved = |path: PathBuf| npm::resolve(&path, &NpmHost::detect()).into();
        let found = match self {
            Self::Command(command) => {
                search.named(command.program()).map(|path| command.clone().with_program(path))
            }
            Self::Path(path) => search.named(path).map(resolved),
            Self::Search => search.anywhere().map(resolved),
        };
        found.ok_or(BinaryNotFound { tried: search.tried })
    }
}

impl From<PathBuf> for Binary {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<ProgramCommand> for Binary {
    fn from(command: ProgramCommand) -> Self {
        Self::Command(command)
    }
}

impl BinaryNotFound {
    /// Returns all searched places, in order; at least one.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }
}

impl fmt::Display for BinaryNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no opencode program found in ")?;
        for (index, Tried { place, fault }) in self.tried.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({fault})", place.display())?;
        }
        f.write_str("; install OpenCode with `npm i -g opencode-ai`, or set OPENCODE_BINARY")
    }
}

impl std::error::Error for BinaryNotFound {}

debug_as_chain!(BinaryNotFound);

impl fmt::Display for BinaryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile => f.write_str("not a file"),
            Self::NotExecutable => f.write_str("not executable"),
            Self::NotFound => f.write_str("missing"),
            Self::NotSet => f.write_str("not set"),
            Self::Relative => f.write_str("a relative directory, ignored"),
            Self::Unreadable(kind) => write!(f, "unreadable: {kind}"),
        }
    }
}

struct Search<'a> {
    environment: &'a Environment,
    tried: Vec<Tried>,
}

impl Search<'_> {
    fn anywhere(&mut self) -> Option<PathBuf> {
        // No fallback: the variable asks for this one program.
        if let Some(path) = self.variable(VARIABLE) {
            return self.named(Path::new(&path));
        }
        self.path_variable(NAMES).or_else(|| self.installer_directory())
    }

    fn named(&mut self, path: &Path) -> Option<PathBuf> {
        if is_bare_name(path) {
            return self.path_variable(&[path]);
        }
        match path.strip_prefix("~") {
            Ok(rest) => {
                let home = self.home()?;
                self.file(home.join(rest))
            }
            Err(_) => self.file(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        }
    }

    fn path_variable(&mut self, names: &[impl AsRef<Path>]) -> Option<PathBuf> {
        let path = self.variable("PATH")?;
        for directory in std::env::split_paths(&path) {
            if !directory.is_absolute() {
                self.fail(directory, BinaryFault::Relative);
                continue;
            }
            for name in names {
                if let Some(found) = self.file(directory.join(name)) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn installer_directory(&mut self) -> Option<PathBuf> {
        let directory = self.home()?.join(".opencode").join("bin");
        NAMES.iter().find_map(|name| self.file(directory.join(name)))
    }

    fn home(&mut self) -> Option<PathBuf> {
        let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        self.variable(name).map(PathBuf::from)
    }

    fn variable(&mut self, name: &str) -> Option<OsString> {
        let value = self.environment.var(name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.fail(PathBuf::from(name), BinaryFault::NotSet);
        }
        value.map(OsStr::to_owned)
    }

    fn file(&mut self, path: PathBuf) -> Option<PathBuf> {
        match check_program(&path) {
            Ok(()) => Some(path),
            Err(fault) => {
                self.fail(path, fault);
                None
            }
        }
    }

    fn fail(&mut self, place: PathBuf, fault: BinaryFault) {
        self.tried.push(Tried { place, fault });
    }
}

fn is_bare_name(path: &Path) -> bool {
    let mut components = path.components();
    let first = components.next();
    let is_name = matches!(first, Some(Component::Normal(name)) if name != "~");
    // `components` drops a leading or trailing `.`; a separator means that this is a path.
    let has_separator = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|&byte| std::path::is_separator(char::from(byte)));
    is_name && components.next().is_none() && !has_separator
}

fn check_program(path: &Path) -> Result<(), BinaryFault> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_missing(&error) => return Err(BinaryFault::NotFound),
        Err(error) => return Err(BinaryFault::Unreadable(error.kind())),
    };
    if !metadata.is_file() {
        return Err(BinaryFault::NotAFile);
    }
    #[cfg(unix)]
    if rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_err() {
        return Err(BinaryFault::NotExecutable);
    }
    Ok(())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(all(test, unix))]
mod tests;
