//! Packages of npm for the tests of this crate, installed once per machine.
//!
//! `cargo test -p rivals --features npm` plays real plugins, MCP servers and other clients of
//! OpenCode against the library, with a scripted model. npm and Node.js are required: without them
//! every test fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, process};

/// Packages with their versions.
const PACKAGES: [&str; 3] = [
    "@opencode-ai/sdk@1.18.33",
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
];

/// Returns the directory `node_modules` with the packages, and installs them first if necessary.
///
/// # Panics
///
/// When npm is missing or fails.
#[must_use]
pub fn node_modules() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| install(&cache().join("npm"))).clone()
}

/// Returns the directory in which the tests keep everything that they install: `rivals` in the
/// cache of `testkit`.
///
/// # Panics
///
/// When OpenCode cannot be installed.
#[must_use]
pub fn cache() -> PathBuf {
    let program = testkit::opencode::binary().expect("OpenCode is installed from npm");
    let home = format!("opencode-ai-{}", testkit::opencode::VERSION);
    let installed = program.ancestors().find(|path| path.ends_with(&home));
    installed.and_then(Path::parent).expect("the program is in the cache").join("rivals")
}

fn install(home: &Path) -> PathBuf {
    let modules = home.join("node_modules");
    let list = PACKAGES.join("\n");
    if fs::read_to_string(home.join("installed")).is_ok_and(|installed| installed == list) {
        return modules;
    }
    // Of its own until it is complete, and then put into place at once.
    let staging = home.with_extension(process::id().to_string());
    remove(&staging);
    fs::create_dir_all(&staging).expect("the cache can be written");
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm)
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&staging)
        .args(PACKAGES)
        .current_dir(&staging)
        .output()
        .unwrap_or_else(|error| panic!("npm is required, from Node.js: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "npm install failed: {stderr}");
    fs::write(staging.join("installed"), list).expect("the cache can be written");
    remove(home);
    if fs::rename(&staging, home).is_err() {
        // Another process was faster.
        remove(&staging);
    }
    assert!(modules.exists(), "{} is missing", modules.display());
    modules
}

fn remove(directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).expect("the cache can be written");
    }
}

/// Returns Node.js, as the tests start it.
#[must_use]
pub fn node() -> String {
    env::var("NODE").unwrap_or_else(|_| "node".to_owned())
}
