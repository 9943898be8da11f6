//! What an adapter is, and that all are the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each adapter, with the type that it has for itself.
const ADAPTERS: [(&str, &str); 2] =
    [("opencode-tokio", "TokioRuntime"), ("opencode-async-std", "AsyncStdRuntime")];

/// All that an adapter has, besides the features of the client.
const PUBLIC: [&str; 4] = [
    "pub use opencode_client::*;",
    "pub use runtime::Runtime;",
    "pub fn opencode() -> OpenCode {",
    "pub fn builder() -> Builder {",
];

/// For programs that are not async, which need no choice of runtimes: one adapter has it, behind a feature.
const FACADE: &str = "blocking";

#[test]
fn adapters_have_the_same_public_names() {
    for (adapter, runtime) in ADAPTERS {
        let root = fs::read_to_string(folder(adapter).join("src/lib.rs")).unwrap();
        // Private modules have nothing that the root does not name.
        let facade = format!("#[cfg(feature = \"{FACADE}\")]\npub mod {FACADE};\n");
        let root = root.replace(&facade, "");
        let public: Vec<_> = root.lines().filter(|line| line.starts_with("pub ")).collect();
        assert_eq!(public, PUBLIC.map(|line| line.replace("Runtime;", &format!("{runtime};"))));
        for (path, source) in sources(adapter) {
            assert!(!source.contains("macro_export"), "{} has a macro", path.display());
        }
        let source = fs::read_to_string(folder(adapter).join("src/runtime.rs")).unwrap();
        let public: Vec<_> = source.lines().filter(|line| line.contains("pub ")).collect();
        let expected = [&*format!("pub struct {runtime}(());"), "    pub fn new() -> Self {"];
        assert_eq!(public, expected, "{adapter}");
        assert!(source.contains("#[derive(Clone, Copy, Debug, Default)]\npub struct"), "{adapter}");
    }
    let [one, other] = ADAPTERS.map(|(adapter, _)| features(adapter));
    assert_eq!(one, other);
}

#[test]
fn async_std_is_known_to_one_module_alone() {
    let mut knowing = sources("opencode-async-std");
    knowing.retain(|(_, source)| code(source).contains("async_std"));
    let [(path, source)] = &knowing[..] else { panic!("{knowing:?}") };
    assert_eq!(*path, folder("opencode-async-std").join("src/runtime.rs"));
    assert!(source.lines().count() < 100, "it is not small any more");
}

#[test]
fn every_adapter_expands_the_list() {
    for (adapter, _) in ADAPTERS {
        let test = fs::read_to_string(folder(adapter).join("tests/conformance.rs")).unwrap();
        assert!(test.contains("\ntestkit::conformance!("), "{adapter}");
    }
}

fn folder(adapter: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(adapter)
}

/// The sources of a crate, with their paths.
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

/// What is left of a source without its comments.
fn code(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The features that a crate has.
fn features(adapter: &str) -> Vec<String> {
    let manifest = fs::read_to_string(folder(adapter).join("Cargo.toml")).unwrap();
    let lines = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    let features = lines.take_while(|line| !line.starts_with('[') && !line.is_empty());
    let facade = format!("{FACADE} = ");
    let shared = features.filter(|line| !line.starts_with('#') && !line.starts_with(&facade));
    shared.map(str::to_owned).collect()
}
