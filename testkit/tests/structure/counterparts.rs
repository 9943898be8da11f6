//! The table of other clients' methods names methods that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::blocking::source;
use crate::types::sources;
use crate::{LIBRARIES, folder};

/// Names of public items, and of what types have: methods and variants.
#[derive(Default)]
struct Items {
    names: BTreeSet<String>,
    members: BTreeMap<String, BTreeSet<String>>,
}

#[test]
fn every_counterpart_exists() {
    let items = Items::read();
    let short = short_methods();
    let table = source("docs/counterparts.md");
    let (mut count, mut missing) = (0, Vec::new());
    for row in rows(&table) {
        for name in code(row.1) {
            count += 1;
            let is_short = short.contains(name);
            if !is_short && !items.has(name) {
                missing.push(format!("{} -> {name}", row.0));
            }
        }
        assert!(!row.1.is_empty(), "{} has neither a counterpart nor a reason", row.0);
    }
    println!("{count} counterparts");
    assert!(count > 300, "{count}");
    assert!(missing.is_empty(), "no such items:\n{}", missing.join("\n"));
}

#[test]
fn every_operation_is_in_the_table() {
    let table = source("docs/counterparts.md");
    let listed: BTreeSet<&str> = rows(&table).flat_map(|(theirs, _)| code(theirs)).collect();
    let document = source("opencode-api/spec/1.18.33.json");
    let ids = document.split("\"operationId\":\"").skip(1);
    let ids: BTreeSet<&str> = ids.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids.len(), 188);
    let missing: Vec<_> = ids.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Rows of all tables: the name there, and the counterpart.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let pairs = rows.filter_map(|row| row.split_once(" | "));
    pairs.filter(|(theirs, ours)| *ours != "here" && !theirs.starts_with("---"))
}

/// Names in backticks, but for code that is no name of an item.
fn code(text: &str) -> Vec<&str> {
    let names = text.split('`').skip(1).step_by(2);
    names.filter(|name| !["opencode", "tracing", "OPENCODE_LOG=debug"].contains(name)).collect()
}

/// `vcs().diff` and the others, from the table of the crate.
fn short_methods() -> BTreeSet<String> {
    let contract = source("opencode-api/src/contract.rs");
    let start = contract.find("pub const METHODS").unwrap();
    let rows = contract[start..].lines().skip(1).take_while(|line| *line != "];");
    let method = |row: &str| Some(row.trim().strip_suffix("\"),")?.rsplit('"').next()?.to_owned());
    let methods: BTreeSet<String> = rows.filter_map(method).collect();
    assert!(methods.len() > 100, "{methods:?}");
    methods
}

impl Items {
    fn read() -> Self {
        let mut items = Self::default();
        for name in LIBRARIES {
            for path in sources(&folder(name).join("src")) {
                items.add(&fs::read_to_string(path).unwrap());
            }
        }
        assert!(folder("docs").is_dir());
        items
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once("::") {
            Some((of, member)) => {
                self.members.get(of).is_some_and(|members| members.contains(member))
            }
            // `Result` is of the standard library.
            None => name == "Result" || self.names.contains(name),
        }
    }

    fn add(&mut self, text: &str) {
        let mut of: Option<String> = None;
        let mut is_enum = false;
        for line in text.lines() {
            if let Some(name) = after(line, &["pub struct ", "pub trait ", "pub type "]) {
                self.names.insert(name);
            }
            if let Some(name) = after(line, &["pub enum "]) {
                self.names.insert(name.clone());
                (of, is_enum) = (Some(name), true);
            } else if let Some(name) = implemented(line) {
                (of, is_enum) = (Some(name), false);
            } else if line == "}" {
                of = None;
            }
            let Some(of) = &of else { continue };
            let member = match is_enum {
                true => after(line, &["    "]).filter(|name| name.starts_with(char::is_uppercase)),
                false => after(
                    line,
                    &[
                        "    pub fn ",
                        "    pub async fn ",
                        "    pub const fn ",
                        "        wait ",
                        "        get ",
                    ],
                ),
            };
            if let Some(member) = member {
                self.members.entry(of.clone()).or_default().insert(member);
            }
        }
    }
}

/// Returns the name behind one of these beginnings.
fn after(line: &str, beginnings: &[&str]) -> Option<String> {
    let rest = beginnings.iter().find_map(|beginning| line.strip_prefix(beginning))?;
    let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
    (end > 0).then(|| rest[..end].to_owned())
}

/// `Handle`, of `impl<T> Handle<T> {`.
fn implemented(line: &str) -> Option<String> {
    if !line.starts_with("impl") || line.contains(" for ") {
        return None;
    }
    super::blocking::type_of(line)
}
