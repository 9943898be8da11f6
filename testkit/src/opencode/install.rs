use std::env::{self, consts};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fd_lock::RwLock;

use super::{InstallError, InstallProgress, VERSION};

const PACKAGE: &str = "opencode-ai";
/// Name of the file with the path of the program. Written before the rename that completes the
/// installation.
const CHOICE: &str = "executable";
const STDERR_TAIL_MAX: usize = 4096;

/// Installer into the directory `opencode-ai-VERSION` of a cache.
#[derive(Debug)]
pub(super) struct Installer {
    pub(super) cache: PathBuf,
    /// npm, and the first arguments.
    pub(super) npm: Vec<OsString>,
    pub(super) version: String,
}

impl Installer {
    pub(super) fn from_env(version: &str) -> Result<Self, InstallError> {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let cache = own_cache().or_else(user_cache).ok_or(InstallError::Cache)?;
        Ok(Self { cache, npm: vec![npm.into()], version: version.to_owned() })
    }

    /// Path of the program, when the installation is complete.
    pub(super) fn installed(&self) -> Option<PathBuf> {
        let home = self.home();
        // An unreadable file means an incomplete installation; installing reports the error.
        let choice = fs::read_to_string(home.join(CHOICE)).ok()?;
        let program = home.join(choice);
        program.is_file().then_some(program)
    }

    pub(super) fn install(
        &self,
        mut progress: impl FnMut(InstallProgress),
    ) -> Result<PathBuf, InstallError> {
        if let Some(program) = self.installed() {
            return Ok(program);
        }
        progress(InstallProgress::Wait);
        attempt("create", &self.cache, fs::create_dir_all(&self.cache))?;
        let path = self.beside("lock");
        let mut lock = RwLock::new(attempt("create", &path, File::create(&path))?);
        let held = attempt("lock", &path, lock.write())?;
        if let Some(program) = self.installed() {
            return Ok(program);
        }

        // Left by an installer that died: a live one would hold the lock.
        let (home, staging) = (self.home(), self.beside("staging"));
        for leftover in [&home, &staging] {
            attempt("remove", leftover, remove(leftover))?;
        }
        attempt("create", &staging, fs::create_dir(&staging))?;
        progress(InstallProgress::Download);
        self.run_npm(&staging, attempt("open", &path, held.try_clone())?)?;
        progress(InstallProgress::Check);
        let choice = choose(&staging, &self.version)?;
        let path = staging.join(CHOICE);
        attempt("write", &path, fs::write(&path, &choice))?;
        attempt("create", &home, fs::rename(&staging, &home))?;
        Ok(home.join(choice))
    }

    /// Name of the package to install. Some versions are on npm without the main package, so other
    /// versions than the tested one come from the package for this platform.
    fn package(&self) -> String {
        if self.version == VERSION { PACKAGE.to_owned() } else { platform_package("") }
    }

    fn home(&self) -> PathBuf {
        self.cache.join(format!("{PACKAGE}-{}", self.version))
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.cache.join(format!("{PACKAGE}-{}.{extension}", self.version))
    }

    fn run_npm(&self, staging: &Path, lock: File) -> Result<(), InstallError> {
        let mut npm = Command::new(&self.npm[0]);
        npm.args(&self.npm[1..])
            // Without scripts: this package's script only copies the program, and policies may
            // refuse scripts.
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--include=optional"])
            .arg("--prefix")
            .arg(staging)
            .arg(format!("{}@{}", self.package(), self.version))
            .current_dir(staging)
            // npm inherits the lock, so that no other installer starts while npm outlives this
            // process.
            .stdin(lock);
        output(npm).map(drop)
    }

    /// Asks the registry for the newest version of the package for this platform.
    pub(super) fn latest(&self) -> Result<String, InstallError> {
        let mut npm = Command::new(&self.npm[0]);
        npm.args(&self.npm[1..]).args(["view", &platform_package(""), "dist-tags.latest"]);
        output(npm)
    }
}

/// Runs npm. Returns the standard output.
fn output(mut npm: Command) -> Result<String, InstallError> {
    let output = npm.output().map_err(|source| {
        let command = command_line(&npm);
        InstallError::NoNpm { command, source }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = &output.stderr[output.stderr.len().saturating_sub(STDERR_TAIL_MAX)..];
    Err(InstallError::Npm {
        command: command_line(&npm),
        status: output.status,
        stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
    })
}
/// Returns the path, relative to the directory, of the first program that runs and has the right
/// version.
fn choose(directory: &Path, wanted: &str) -> Result<String, InstallError> {
    let sandbox = directory.join("sandbox");
    let mut tried = Vec::new();
    for candidate in candidates() {
        let found = version(&directory.join(&candidate), &sandbox);
        attempt("remove", &sandbox, remove(&sandbox))?;
        match found {
            Ok(version) if version == wanted => return Ok(candidate),
            Ok(version) => tried.push(format!("{candidate}: its version is {version:?}")),
            Err(error) => tried.push(format!("{candidate}: {error}")),
        }
    }
    Err(InstallError::Unusable { version: wanted.to_owned(), tried })
}

/// Possible paths of the program: in the main package, when npm's scripts have put it there
/// (otherwise there is a stub that fails), or in a package for this platform. Only running a
/// candidate shows whether it is right.
fn candidates() -> Vec<String> {
    let variants = ["", "-baseline", "-musl", "-baseline-musl"].map(|variant| {
        let (package, suffix) = (platform_package(variant), consts::EXE_SUFFIX);
        format!("node_modules/{package}/bin/opencode{suffix}")
    });
    let main = format!("node_modules/{PACKAGE}/bin/opencode.exe");
    [main].into_iter().chain(variants).collect()
}

/// Returns the name of the package for this platform.
fn platform_package(variant: &str) -> String {
    let system = match consts::OS {
        "macos" => "darwin",
        system => system,
    };
    let processor = match consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        processor => processor,
    };
    format!("opencode-{system}-{processor}{variant}")
}

/// Runs the program with `--version`. The program creates directories, all of them in `sandbox`.
pub(super) fn version(program: &Path, sandbox: &Path) -> io::Result<String> {
    let private = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];
    let output = Command::new(program)
        .arg("--version")
        .envs(private.map(|name| (name, sandbox.join(name))))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("--version failed ({})", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn own_cache() -> Option<PathBuf> {
    env::var_os("OPENCODE_TESTKIT_CACHE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn user_cache() -> Option<PathBuf> {
    // The XDG specification ignores relative paths.
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = named.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(caches.join("opencode-testkit"))
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn attempt<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, InstallError> {
    result.map_err(|source| InstallError::Files { action, path: path.to_owned(), source })
}

fn command_line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
