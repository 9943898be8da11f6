//! Checks that all adapters have the same API and the same features.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every adapter, with the only type that it defines.
const ADAPTERS: [(&str, &str); 2] =
    [("opencode-tokio", "TokioRuntime"), ("opencode-async-std", "AsyncStdRuntime")];

/// Public items of an adapter, besides the features of the client.
const PUBLIC: [&str; 4] = [
    "pub use adapter::Runtime;",
    "pub use opencode_client::*;",
    "pub fn opencode() -> OpenCode {",
    "pub fn builder() -> Builder {",
];

/// The blocking API, for programs that are not async and choose no runtime: one adapter has it,
/// behind a feature.
const FACADE: &str = "blocking";

#[test]
fn adapters_have_the_same_public_names() {
    for (adapter, runtime) in ADAPTERS {
        let root = fs::read_to_string(folder(adapter).join("src/lib.rs")).unwrap();
        // Items of private modules are public only through the root.
        let facade = format!("#[cfg(feature = \"{FACADE}\")]\npub mod {FACADE};\n");
        let root = root.replace(&facade, "");
        let public: Vec<_> = root.lines().filter(|line| line.starts_with("pub ")).collect();
        assert_eq!(public, PUBLIC.map(|line| line.replace("Runtime;", &format!("{runtime};"))));
        for (path, source) in sources(adapter) {
            assert!(!source.contains("macro_export"), "{} has a macro", path.display());
        }
        let source = fs::read_to_string(folder(adapter).join("src/adapter.rs")).unwrap();
        let public: Vec<_> = source.lines().filter(|line| line.contains("pub ")).collect();
        let expected = [&*format!("pub struct {runtime}(());"), "    pub fn new() -> Self {"];
        assert_eq!(public, expected, "{adapter}");
        assert!(source.contains("#[derive(Clone, Copy, Debug, Default)]\npub struct"), "{adapter}");
    }
    let [one, other] = ADAPTERS.map(|(adapter, _)| features(adapter));
    assert_eq!(one, other);
}

#[test]
fn only_the_adapter_module_uses_async_std() {
    let mut users = sources("opencode-async-std");
    users.retain(|(_, source)| code(source).contains("async_std"));
    let [(path, source)] = &users[..] else { panic!("{users:?}") };
    assert_eq!(*path, folder("opencode-async-std").join("src/adapter.rs"));
    assert!(source.lines().count() < 100, "{} has grown", path.display());
}

#[test]
fn every_adapter_runs_the_conformance_suite() {
    for (adapter, _) in ADAPTERS {
        let test = fs::read_to_string(folder(adapter).join("tests/conformance.rs")).unwrap();
        assert!(test.contains("\ntestkit::conformance!("), "{adapter}");
    }
}

fn folder(adapter: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(adapter)
}

/// Sources of a crate, with their paths.
fn sources(adapter: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder(adapter).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = fs::read_to_string(&path).unwrap();
                found.push((path, source));
            }
        }
    }
    assert!(found.len() > 2, "{adapter} has sources");
    found
}

/// A source without comment lines.
fn code(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Features of a crate, without the blocking API.
fn features(adapter: &str) -> Vec<String> {
    let manifest = fs::read_to_string(folder(adapter).join("Cargo.toml")).unwrap();
    let lines = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    let features = lines.take_while(|line| !line.starts_with('[') && !line.is_empty());
    let facade = format!("{FACADE} = ");
    let shared = features.filter(|line| !line.starts_with('#') && !line.starts_with(&facade));
    shared.map(str::to_owned).collect()
}
