//! The blocking API has every method of the async one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::folder;
use crate::types::sources;

/// Async methods that have another form in the blocking API, with the form.
const OTHER_FORMS: [(&str, &str); 12] = [
    ("ApiEvents::next_event", "Iterator::next"),
    ("BatchStream::next_event", "Iterator::next"),
    ("HttpStream::next_chunk", "Iterator::next"),
    ("PageStream::next_item", "Iterator::next"),
    ("RunStream::next_event", "Iterator::next"),
    ("ServerEvents::next_event", "Iterator::next"),
    ("ServerOutput::next_event", "Iterator::next"),
    ("StructuredStream::next_event", "Iterator::next"),
    ("TextStream::next_text", "Iterator::next"),
    ("TurnStream::next_event", "Iterator::next"),
    ("OpenCode::builder", "opencode_tokio::builder, then blocking::OpenCode::new"),
    ("ServerOutput::new", "blocking::OpenCode::server_output"),
];

type Methods = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_blocking_api_has_every_method_of_the_async_one() {
    let mut client = Methods::new();
    let mut waiting = BTreeSet::new();
    for path in sources(&folder("opencode-client/src")) {
        read(&fs::read_to_string(path).unwrap(), &mut client, &mut waiting);
    }
    let mut blocking = Methods::new();
    read(&source("opencode-tokio/src/blocking.rs"), &mut blocking, &mut BTreeSet::new());
    for path in sources(&folder("opencode-tokio/src/blocking")) {
        read(&fs::read_to_string(path).unwrap(), &mut blocking, &mut BTreeSet::new());
    }
    assert!(waiting.len() > 10 && blocking.len() > 10, "{waiting:?} {blocking:?}");

    let mut missing = Vec::new();
    for handle in &waiting {
        let Some(methods) = blocking.get(handle) else {
            missing.push(format!("the type {handle}"));
            continue;
        };
        for method in client[handle].difference(methods) {
            let name = format!("{handle}::{method}");
            if !OTHER_FORMS.iter().any(|(known, _)| *known == name) {
                missing.push(name);
            }
        }
    }

    assert!(missing.is_empty(), "the blocking API lacks {}", missing.join(", "));
}

#[test]
fn every_exception_is_a_method_of_the_async_api() {
    let mut client = Methods::new();
    for path in sources(&folder("opencode-client/src")) {
        read(&fs::read_to_string(path).unwrap(), &mut client, &mut BTreeSet::new());
    }
    for (name, _) in OTHER_FORMS.iter() {
        let (handle, method) = name.split_once("::").unwrap();
        assert!(client.get(handle).is_some_and(|methods| methods.contains(method)), "{name}");
    }
}

#[test]
fn methods_are_found_in_impl_blocks_and_in_forwarded_lists() {
    let text = "impl<T: X> Handle<T> {\n    pub async fn one(&self) {}\n    pub(crate) fn no() {}\n\
                }\n\nimpl Other for Handle {\n    pub fn never() {}\n}\n\nimpl Second {\n    forward! \
                {\n        \"Second\":\n        wait two() -> ();\n    }\n}\n";
    let (mut methods, mut waiting) = (Methods::new(), BTreeSet::new());
    read(text, &mut methods, &mut waiting);
    assert_eq!(methods["Handle"], BTreeSet::from(["one".to_owned()]));
    assert_eq!(methods["Second"], BTreeSet::from(["two".to_owned()]));
    assert_eq!(waiting, BTreeSet::from(["Handle".to_owned()]));
}

/// Adds the public methods of types, and the names of types with public async methods.
fn read(text: &str, methods: &mut Methods, waiting: &mut BTreeSet<String>) {
    let mut of = None;
    for line in text.lines() {
        if line.starts_with("impl") {
            of = type_of(line);
        } else if line == "}" {
            of = None;
        }
        if let Some(name) = line.strip_prefix("pub struct ") {
            let end = name.find(|char: char| !char.is_alphanumeric()).unwrap_or(name.len());
            methods.entry(name[..end].to_owned()).or_default();
        }
        let Some(of) = &of else { continue };
        let line = line.trim_start();
        let is_async = line.starts_with("pub async fn ");
        let function = line.strip_prefix("pub async fn ").or_else(|| line.strip_prefix("pub fn "));
        let forwarded = ["wait ", "get "].iter().find_map(|kind| line.strip_prefix(kind));
        let Some(rest) = function.or(forwarded) else { continue };
        let end = rest.find(['(', '<']).unwrap_or(rest.len());
        methods.entry(of.clone()).or_default().insert(rest[..end].to_owned());
        if is_async {
            waiting.insert(of.clone());
        }
    }
}

/// `Handle`, of `impl<T: X> Handle<T> {`; `None` for the implementation of a trait.
pub(crate) fn type_of(line: &str) -> Option<String> {
    if line.contains(" for ") {
        return None;
    }
    let mut rest = line.strip_prefix("impl")?;
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.find(|char| {
            depth += i32::from(char == '<') - i32::from(char == '>');
            depth == 0
        })?;
        rest = &rest[end + 1..];
    }
    let name = rest.trim_start();
    let end = name.find(|char: char| !char.is_alphanumeric()).unwrap_or(name.len());
    Some(name[..end].to_owned())
}

pub(crate) fn source(path: &str) -> String {
    fs::read_to_string(folder(path)).unwrap()
}
