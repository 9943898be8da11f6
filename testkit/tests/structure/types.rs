//! The types of each crate, checked: names are unique, and public types can grow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Source, Type};
use crate::{crates, folder, graph_of, load};

/// Crates whose public types are named in the code of users.
const PUBLISHED: [&str; 4] =
    ["opencode-config", "opencode-proto", "opencode-api", "opencode-client"];

/// Public types without `#[non_exhaustive]`, by the reason why a user has to see all of them.
const EXHAUSTIVE: [(&str, &[&str]); 4] = [
    (
        "a driver that does not know an action of a machine must not compile",
        &[
            "AttemptAction",
            "AttemptCause",
            "BatchAction",
            "CallScope",
            "DirectoryAction",
            "EventStream",
            "ExistingFile",
            "HubAction",
            "JobStop",
            "Pace",
            "PolicyAction",
            "ReadinessAction",
            "ReadinessCheck",
            "Repeat",
            "ResumeDecision",
            "RunAction",
            "ServeAction",
            "ServedRunAction",
            "TurnAction",
            "Signal",
        ],
    ),
    ("an ask must not be lost in a wildcard arm", &["Ask", "AskAnswer", "AskId"]),
    (
        "all cases of a format, a truth value or the operating system are known",
        &["Exit", "Json", "Line", "PromptReply", "Retention", "SseEvent"],
    ),
    (
        "the value has one number, or is constructed by the runtime of another crate",
        &["GroupNo", "JobNo", "Process", "ServerNo"],
    ),
];

#[test]
fn public_types_can_grow() {
    let allowed: BTreeSet<_> = EXHAUSTIVE.iter().flat_map(|(_, names)| *names).copied().collect();
    let mut exhaustive = BTreeMap::new();
    for name in PUBLISHED {
        let graph = graph_of(name);
        let types = graph.types().filter(|(_, found)| found.is_exhaustive());
        let types = types.filter(|(module, _)| !module.starts_with("fuzzing"));
        exhaustive.extend(types.map(|(module, Type { name: of, .. })| {
            (of.clone(), format!("{name}: {module}::{of}"))
        }));
    }
    let unnamed: Vec<_> =
        exhaustive.iter().filter(|(name, _)| !allowed.contains(&***name)).collect();
    assert!(unnamed.is_empty(), "neither `#[non_exhaustive]` nor listed here: {unnamed:#?}");
    let stale: Vec<_> = allowed.iter().filter(|name| !exhaustive.contains_key(**name)).collect();
    assert!(stale.is_empty(), "listed, but not exhaustive: {stale:?}");
}

#[test]
fn a_field_is_set_in_one_way() {
    let mut both = Vec::new();
    for name in PUBLISHED {
        let graph = graph_of(name);
        let methods: BTreeSet<_> = graph.methods().collect();
        for (module, found) in graph.types() {
            let fields = found
                .public_fields
                .iter()
                .filter(|field| methods.contains(&(found.name.clone(), format!("with_{field}"))));
            both.extend(fields.map(|field| format!("{name}: {module}::{}::{field}", found.name)));
        }
    }
    assert!(both.is_empty(), "public fields that a `with_` method sets too: {both:#?}");
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    let mut shared = Vec::new();
    for name in crates() {
        let root = folder(name);
        let mut files = sources(&root.join("src"));
        files.extend(sources(&root.join("examples")));
        assert!(files.len() > 3, "{name}: {files:?}");
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in files {
            let place = file.strip_prefix(&root).unwrap().display().to_string();
            for found in Source::parse(&fs::read_to_string(&file).unwrap()).all_type_names() {
                named.entry(found).or_default().push(place.clone());
            }
        }
        let twice = named.into_iter().filter(|(_, places)| places.len() > 1);
        shared.extend(twice.map(|(of, places)| format!("{name}: {of} in {}", places.join(", "))));
    }
    assert!(shared.is_empty(), "names of several types: {shared:#?}");
}

#[test]
fn an_enum_and_a_struct_with_a_public_field_show_all_of_themselves() {
    let graph = load(&[(
        "lib.rs",
        "pub enum Open { A } #[derive(Clone)] #[non_exhaustive] pub enum Grows { A }
         pub struct Fields { a: u8, /// Doc.
           #[serde(default)] pub b: Vec<(u8, u8)>, pub(crate) c: u8 }
         pub struct Tuple(u8, pub u8); pub struct Opaque { a: u8 } struct Hidden { pub a: u8 }",
    )]);

    let exhaustive: Vec<_> =
        graph.types().filter(|(_, found)| found.is_exhaustive()).map(|(_, found)| found).collect();
    let names: Vec<_> = exhaustive.iter().map(|found| &*found.name).collect();
    assert_eq!(names, ["Open", "Fields", "Tuple"]);
    assert_eq!(exhaustive[1].public_fields, ["b"]);
    assert_eq!(exhaustive[2].public_fields, ["1"]);
}

#[test]
fn methods_are_found_by_the_type() {
    let graph = load(&[(
        "lib.rs",
        "impl<T: Into<A>> Of<T> { pub const fn with_a(self) -> B { B { b: 1 } } fn with_b() {} }
         impl From<A> for B { fn from() {} } impl C { #[must_use] pub fn with_c() {} }",
    )]);

    let methods: Vec<_> = graph.methods().map(|(of, method)| format!("{of}::{method}")).collect();
    assert_eq!(methods, ["Of::with_a", "C::with_c"]);
}

#[test]
fn types_in_functions_and_modules_have_names_too() {
    let source = Source::parse(
        "struct One; mod two { enum Two {} } fn f() { #[derive(A)] struct Three; }
         #[cfg(test)] mod tests { struct Four; } trait Five {}",
    );

    assert_eq!(source.all_type_names(), ["One", "Three", "Five", "Two"]);
}

/// All source files below a folder, without those of unit tests.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            files.push(path);
        }
    }
    files
}
