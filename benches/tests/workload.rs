//! Workloads are the same everywhere, and all ways of reading them agree.

use opencode_benches::{Figures, RunMode, ways};

const CHUNK_SIZE: usize = 64 << 10;

#[test]
fn a_seed_generates_the_same_workload_every_time() {
    let workload = RunMode::generate(1, 1 << 20);
    assert_eq!(workload, RunMode::generate(1, 1 << 20));
    assert_ne!(workload, RunMode::generate(2, 1 << 20));
    // A change of the workload would make figures of different days incomparable.
    let sum = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add((*byte).into());
    assert_eq!(
        (workload.size(), workload.runs.iter().flatten().fold(0, sum)),
        (1_801_456, 11_165_702_333_890_405_115)
    );
}

#[test]
fn a_workload_has_the_documented_proportions() {
    let workload = RunMode::generate(1, 16 << 20);
    let bytes = || workload.runs.iter().flatten();
    let share = |of: fn(&u8) -> bool| {
        bytes().filter(|byte| of(byte)).count() as f64 / workload.size() as f64
    };
    let backslashes = 1.0 / share(|byte| *byte == b'\\');
    assert!((16.0..18.0).contains(&backslashes), "one in {backslashes}");
    let not_ascii = share(|byte| !byte.is_ascii());
    assert!((0.008..0.010).contains(&not_ascii), "{not_ascii}");
    let lines = bytes().filter(|byte| **byte == b'\n').count() as f64;
    let tools = figures(&workload, |chunks| Figures::of_answer(&ways::aggregate(chunks))).tools;
    let tools = tools as f64 / lines;
    assert!((0.40..0.44).contains(&tools), "{tools}");
}

#[test]
fn all_ways_of_reading_agree() {
    let workload = RunMode::generate(1, 4 << 20);
    let mut expected = Figures::default();
    for run in &workload.runs {
        expected += ways::values(run);
    }
    assert!(expected.tools > 100 && expected.text_size > 10_000 && expected.cost > 1.0);
    let aggregated = figures(&workload, |chunks| Figures::of_answer(&ways::aggregate(chunks)));
    assert_eq!(aggregated, expected);
    let driven = figures(&workload, |chunks| {
        let outcome = ways::drive(chunks);
        assert!(outcome.end.is_completed(), "{}", outcome.end);
        assert_eq!(outcome.lines.unknown + outcome.lines.malformed + outcome.lines.diagnostics, 0);
        Figures::of_answer(&outcome.answer)
    });
    assert_eq!(driven, expected);
}

fn figures(workload: &RunMode, way: impl Fn(&[bytes::Bytes]) -> Figures) -> Figures {
    let mut all = Figures::default();
    for chunks in workload.chunks(CHUNK_SIZE) {
        all += way(&chunks);
    }
    all
}
