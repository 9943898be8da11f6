use proptest::prelude::*;

use super::*;
use crate::fuzzing;

/// Returns every line of a stream in these chunks.
fn frame(chunks: impl IntoIterator<Item = Bytes>, line_size_max: usize) -> Vec<Line> {
    let mut framer = LineFramer::new(line_size_max);
    let mut lines = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        lines.extend(std::iter::from_fn(|| framer.next_line()));
    }
    lines.extend(framer.finish());
    assert_eq!(framer.finish(), None, "a second finish is empty");
    lines
}

/// Checks a case whole, byte by byte, and in two pieces split at every place.
fn check(stream: &str, line_size_max: usize, expected: &[Line]) {
    let stream = Bytes::copy_from_slice(stream.as_bytes());
    assert_eq!(frame([stream.clone()], line_size_max), expected, "whole");
    let bytes = (0..stream.len()).map(|at| stream.slice(at..=at));
    assert_eq!(frame(bytes, line_size_max), expected, "byte by byte");
    for at in 0..stream.len() {
        let pieces = [stream.slice(..at), stream.slice(at..)];
        assert_eq!(frame(pieces, line_size_max), expected, "split at {at}");
    }
}

fn whole(line: &'static str) -> Line {
    Line::Whole(line.into())
}

fn too_long(line: &'static str) -> Line {
    Line::TooLong { size: line.len() as u64, head: line.into() }
}

#[test]
fn lines_and_a_torn_tail() {
    check("", 9, &[]);
    check("a\n", 9, &[whole("a")]);
    check("a\nb\n\nc", 9, &[whole("a"), whole("b"), whole(""), Line::Torn("c".into())]);
}

#[test]
fn carriage_returns_belong_to_the_line_end_only_there() {
    check("a\r\n\r\nb\rc\n", 9, &[whole("a"), whole(""), whole("b\rc")]);
    check("a\r\r\n", 9, &[whole("a\r")]);
}

#[test]
fn a_line_over_the_limit_is_counted_and_the_next_one_arrives() {
    check("1234\n12345\nab\n", 4, &[whole("1234"), too_long("12345"), whole("ab")]);
    check("1234\r\n1\n", 4, &[whole("1234"), whole("1")]);
    check("12345\r\n1\n", 4, &[too_long("12345\r"), whole("1")]);
    check("1\n1234567", 4, &[whole("1"), too_long("1234567")]);
}

#[test]
fn a_line_inside_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from_static(b"first\nsecond\n");
    let lines = frame([chunk.clone()], 99);
    let Line::Whole(second) = &lines[1] else { panic!("{lines:?}") };
    assert_eq!(second.as_ptr(), chunk[6..].as_ptr());
}

#[test]
fn a_push_before_all_lines_were_taken_loses_nothing() {
    let mut framer = LineFramer::new(99);
    framer.push("a\nb".into());
    framer.push("c\nd\n".into());
    let lines: Vec<_> = std::iter::from_fn(|| framer.next_line()).collect();
    assert_eq!(lines, [whole("a"), whole("bc"), whole("d")]);
}

#[test]
fn an_endless_line_takes_no_memory() {
    let mut framer = LineFramer::new(1024);
    for _ in 0..1024 {
        framer.push(Bytes::from_static(&[b'x'; 4096]));
        assert_eq!(framer.next_line(), None);
        assert!(framer.begun.capacity() <= 8192);
    }
    framer.push("\n".into());
    assert_eq!(
        framer.next_line(),
        Some(Line::TooLong { size: 4 << 20, head: "x".repeat(64).into() })
    );
}

proptest! {
    /// Any chunking gives the lines of a naive split.
    #[test]
    fn chunking_does_not_matter(
        stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
        cuts in prop::collection::vec(0usize..200, 0..20),
        line_size_max in 1usize..60,
    ) {
        let stream = Bytes::from(stream);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| stream.slice(pair[0]..pair[1]));
        prop_assert_eq!(frame(chunks, line_size_max), fuzzing::split(&stream, line_size_max));
    }
}
