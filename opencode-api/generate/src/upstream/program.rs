//! A server of a program, started for the comparison, without the user's files.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server. The drop ends the process and removes the files.
pub(super) struct Program {
    child: Child,
    directory: PathBuf,
    url: String,
}

impl Program {
    pub(super) fn start(binary: &Path) -> Result<Self, Box<dyn Error>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("opencode-check-upstream-{}-{number}", std::process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let mut command = command(binary, &directory);
        command.args(["serve", "--hostname", "127.0.0.1", "--port", "0"]).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut program = Self { child, directory, url: String::new() };
        for line in BufReader::new(output).lines() {
            if let Some((_, url)) = line?.split_once("listening on ") {
                url.trim().clone_into(&mut program.url);
                return Ok(program);
            }
        }
        Err(format!("{} ended before the server listened", binary.display()).into())
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A process that has ended by itself is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Returns a command without the settings and the secrets of the user.
pub(super) fn command(binary: &Path, directory: &Path) -> Command {
    let mut command = Command::new(binary);
    let kept = ["PATH", "HOME", "TMPDIR", "LANG"];
    command.env_clear().envs(env::vars_os().filter(|(name, _)| kept.iter().any(|of| name == of)));
    for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        command.env(name, directory.join(name));
    }
    // The comparison reads the password of a running server from the environment, and none is set
    // for a started one.
    if let Ok(password) = env::var("OPENCODE_SERVER_PASSWORD") {
        command.env("OPENCODE_SERVER_PASSWORD", password);
    }
    command
        .env("OPENCODE_DISABLE_AUTOUPDATE", "true")
        .env("OPENCODE_DISABLE_MODELS_FETCH", "true")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}
