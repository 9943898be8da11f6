//! Installations, with a shell script in place of npm.
#![cfg(unix)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use super::install::Installer;
use super::{InstallError, InstallProgress, VERSION};

/// Creates the files of npm without scripts: a stub, and the program in a package for the platform.
const GOOD: &str = r#"
    echo run >>"$root/runs"
    for package in opencode-ai opencode-linux-x64 opencode-linux-arm64 opencode-darwin-arm64; do
        mkdir -p "$prefix/node_modules/$package/bin"
        program="$prefix/node_modules/$package/bin/opencode"
        printf '#!/bin/sh\nmkdir -p "$XDG_DATA_HOME"; echo 1.18.33\n' >"$program"
        chmod 755 "$program"
    done
    echo 'echo stub >&2; exit 1' >"$prefix/node_modules/opencode-ai/bin/opencode.exe"
    chmod 755 "$prefix/node_modules/opencode-ai/bin/opencode.exe"
"#;

struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// `npm` is a shell script that knows `$prefix` (target directory) and `$root`.
    fn installer(&self, npm: &str) -> Installer {
        let script = format!(
            "root='{}'\nwhile [ \"$1\" != --prefix ]; do shift; done\nprefix=$2\n{npm}\n",
            self.root.path().display(),
        );
        let npm = vec!["sh".into(), "-c".into(), script.into(), "npm".into()];
        let cache = self.root.path().join("cache");
        Installer { cache, npm, version: VERSION.to_owned() }
    }

    fn home(&self) -> PathBuf {
        self.root.path().join(format!("cache/opencode-ai-{VERSION}"))
    }

    fn staging(&self) -> PathBuf {
        self.root.path().join(format!("cache/opencode-ai-{VERSION}.staging"))
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.root.path().join("runs")).unwrap().lines().count()
    }
}

#[test]
fn installs_once_and_finds_it_again() {
    let machine = Machine::new();
    let installer = machine.installer(GOOD);
    assert_eq!(installer.installed(), None);
    let mut stages = Vec::new();
    let program = installer.install(|stage| stages.push(stage)).unwrap();
    assert_eq!(stages, [InstallProgress::Wait, InstallProgress::Download, InstallProgress::Check]);
    assert!(program.starts_with(machine.home().join("node_modules")), "{}", program.display());
    assert!(program.ends_with("bin/opencode"), "not the stub: {}", program.display());
    assert!(!machine.home().join("sandbox").exists());

    assert_eq!(installer.installed().as_ref(), Some(&program));
    let again = installer.install(|stage| panic!("{stage}")).unwrap();
    assert_eq!((again, machine.runs()), (program, 1));
}

#[test]
fn prefers_the_main_package_where_its_program_runs() {
    let machine = Machine::new();
    let npm = format!(
        "{GOOD}\ncp \"$prefix/node_modules/opencode-ai/bin/opencode\" \
         \"$prefix/node_modules/opencode-ai/bin/opencode.exe\""
    );
    let program = machine.installer(&npm).install(|_| {}).unwrap();
    assert!(program.ends_with("opencode-ai/bin/opencode.exe"), "{}", program.display());
}

#[test]
fn parallel_installers_install_once() {
    let machine = Machine::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| machine.installer(GOOD).install(|_| {}).unwrap());
        }
    });
    assert_eq!(machine.runs(), 1);
}

#[test]
fn an_installation_that_was_killed_is_not_used() {
    let machine = Machine::new();
    let killed = machine.installer(&format!("{GOOD}\nkill -s KILL $$"));
    assert!(matches!(killed.install(|_| {}), Err(InstallError::Npm { .. })));
    let staging = machine.staging();
    assert!(staging.join("node_modules").exists());
    // Not even under the final name.
    fs::rename(&staging, machine.home()).unwrap();
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("torn"), "").unwrap();

    let installer = machine.installer(GOOD);
    assert_eq!(installer.installed(), None);
    installer.install(|_| {}).unwrap();
    assert_eq!(machine.runs(), 2);
    assert!(!staging.exists());
    assert!(!machine.home().join("torn").exists());
}

#[test]
fn a_failure_of_npm_shows_its_status_and_the_end_of_stderr() {
    let machine = Machine::new();
    let noise =
        "head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'npm error E404' >&2; exit 7";
    let error = machine.installer(noise).install(|_| {}).unwrap_err();
    let InstallError::Npm { command, status, stderr } = &error else { panic!("{error}") };
    assert!(command.contains("install --no-audit --no-fund --ignore-scripts"), "{command}");
    assert!(command.ends_with(&format!("opencode-ai@{VERSION}")), "{command}");
    assert_eq!(status.code(), Some(7));
    assert!(stderr.ends_with("npm error E404") && stderr.len() <= 4096, "{}", stderr.len());
    assert_eq!(machine.installer(noise).installed(), None);
}

#[test]
fn a_missing_npm_is_an_error_with_a_source() {
    let machine = Machine::new();
    let mut installer = machine.installer("");
    installer.npm = vec!["/nowhere/npm".into()];
    let error = installer.install(|_| {}).unwrap_err();
    assert!(error.to_string().starts_with("cannot start `/nowhere/npm install "), "{error}");
    assert!(error.source().is_some());
}

#[test]
fn another_version_or_no_program_is_unusable() {
    let machine = Machine::new();
    let other = GOOD.replace(VERSION, "0.1.0");
    for (npm, reason) in [(other.as_str(), "its version is \"0.1.0\""), ("", "No such file")] {
        let error = machine.installer(npm).install(|_| {}).unwrap_err();
        let InstallError::Unusable { tried, .. } = &error else { panic!("{error}") };
        assert!(tried.iter().any(|line| line.contains(reason)), "{error}");
        assert!(!machine.home().exists());
    }
}

#[test]
fn another_version_has_a_place_of_its_own_and_comes_from_the_package_of_the_platform() {
    let machine = Machine::new();
    let npm = GOOD.replace(VERSION, "1.2.20");
    let mut other = machine.installer(&format!("echo \"$@\" >\"$root/args\"\n{npm}"));
    other.version = "1.2.20".to_owned();
    let program = other.install(|_| {}).unwrap();
    assert!(program.starts_with(machine.root.path().join("cache/opencode-ai-1.2.20")));
    let args = fs::read_to_string(machine.root.path().join("args")).unwrap();
    assert!(args.trim().ends_with("@1.2.20") && !args.contains("opencode-ai@"), "{args}");
    assert_eq!(machine.installer(GOOD).installed(), None);
}

#[test]
fn a_write_error_names_the_path() {
    let machine = Machine::new();
    let mut installer = machine.installer(GOOD);
    fs::write(machine.root.path().join("file"), "").unwrap();
    installer.cache = machine.root.path().join("file/cache");
    let error = installer.install(|_| {}).unwrap_err();
    let InstallError::Files { action, path, .. } = &error else { panic!("{error}") };
    assert_eq!((*action, path.as_path()), ("create", Path::new(&installer.cache)));
}
