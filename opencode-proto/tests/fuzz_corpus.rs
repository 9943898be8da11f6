//! What the fuzz targets run, over their committed corpora and over the recordings.

// A test reads its inputs and needs an `Instant` to start from.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use opencode_proto::fuzzing;

#[test]
fn lines() {
    for data in corpus("lines").chain(recordings()) {
        fuzzing::lines(&data);
    }
}

#[test]
fn run_events() {
    for data in corpus("run_events").chain(recordings()) {
        fuzzing::run_events(&data);
    }
}

#[test]
fn run_machine() {
    for data in corpus("run_machine").chain(recordings().map(|stdout| script(&stdout))) {
        fuzzing::run_machine(&data, Instant::now());
    }
}

#[test]
fn sse() {
    for data in
        corpus("sse").chain(streams().map(|stream| [&[255, 2, 64, 9], &stream[..]].concat()))
    {
        fuzzing::sse(&data);
    }
}

#[test]
fn server_events() {
    for data in corpus("server_events").chain(streams()) {
        fuzzing::server_events(&data);
    }
}

#[test]
fn turn_machine() {
    for data in corpus("turn_machine").chain(streams()) {
        fuzzing::turn_machine(&data, Instant::now());
    }
}

#[test]
fn batch_machine() {
    for data in corpus("batch_machine").chain(streams()) {
        fuzzing::batch_machine(&data, Instant::now());
    }
}

fn corpus(target: &str) -> impl Iterator<Item = Vec<u8>> {
    files(&format!("../fuzz/corpus/{target}"), "")
}

fn recordings() -> impl Iterator<Item = Vec<u8>> {
    files("tests/corpus/1.18.33/run", ".jsonl")
}

fn streams() -> impl Iterator<Item = Vec<u8>> {
    files("tests/corpus/1.18.33/server", ".sse")
}

/// The files of a folder that must hold some.
fn files(folder: &str, suffix: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    assert!(!paths.is_empty(), "nothing in {folder:?}");
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file can be read"))
}

/// A run that prints this and exits, in the bytes of [`fuzzing::run_machine`].
fn script(stdout: &[u8]) -> Vec<u8> {
    let [print, end_stdout, end_stderr, exit] = [0, 2, 5, 7];
    let mut script = vec![0];
    for chunk in stdout.chunks(255) {
        script.extend([print, chunk.len() as u8]);
        script.extend(chunk);
    }
    script.extend([end_stdout, end_stderr, exit, 0]);
    script
}
