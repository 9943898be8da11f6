//! Reads the workload once, in one way, for a counting profiler:
//!
//! ```text
//! cargo build --profile bench -p opencode-benches --example once
//! valgrind --tool=callgrind --toggle-collect='once::measured*' \
//!     target/release/examples/once aggregate
//! ```

// A program takes arguments and prints.
#![allow(clippy::print_stdout)]

use std::env;
use std::hint::black_box;

use bytes::Bytes;
use memchr::memchr_iter;
use opencode_benches::{RunMode, TurnWorkload, drive_turn, turn_by_values, ways};

fn main() {
    let way = env::args().nth(1).unwrap_or_default();
    if way.starts_with("turn") {
        let turn = TurnWorkload::long();
        println!("{} bytes", turn.stream.len());
        return measured_turn(&way, &turn, &turn.chunks(64 << 10));
    }
    let workload = RunMode::generate(1, 4 << 20);
    let lines = workload.runs.iter().map(|run| run.iter().filter(|byte| **byte == b'\n').count());
    println!("{} bytes, {} lines", workload.size(), lines.sum::<usize>());
    measured(&way, &workload, &workload.chunks(64 << 10));
}

#[inline(never)]
fn measured_turn(way: &str, turn: &TurnWorkload, chunks: &[Bytes]) {
    match way {
        "turn" => drop(black_box(drive_turn(turn, chunks))),
        "turn-values" => drop(black_box(turn_by_values(chunks))),
        "turn-many" => (0..200).for_each(|_| drop(black_box(drive_turn(turn, chunks)))),
        _ => panic!("usage: once turn|turn-many|turn-values"),
    }
}

#[inline(never)]
fn measured(way: &str, workload: &RunMode, runs: &[Vec<Bytes>]) {
    let all = |way: &dyn Fn(&[Bytes]) -> usize| runs.iter().map(|run| way(run)).sum();
    let sum: usize = match way {
        "search" => all(&|run| run.iter().map(|chunk| memchr_iter(b'\n', chunk).count()).sum()),
        "frame" => all(&|run| ways::frame(run).count()),
        "decode" => all(&|run| ways::decode(ways::frame(run)).count()),
        "aggregate" => all(&|run| ways::aggregate(run).tools().len()),
        "drive" => all(&|run| ways::drive(run).answer.tools().len()),
        "values" => workload.runs.iter().map(|run| ways::values(run).tools).sum(),
        _ => panic!("usage: once search|frame|decode|aggregate|drive|values|turn|turn-values"),
    };
    black_box(sum);
}
