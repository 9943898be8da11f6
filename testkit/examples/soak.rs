//! Plays a range of seeds on all cores: see `testkit::scenario`.
//!
//! ```sh
//! OPENCODE_WORLD_SEEDS=1000000..2000000 cargo run --release -p testkit --example soak
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("worlds need Unix");
}

#[cfg(unix)]
mod unix {
    use std::env;
    use std::ops::Range;
    use std::panic;
    use std::process::ExitCode;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use testkit::scenario::{play, soak};

    /// Number of seeds between two lines of progress.
    const PROGRESS: u64 = 10_000;

    pub(crate) fn main() -> ExitCode {
        let seeds = env::var("OPENCODE_WORLD_SEEDS").ok();
        match seeds.as_deref().and_then(parse) {
            Some(seeds) if seeds.end - seeds.start == 1 => play_one(seeds.start),
            Some(seeds) => play_all(seeds),
            None => {
                eprintln!("OPENCODE_WORLD_SEEDS has to be a seed or a range such as 0..100000");
                ExitCode::from(2)
            }
        }
    }

    fn parse(text: &str) -> Option<Range<u64>> {
        let (first, end) = match text.split_once("..") {
            Some((first, end)) => (first.parse().ok()?, end.parse().ok()?),
            None => {
                let seed = text.parse().ok()?;
                (seed, seed + 1)
            }
        };
        (first < end).then_some(first..end)
    }

    /// Prints the counts of a seed, or the trace.
    fn play_one(seed: u64) -> ExitCode {
        match play(seed) {
            Ok(result) => {
                println!("seed {seed} passes in {} steps: {:#?}", result.steps, result.counts);
                ExitCode::SUCCESS
            }
            Err(failed) => {
                println!("{failed}");
                ExitCode::FAILURE
            }
        }
    }

    fn play_all(seeds: Range<u64>) -> ExitCode {
        // Failed seeds are printed below, each in one line.
        panic::set_hook(Box::new(|_| {}));
        let begun = Instant::now();
        let done = AtomicU64::new(0);
        let speed = |done: u64| {
            let tenths = u128::from(done) * 10_000 / begun.elapsed().as_millis().max(1);
            format!("{}.{} seeds per second", tenths / 10, tenths % 10)
        };
        let count = seeds.end - seeds.start;
        let report = soak(seeds, |played| {
            if let Err(failed) = played {
                println!("seed {}: {}", failed.seed, failed.panic);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS) {
                println!("{done} of {count} seeds, {}", speed(done));
            }
        });
        for (kind, count) in &report.counts {
            println!("{count:>12} {kind}");
        }
        let failures = report.failures.len();
        println!("{failures} of {count} seeds fail, {}, {} steps", speed(count), report.steps);
        for (seed, panic) in &report.failures {
            println!("seed {seed}: {}", panic.lines().next().unwrap_or_default());
        }
        if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
