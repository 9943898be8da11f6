//! The layers of ARCHITECTURE.md, checked.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Dependencies that each crate may have, besides those of the dependencies.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("opencode-config", &["bytes", "jsonc-parser", "serde", "serde_json", "thiserror"]),
    (
        "opencode-proto",
        &[
            "base64",
            "bytes",
            "http",
            "memchr",
            "opencode-config",
            "percent-encoding",
            "serde",
            "serde_json",
            "thiserror",
        ],
    ),
    (
        "opencode-api",
        &["bytes", "http", "opencode-config", "opencode-proto", "serde", "serde_json"],
    ),
    (
        "opencode-client",
        &[
            "base64",
            "bytes",
            "futures-channel",
            "futures-core",
            "futures-util",
            "getrandom",
            "http",
            "http-body-util",
            "hyper",
            "opencode-config",
            "opencode-proto",
            "percent-encoding",
            "regex-lite",
            "rustix",
            "rustls",
            "rustls-graviola",
            "rustls-native-certs",
            "schemars",
            "serde",
            "serde_json",
            "serde_path_to_error",
            "tempfile",
            "thiserror",
            "tracing",
        ],
    ),
    ("opencode-tokio", &["bytes", "hyper-util", "opencode-client", "tokio"]),
    (
        "opencode-async-std",
        &[
            "async-io",
            "async-process",
            "async-std",
            "bytes",
            "futures-io",
            "opencode-client",
            "smol-hyper",
        ],
    ),
];

/// Crates that no crate below the adapters may depend on.
const RUNTIMES: [&str; 8] = [
    "async-executor",
    "async-io",
    "async-std",
    "futures-executor",
    "hyper-util",
    "mio",
    "reqwest",
    "smol",
];

#[test]
fn crates_use_only_what_their_layer_may() {
    let graph = Graph::load();
    for (name, may_use) in MAY_USE {
        let used = graph.direct(name);
        let allowed: BTreeSet<_> = may_use.iter().map(|name| (*name).to_owned()).collect();
        let extra: Vec<_> = used.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} uses {extra:?}: see ARCHITECTURE.md, \"Layers\"");
    }
}

#[test]
fn no_runtime_is_found_below_the_adapters() {
    for name in ["opencode-config", "opencode-proto", "opencode-api", "opencode-client"] {
        let packages = packages(name);
        assert!(packages.contains_key("serde_json"), "{name} is built from nothing");
        for runtime in RUNTIMES {
            assert!(!packages.contains_key(runtime), "{name} reaches {runtime}");
        }
    }
    for name in ["opencode-config", "opencode-proto", "opencode-api"] {
        assert!(!packages(name).contains_key("tokio"), "{name} reaches tokio");
    }
    let has = |adapter, name| packages(adapter).contains_key(name);
    assert!(has("opencode-tokio", "mio") && !has("opencode-tokio", "async-std"));
    assert!(has("opencode-async-std", "async-std") && !has("opencode-async-std", "mio"));
}

/// hyper takes channels from tokio, which need no runtime. That is all of tokio there is below
/// the adapters.
#[test]
fn of_tokio_hyper_alone_has_the_channels() {
    let graph = Graph::load();
    // In a browser, async-std has another part of tokio.
    let here: &[&str] = &[];
    let anywhere = ["--target", "all"];
    for (name, platform) in [("opencode-client", &anywhere[..]), ("opencode-async-std", here)] {
        let packages = packages_on(name, platform);
        // `default` is empty.
        assert_eq!(Vec::from_iter(&packages["tokio"]), ["default", "sync"], "{name}");
        let users = packages.keys().filter(|name| graph.direct(name).contains("tokio"));
        assert_eq!(Vec::from_iter(users), ["hyper"], "{name}");
    }
}

/// Cargo enables a feature for the whole program, so these would change the JSON of a user's own
/// code: `arbitrary_precision`, `float_roundtrip`, `preserve_order`, `unbounded_depth`.
#[test]
fn no_feature_changes_the_json_of_a_program() {
    let harmless = ["alloc", "default", "raw_value", "std"].map(str::to_owned);
    for name in ["opencode-tokio", "opencode-async-std"] {
        let packages = packages_on(name, &["--target", "all", "--all-features"]);
        let enabled = packages["serde_json"].iter();
        let others: Vec<_> = enabled.filter(|feature| !harmless.contains(feature)).collect();
        assert!(others.is_empty(), "{name} enables {others:?} of serde_json");
        assert!(packages["serde_json"].contains("raw_value"), "{name}: features are listed");
    }
}

/// Ways by which a crate can reach the world around it, or depend on chance.
const FORBIDDEN: [&str; 24] = [
    "collections::HashMap",
    "env::current_dir",
    "env::var",
    "fs::File",
    "fs::OpenOptions",
    "fs::copy",
    "fs::metadata",
    "fs::read_link",
    "fs::rename",
    "fs::symlink_metadata",
    "hash::RandomState",
    "io::stdin",
    "io::stdout",
    "net::TcpStream",
    "path::Path::canonicalize",
    "path::Path::metadata",
    "path::Path::symlink_metadata",
    "path::Path::try_exists",
    "path::absolute",
    "process::Command",
    "sync::Mutex",
    "thread::spawn",
    "time::Instant::now",
    "time::SystemTime::now",
];

#[test]
fn the_pure_crates_keep_their_prohibitions() {
    for name in ["opencode-config", "opencode-proto", "opencode-api"] {
        let folder = root().join(name);
        let rules = fs::read_to_string(folder.join("clippy.toml")).unwrap();
        for rule in FORBIDDEN {
            assert!(rules.contains(&format!("\"std::{rule}\"")), "{name} does not forbid {rule}");
        }
        let mut files = 0;
        for path in sources(&folder.join("src")) {
            let source = fs::read_to_string(&path).unwrap();
            let lifts = without_tests(&source).contains("clippy::disallowed");
            assert!(is_test(&path) || !lifts, "{} lifts the prohibition", path.display());
            files += 1;
        }
        assert!(files > 5, "{name} has sources");
    }
}

/// Files of the client that do without the runtime: the defaults, processes that end in real time,
/// and a drop where no runtime may be left.
const CLIENT_EXCEPTIONS: [&str; 3] =
    ["process/guardian.rs", "process/process_tree/clock.rs", "runtime.rs"];

#[test]
fn the_client_takes_clock_and_chance_from_its_runtime() {
    let folder = root().join("opencode-client");
    let rules = fs::read_to_string(folder.join("clippy.toml")).unwrap();
    for rule in ["Instant::now", "SystemTime::now", "thread::sleep", "thread::spawn", "RandomState"]
    {
        assert!(rules.contains(rule), "opencode-client/clippy.toml does not forbid {rule}");
    }
    let mut exceptions = BTreeSet::new();
    for path in sources(&folder.join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        if !is_test(&path) && without_tests(&source).contains("clippy::disallowed") {
            let path = path.strip_prefix(folder.join("src")).unwrap();
            exceptions.insert(path.to_str().unwrap().replace('\\', "/"));
        }
    }
    assert_eq!(exceptions, CLIENT_EXCEPTIONS.map(str::to_owned).into());
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for member in fs::read_dir(root()).unwrap() {
        let manifest = member.unwrap().path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        if text.contains("[package]") && !text.contains("[workspace]") {
            assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
        }
    }
}

/// Packages that a program of `package` alone is built from, on any platform, with the features of
/// each.
fn packages(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    packages_on(package, &["--target", "all"])
}

fn packages_on(package: &str, platform: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    // Not from the graph of the workspace: there, everybody's features are everybody's.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(platform)
        .args(["--format", "{p}|{f}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (package, features) = line.split_once('|').unwrap();
        let (name, _version) = package.split_once(' ').unwrap();
        // Packages printed before are marked with a star.
        let features = features.trim_end_matches(" (*)").split(',').map(str::to_owned);
        packages.entry(name.to_owned()).or_default().extend(features);
    }
    packages
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The source up to the tests, which stand at the end of a file.
fn without_tests(source: &str) -> &str {
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(all(test, unix))]\nmod tests {"];
    let end = tests.iter().filter_map(|start| source.find(start)).min();
    &source[..end.unwrap_or(source.len())]
}

fn is_test(path: &Path) -> bool {
    ["tests.rs", "fixture.rs"].iter().any(|name| path.ends_with(name))
        || path.components().any(|part| part.as_os_str() == "tests")
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Who uses whom in a program, as cargo resolved it: not for tests, not for building.
struct Graph {
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let name_of: BTreeMap<&str, &str> = list(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let used = list(&node["deps"])
                .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null()));
            let names = used.map(|dep| name_of[text(&dep["pkg"])].to_owned());
            uses.entry(name_of[text(&node["id"])].to_owned()).or_default().extend(names);
        }
        Self { uses }
    }

    fn direct(&self, name: &str) -> BTreeSet<String> {
        self.uses[name].clone()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
