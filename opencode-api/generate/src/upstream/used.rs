//! Uses of OpenCode's names in the sources of the core crates.

use std::error::Error;
use std::fs;
use std::path::Path;

use super::difference::{Difference, Kind};

/// Crates whose sources are searched.
const CRATES: [&str; 3] = ["opencode-config", "opencode-proto", "opencode-client"];

/// Sources, with comments on one line: text, by path.
pub(super) struct Sources(Vec<(String, String)>);

impl Sources {
    pub(super) fn of_core() -> Result<Self, Box<dyn Error>> {
        let root = crate::crate_folder().join("..");
        let mut sources = Vec::new();
        for name in CRATES {
            read(&root, &root.join(name).join("src"), &mut sources)?;
        }
        Ok(Self(sources))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), joined(text));
        Self(files.iter().map(file).collect())
    }

    /// Returns the files that use the thing that differs.
    pub(super) fn uses(&self, difference: &Difference) -> Vec<&str> {
        let search = &difference.search;
        let words = match difference.kind {
            // The documentation of an operation names method and path, that of a type the schema.
            Kind::Operation | Kind::Schema => format!("`{search}`"),
            Kind::Event => format!("\"{}\"", search.trim_end_matches(" of /api/event")),
            Kind::Permission => format!("\"{search}\""),
            Kind::Flag => search.clone(),
        };
        let uses = self.0.iter().filter(|(_, text)| has_words(text, &words));
        uses.map(|(path, _)| path.as_str()).collect()
    }
}

/// Returns whether the text has these words, and not only as the start of a longer one.
fn has_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let next = text[at + words.len()..].chars().next();
        !next.is_some_and(|char| char.is_alphanumeric() || char == '-')
    })
}

/// Returns the text with wrapped comments on one line.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        ["/// ", "//! ", "// "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join(" ")
}

fn read(
    root: &Path,
    folder: &Path,
    sources: &mut Vec<(String, String)>,
) -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    paths.sort_by_key(fs::DirEntry::path);
    for entry in paths {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            read(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            sources.push((name, joined(&fs::read_to_string(&path)?)));
        }
    }
    Ok(())
}
