//! Examples in the documentation, counted: the pages that a stranger opens first have one.

use std::collections::BTreeSet;
use std::fs;

use crate::types::sources;
use crate::{LIBRARIES, folder};

/// The least number of compiled examples in all published crates.
const EXAMPLES_MIN: usize = 150;

/// Machines, with the loop of a driver on the page.
const MACHINES: [&str; 11] = [
    "Batch",
    "Hub",
    "JobAttempt",
    "PolicyJudge",
    "Readiness",
    "Retry",
    "Run",
    "Serve",
    "ServedRun",
    "Session",
    "Turn",
];

/// Handles, streams, requests and settings of the adapters.
const HANDLES: [&str; 31] = [
    "ApiEvents",
    "AskToken",
    "AttachRequest",
    "BatchRequest",
    "BatchStream",
    "Builder",
    "CallOptions",
    "CancelHandle",
    "CommandRequest",
    "CreateSession",
    "Deadlines",
    "EventLogConfig",
    "HttpLimits",
    "HttpReply",
    "HttpRequest",
    "HttpStream",
    "HubSettings",
    "Job",
    "OpenCode",
    "Policy",
    "Prompt",
    "RunReport",
    "RunRequest",
    "RunSettings",
    "RunStream",
    "ServeRequest",
    "ServeSettings",
    "Server",
    "ServerEvents",
    "TurnRequest",
    "TurnStream",
];

#[test]
fn examples_are_many_and_on_the_pages_that_matter() {
    let (mut count, mut shown) = (0, BTreeSet::new());
    for name in LIBRARIES {
        for file in sources(&folder(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            count += examples(&text);
            shown.extend(types_with_example(&text));
        }
    }
    println!("{count} examples");
    assert!(count >= EXAMPLES_MIN, "{count} examples");
    let missing: Vec<_> =
        MACHINES.iter().chain(&HANDLES).filter(|name| !shown.contains(**name)).collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

#[test]
fn an_example_belongs_to_the_item_below() {
    let text = "/// Doc.\n///\n/// ```\n/// f();\n/// ```\n#[derive(Debug)]\npub struct Shown;\n\n\
                /// ```text\n/// none\n/// ```\npub struct Bare;\n";

    assert_eq!(examples(text), 1);
    assert_eq!(types_with_example(text), ["Shown"]);
}

/// Returns the number of code blocks that rustdoc compiles.
fn examples(text: &str) -> usize {
    let (mut count, mut is_inside) = (0, false);
    for line in text.lines().filter_map(doc) {
        if let Some(kind) = line.strip_prefix("```") {
            count += usize::from(!is_inside && is_compiled(kind));
            is_inside = !is_inside;
        }
    }
    count
}

/// Returns the names of public types whose documentation has a compiled example.
fn types_with_example(text: &str) -> Vec<String> {
    let (mut names, mut comment) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.starts_with("///") {
            comment.push_str(line);
            comment.push('\n');
            continue;
        }
        let mut words = line.split_whitespace();
        let is_type = words.next() == Some("pub")
            && matches!(words.next(), Some("enum" | "struct" | "trait"));
        if let Some(name) = words.next().filter(|_| is_type && examples(&comment) > 0) {
            let end = name.find(|next: char| !next.is_alphanumeric()).unwrap_or(name.len());
            names.push(name[..end].to_owned());
        }
        if is_type || line.is_empty() {
            comment.clear();
        }
    }
    names
}

fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    Some(text.trim_start())
}

fn is_compiled(kind: &str) -> bool {
    matches!(kind, "" | "no_run" | "should_panic" | "compile_fail")
}
