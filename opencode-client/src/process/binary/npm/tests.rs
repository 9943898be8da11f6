use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const HOST: NpmHost =
    NpmHost { os: "linux", arch: "x64", vectors: Vectors::Avx2, libc: Libc::Other };

const PROGRAM: &str = "\x7fELF\0\0 a program";
const STUB: &str = "echo \"Error: the postinstall script was not run.\" >&2\nexit 1\n";
const LAUNCHER: &str = "#!/usr/bin/env node\nconst childProcess = require(\"child_process\")\n";

/// A directory to which files are added, each with its parents.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("created"))
    }

    fn path(&self, path: &str) -> PathBuf {
        let root = self.0.path().canonicalize().expect("exists");
        root.join(path)
    }

    fn program(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(&path, contents).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("changed");
        path
    }

    fn link(&self, path: &str, target: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        symlink(target, &path).expect("linked");
        path
    }

    fn platform(&self, package: &str) -> PathBuf {
        self.program(&format!("node_modules/{package}/bin/opencode"), PROGRAM)
    }
}

#[test]
fn follows_the_link_to_the_program() {
    let tree = Tree::new();
    let program = tree.program("node_modules/opencode-ai/bin/opencode.exe", PROGRAM);
    tree.platform("opencode-linux-x64");
    let link = tree.link("node_modules/.bin/opencode", "../opencode-ai/bin/opencode.exe");
    assert_eq!(resolve(&link, &HOST), program);
}

#[test]
fn goes_past_the_stub_and_the_launcher() {
    for (file, contents) in [("opencode.exe", STUB), ("opencode", LAUNCHER)] {
        let tree = Tree::new();
        let launcher = tree.program(&format!("node_modules/opencode-ai/bin/{file}"), contents);
        let link = tree.link("node_modules/.bin/opencode", &format!("../opencode-ai/bin/{file}"));
        assert_eq!(resolve(&link, &HOST), launcher, "nothing better: {file}");

        let program = tree.platform("opencode-linux-x64");
        tree.platform("opencode-linux-x64-baseline");
        assert_eq!(resolve(&link, &HOST), program, "{file}");
    }
}

#[test]
fn looks_where_node_would() {
    for package in [
        "store/opencode-ai@1/node_modules/opencode-linux-x64/bin/opencode",
        "store/opencode-ai@1/node_modules/opencode-ai/node_modules/opencode-linux-x64/bin/opencode",
        "node_modules/opencode-linux-x64/bin/opencode",
    ] {
        let tree = Tree::new();
        let launcher = "store/opencode-ai@1/node_modules/opencode-ai/bin/opencode";
        let launcher = tree.program(launcher, LAUNCHER);
        let program = tree.program(package, PROGRAM);
        assert_eq!(resolve(&launcher, &HOST), program);
    }
}

#[test]
fn sees_through_a_shell_shim() {
    let tree = Tree::new();
    let shim = tree.program(
        "node_modules/.bin/opencode",
        "#!/bin/sh\nexec node \"$(dirname \"$0\")/../opencode-ai/bin/opencode\" \"$@\"\n",
    );
    assert_eq!(resolve(&shim, &HOST), shim, "its target is missing");

    tree.program("node_modules/opencode-ai/bin/opencode", LAUNCHER);
    let program = tree.platform("opencode-linux-x64");
    assert_eq!(resolve(&shim, &HOST), program);
}

#[test]
fn chooses_what_runs_here() {
    let everything = [
        "opencode-linux-x64",
        "opencode-linux-x64-baseline",
        "opencode-linux-x64-musl",
        "opencode-linux-x64-baseline-musl",
        "opencode-linux-arm64",
        "opencode-linux-arm64-musl",
        "opencode-darwin-arm64",
    ];
    let tree = Tree::new();
    let launcher = tree.program("node_modules/opencode-ai/bin/opencode", LAUNCHER);
    for package in everything {
        tree.platform(package);
    }

    let old = Vectors::Baseline;
    let cases = [
        (HOST, "opencode-linux-x64"),
        (NpmHost { vectors: old, ..HOST }, "opencode-linux-x64-baseline"),
        (NpmHost { libc: Libc::Musl, ..HOST }, "opencode-linux-x64-musl"),
        (NpmHost { libc: Libc::Musl, vectors: old, ..HOST }, "opencode-linux-x64-baseline-musl"),
        (NpmHost { arch: "arm64", vectors: old, ..HOST }, "opencode-linux-arm64"),
        (NpmHost { os: "darwin", arch: "arm64", vectors: old, ..HOST }, "opencode-darwin-arm64"),
    ];
    for (host, package) in cases {
        assert_eq!(
            resolve(&launcher, &host),
            tree.path(&format!("node_modules/{package}/bin/opencode"))
        );
    }
}

#[test]
fn a_baseline_program_serves_where_it_is_the_only_one() {
    let tree = Tree::new();
    let launcher = tree.program("node_modules/opencode-ai/bin/opencode", LAUNCHER);
    let program = tree.platform("opencode-linux-x64-baseline");
    assert_eq!(resolve(&launcher, &HOST), program);
}

#[test]
fn a_program_that_may_not_be_executed_does_not_count() {
    let tree = Tree::new();
    let launcher = tree.program("node_modules/opencode-ai/bin/opencode", LAUNCHER);
    let program = tree.platform("opencode-linux-x64");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).expect("changed");
    assert_eq!(resolve(&launcher, &HOST), launcher);
}

#[test]
fn leaves_scripts_and_shims_of_others_alone() {
    let tree = Tree::new();
    tree.platform("opencode-linux-x64");

    let wrapper = tree.program("bin/opencode", "#!/bin/sh\nexec docker run opencode\n");
    assert_eq!(resolve(&wrapper, &HOST), wrapper);
    let own = tree.program("own/opencode", LAUNCHER);
    assert_eq!(resolve(&own, &HOST), own);
    let patched = tree.program("node_modules/opencode-ai/bin/opencode", "#!/bin/bash\n");
    assert_eq!(resolve(&patched, &HOST), patched);

    // A version manager looks at the name that it is called by.
    tree.program("bin/version-manager", PROGRAM);
    let shim = tree.link("shims/opencode", "../bin/version-manager");
    assert_eq!(resolve(&shim, &HOST), shim);
}

#[test]
fn the_host_is_one_that_packages_exist_for() {
    let packages = NpmHost::detect().packages();
    assert!(!packages.is_empty());
    assert!(packages.iter().all(|name| name.starts_with("opencode-")));
}
