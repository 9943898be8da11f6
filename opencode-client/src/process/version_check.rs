//! Check of the program's version before a start.
//!
//! `opencode --version` takes half a second of processor time or more (1.18.33: 0.7 s), a twentieth
//! of a run. So the version is taken from the npm package that the program belongs to, where there
//! is one, and every version is remembered until the program's file changes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opencode_config::ProgramCommand;
use opencode_proto::{UnsupportedVersion, Version, parse_version};
use serde::Deserialize;

use super::host::Host;
use super::known_versions::{CheckTurn, CheckedVersion, ProgramFile};
use super::version::{self, VersionError};
use crate::runtime::blocking::unblock;

/// Time by which npm may write the program later than the file that describes the package. A
/// program that is newer was replaced, for example by `opencode upgrade`.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// Version of a program that was built from the sources, without a number.
const SOURCE_BUILD: &str = "local";

/// Checks that the program is a supported OpenCode, and returns the program that was found, with
/// the version.
///
/// A program that cannot be started, or fails, passes the check: the start itself fails as well,
/// and has the reason.
///
/// # Errors
///
/// [`VersionError`] when the program is missing, has an unsupported version or none, or does not
/// exit in time.
///
/// # Cancel safety
///
/// Dropping the future ends the process; a caller that waits for the result checks again.
pub(crate) async fn check(host: &Arc<Host>) -> Result<Option<ProgramCommand>, VersionError> {
    // Simulated processes have no program to ask.
    if host.runtime.process_control().is_some() {
        return Ok(None);
    }
    loop {
        let (command, file) = {
            let host = Arc::clone(host);
            unblock(&host.runtime.clone(), move || find(&host)).await?
        };
        let (program, modified) = (file.program.clone(), file.modified);
        let line = command.to_string();
        let refused = |unsupported| {
            let command = line;
            VersionError::Unsupported { command, unsupported }
        };
        let checking = match host.known_versions.turn(file) {
            CheckTurn::Checked(result) => {
                return result.map_err(refused).map(|version| Some(command.with_version(version)));
            }
            CheckTurn::Wait(latch) => {
                latch.wait().await;
                continue;
            }
            CheckTurn::Check(checking) => checking,
        };
        let packaged = match command.args() {
            [] => unblock(&host.runtime, move || packaged_version(&program, modified)).await,
            // The program of a wrapper is not OpenCode.
            _ => None,
        };
        let result = match packaged {
            Some(version) => judge(version, false),
            None => match version::printed(host, command.clone()).await {
                Ok(printed) if printed.text.trim() == SOURCE_BUILD => Ok(None),
                Ok(printed) => match parse_version(&printed.text) {
                    Some(version) => judge(version, is_next_line(&printed.text)),
                    None if printed.status.success() => {
                        return Err(VersionError::no_version(printed.command, &printed.text));
                    }
                    None => return Ok(Some(command)),
                },
                Err(error @ (VersionError::Binary(_) | VersionError::TimedOut { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(%error, "version check failed");
                    return Ok(Some(command));
                }
            },
        };
        checking.conclude(result.clone());
        return result.map_err(refused).map(|version| Some(command.with_version(version)));
    }
}

/// Returns whether the output has the form of OpenCode 2, `opencode v2.0.12`. Snapshots of both
/// lines have the number 0.0.0.
fn is_next_line(printed: &str) -> bool {
    printed.trim_start().starts_with("opencode v")
}

fn judge(version: Version, is_next_line: bool) -> CheckedVersion {
    if version.is_supported() && !(is_next_line && version.is_snapshot()) {
        return Ok(Some(version));
    }
    Err(UnsupportedVersion::new(Some(version)))
}

/// Finds the program. Blocks.
fn find(host: &Host) -> Result<(ProgramCommand, ProgramFile), VersionError> {
    let command = host.binary.locate(&host.environment)?;
    let metadata = fs::metadata(command.program()).ok();
    let file = ProgramFile {
        program: command.program().to_owned(),
        args: command.args().to_vec(),
        modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
        size: metadata.map_or(0, |metadata| metadata.len()),
    };
    Ok((command, file))
}

/// Returns the version of the npm package with `program` in the directory `bin`. Blocks.
fn packaged_version(program: &Path, modified: Option<SystemTime>) -> Option<Version> {
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let bin = program.parent().filter(|bin| bin.ends_with("bin"))?;
    let description = bin.parent()?.join("package.json");
    let described = fs::metadata(&description).ok()?.modified().ok()?;
    if modified? > described + INSTALL_TIME_MAX {
        return None;
    }
    let package: Package = serde_json::from_slice(&fs::read(description).ok()?).ok()?;
    package.name.starts_with("opencode-").then(|| parse_version(&package.version)).flatten()
}

#[cfg(all(test, unix))]
mod tests;
