//! The body of the fuzz target, over the committed corpus.

// A test reads files.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use opencode_config::fuzzing;

#[test]
fn config() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/config");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!paths.is_empty(), "nothing in {folder:?}");
    paths.sort();
    for path in paths {
        let data = fs::read(path).unwrap();
        fuzzing::config(&data);
        // Every cut is a file that is still being written.
        (0..data.len().min(500)).for_each(|end| fuzzing::config(&data[..end]));
    }
}
