//! The table of `docs/compatibility.md`, with a column for each version.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use opencode_tokio::process::{Version, parse_version};

use crate::cell::{Cell, Limit};
use crate::world::Scenario;
use crate::{runs, sessions};

const BEGIN: &str = "<!-- written by the example `releases` -->\n";
const END: &str = "<!-- end -->\n";

/// Cells by version and scenario.
pub(crate) struct Table {
    page: PathBuf,
    columns: BTreeMap<VersionKey, BTreeMap<String, String>>,
}

/// A version in the order of the table, with the text.
type VersionKey = (Version, String);

fn key(version: &str) -> VersionKey {
    (parse_version(version).unwrap_or_else(|| panic!("{version:?}")), version.to_owned())
}

impl Table {
    /// Reads the table as it was written last.
    pub(crate) fn read(page: PathBuf) -> Self {
        let text = fs::read_to_string(&page).expect("the page exists");
        let (_, rest) = text.split_once(BEGIN).expect("the page has a table");
        let (table, _) = rest.split_once(END).expect("the table ends");
        let mut rows = table.lines().filter(|line| line.starts_with('|')).map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        });
        let head = rows.next().unwrap_or_default();
        let mut columns = BTreeMap::new();
        for row in rows.skip(1) {
            for (version, cell) in head.iter().zip(&row).skip(1) {
                let column: &mut BTreeMap<_, _> = columns.entry(key(version)).or_default();
                column.insert(row[0].trim_matches('`').to_owned(), cell.clone());
            }
        }
        Self { page, columns }
    }

    pub(crate) fn add(&mut self, version: &str, cells: &[(&'static str, Cell)]) {
        let column = cells.iter().map(|(name, cell)| {
            let text =
                if let Cell::Failed(_) = cell { "FAILED".to_owned() } else { cell.to_string() };
            ((*name).to_owned(), text)
        });
        self.columns.entry(key(version)).or_default().extend(column);
    }

    pub(crate) fn write(&self) {
        let text = fs::read_to_string(&self.page).expect("the page exists");
        let (before, rest) = text.split_once(BEGIN).expect("the page has a table");
        let (_, after) = rest.split_once(END).expect("the table ends");
        fs::write(&self.page, format!("{before}{BEGIN}{}{END}{after}", self.to_markdown()))
            .unwrap();
    }

    fn to_markdown(&self) -> String {
        let mut text = "\n| scenario |".to_owned();
        for (_, version) in self.columns.keys() {
            write!(text, " {version} |").unwrap();
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(self.columns.len()));
        let scenarios = runs::SCENARIOS.iter().chain(sessions::SCENARIOS);
        for name in scenarios.map(|Scenario { name, .. }| *name).chain(["stop"]) {
            write!(text, "\n| `{name}` |").unwrap();
            for column in self.columns.values() {
                write!(text, " {} |", column.get(name).map_or("", String::as_str)).unwrap();
            }
        }
        text.push_str("\n\n");
        for limit in Limit::ALL {
            writeln!(text, "- **{}**: {}", limit.sign(), limit.text()).unwrap();
        }
        text.push('\n');
        text
    }
}
