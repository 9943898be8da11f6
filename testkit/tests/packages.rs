//! Packages that can be published: complete manifests, known licences, an index of examples.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

const PUBLISHED: [&str; 6] = [
    "opencode-api",
    "opencode-async-std",
    "opencode-client",
    "opencode-config",
    "opencode-proto",
    "opencode-tokio",
];

#[test]
fn all_other_crates_are_private() {
    let workspace = Workspace::load();
    let published = workspace.members().filter(|package| package["publish"].is_null());
    assert_eq!(Vec::from_iter(published.map(|package| text(&package["name"]))), PUBLISHED);
}

#[test]
fn a_package_says_what_a_registry_shows() {
    let workspace = Workspace::load();
    for name in PUBLISHED {
        let package = workspace.member(name);
        assert_eq!(text(&package["license"]), "MIT OR Apache-2.0", "{name}");
        assert_eq!(text(&package["readme"]), "README.md", "{name}");
        assert_eq!(text(&package["documentation"]), format!("https://docs.rs/{name}"));
        for field in ["description", "repository", "rust_version"] {
            assert!(!text(&package[field]).is_empty(), "{name} has no {field}");
        }
        // A registry refuses more than five of each.
        for field in ["keywords", "categories"] {
            assert!((1..=5).contains(&list(&package[field]).count()), "{name}: {field}");
        }
        let docs = &package["metadata"]["docs"]["rs"];
        assert_eq!(docs["all-features"], true, "{name}");
        assert_eq!(docs["rustdoc-args"], serde_json::json!(["--cfg", "docsrs"]), "{name}");
    }
}

#[test]
fn a_package_holds_its_licences_a_page_and_a_changelog() {
    let workspace = Workspace::load();
    for name in PUBLISHED {
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            assert_eq!(read(name, licence), read(".", licence), "{name}");
        }
        assert!(read(name, "README.md").starts_with(&format!("# {name}\n")), "{name}");
        let version = format!("\n## [{}] - ", text(&workspace.member(name)["version"]));
        assert!(read(name, "CHANGELOG.md").contains(&version), "{name}: no entry{version}");
        // Badges of features, for the arguments above.
        let root = read(name, "src/lib.rs");
        assert!(root.contains("\n#![cfg_attr(docsrs, feature(doc_cfg))]\n"), "{name}");
        assert!(root.contains("\n#[doc = include_str!(\"../README.md\")]\n"), "{name}");
    }
}

/// Packaging drops a development dependency without a version, and refuses one that is unpublished.
#[test]
fn a_package_depends_on_published_crates_alone() {
    let workspace = Workspace::load();
    for name in PUBLISHED {
        for dependency in list(&workspace.member(name)["dependencies"]) {
            let used = text(&dependency["name"]);
            let is_packaged = text(&dependency["req"]) != "*";
            let is_ours = !dependency["path"].is_null();
            assert!(is_packaged || dependency["kind"] == "dev", "{name} needs {used} by path");
            assert!(!is_packaged || !is_ours || PUBLISHED.contains(&used), "{name} needs {used}");
        }
    }
}

#[test]
fn dependencies_have_licences_that_deny_toml_allows() {
    let rules = read(".", "deny.toml");
    let (_, rest) = rules.split_once("[licenses]\nallow = [").unwrap();
    let allowed: BTreeSet<_> =
        rest.split_once(']').unwrap().0.split('"').skip(1).step_by(2).collect();
    let workspace = Workspace::load();
    for package in list(&workspace.metadata["packages"]) {
        let name = text(&package["name"]);
        let licence = text(&package["license"]);
        assert!(is_allowed(licence, &allowed), "{name}: {licence}");
        // A member has no source; everything else comes from the registry.
        let is_member = package["source"].is_null();
        assert!(is_member || text(&package["source"]).starts_with("registry+"), "{name}");
    }
}

#[test]
fn dependencies_come_in_one_version_unless_deny_toml_says_why() {
    let rules = read(".", "deny.toml");
    // On this platform; cargo-deny looks at all of them.
    let arguments = ["tree", "--locked", "--workspace", "--duplicates", "--edges", "no-dev"];
    for line in cargo(&[&arguments[..], &["--prefix", "none", "--depth", "0"]].concat()).lines() {
        let name = line.split(' ').next().unwrap();
        let is_known = rules.contains(&format!("crate = \"{name}@"));
        assert!(name.is_empty() || is_known, "{line}");
    }
}

#[test]
fn every_combination_of_features_is_checked() {
    let script = read(".", ".ci/run");
    let workspace = Workspace::load();
    for name in PUBLISHED {
        let features = workspace.member(name)["features"].as_object().unwrap();
        let mut sets = vec![Vec::new()];
        for feature in features.keys().filter(|feature| *feature != "default") {
            let with = sets.iter().map(|set| [&set[..], &[feature.as_str()]].concat());
            sets.extend(with.collect::<Vec<_>>());
        }
        for set in sets {
            let line = format!("    lint {name} '{}'\n", set.join(","));
            assert!(script.contains(&line), ".ci/run lacks{line}");
        }
    }
}

#[test]
fn the_index_of_examples_names_each_of_them() {
    let workspace = Workspace::load();
    for name in PUBLISHED {
        let targets = list(&workspace.member(name)["targets"]);
        let examples = targets.filter(|target| list(&target["kind"]).any(|kind| kind == "example"));
        let expected: BTreeSet<_> = examples.map(|target| text(&target["name"])).collect();
        if expected.is_empty() {
            continue;
        }
        let index = read(name, "examples/README.md");
        let rows = index.lines().filter_map(|line| line.strip_prefix("| [`"));
        let mut listed = BTreeSet::new();
        for row in rows {
            let (example, rest) = row.split_once("`](").unwrap();
            let (path, rest) = rest.split_once(") | ").unwrap();
            assert!(root().join(name).join("examples").join(path).is_file(), "{name}: {path}");
            let command = format!("-p {name} ");
            assert!(rest.contains(&command), "{name}: {example} has no command");
            assert!(rest.contains(&format!("--example {example}")), "{name}: {example}");
            listed.insert(example);
        }
        assert_eq!(listed, expected, "{name}/examples/README.md");
    }
}

/// Whether one alternative of a licence expression, such as `(MIT OR Zlib) AND Unicode-3.0`, is
/// allowed in full. `AND` binds tighter than `OR`, and older manifests write `/` for `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.trim();
    let split = |separators: &[&str]| {
        let mut depth = 0_usize;
        expression.char_indices().find_map(|(at, char)| {
            match char {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            let rest = &expression[at..];
            let separator = separators.iter().find(|separator| rest.starts_with(**separator))?;
            (depth == 0).then(|| (&expression[..at], &rest[separator.len()..]))
        })
    };
    if let Some((one, other)) = split(&[" OR ", "/"]) {
        return is_allowed(one, allowed) || is_allowed(other, allowed);
    }
    if let Some((one, other)) = split(&[" AND "]) {
        return is_allowed(one, allowed) && is_allowed(other, allowed);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_allowed(inner, allowed),
        None => allowed.contains(expression),
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "Zlib"]);
    for expression in ["MIT", "GPL-3.0/MIT", "GPL-3.0 OR (MIT AND Zlib)", "(MIT OR X) AND Zlib"] {
        assert!(is_allowed(expression, &allowed), "{expression}");
    }
    for expression in ["", "X", "MIT AND X", "X OR MIT AND Y", "(MIT OR X) AND Y"] {
        assert!(!is_allowed(expression, &allowed), "{expression}");
    }
}

/// Output of `cargo metadata` for the workspace.
struct Workspace {
    metadata: Value,
}

impl Workspace {
    fn load() -> Self {
        let metadata = cargo(&["metadata", "--format-version", "1", "--locked", "--all-features"]);
        Self { metadata: serde_json::from_str(&metadata).unwrap() }
    }

    /// By name.
    fn members(&self) -> impl Iterator<Item = &Value> {
        let packages = list(&self.metadata["packages"]);
        let mut members: Vec<_> = packages.filter(|package| package["source"].is_null()).collect();
        members.sort_by_key(|package| text(&package["name"]));
        members.into_iter()
    }

    fn member(&self, name: &str) -> &Value {
        self.members().find(|package| package["name"] == name).unwrap()
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(folder: &str, file: &str) -> String {
    let path = root().join(folder).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
