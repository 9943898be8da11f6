//! Many seeds on all cores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{FailedSeed, SeedResult, play};

/// Counts and failures of a range of seeds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SoakReport {
    /// Number of occurrences in all seeds together, by kind.
    pub counts: BTreeMap<String, u64>,
    /// Number of steps of all seeds together.
    pub steps: u64,
    /// The broken promises, by seed.
    pub failures: BTreeMap<u64, String>,
}

impl SoakReport {
    fn add(&mut self, played: Result<SeedResult, Box<FailedSeed>>) {
        match played {
            Ok(result) => {
                self.steps += u64::try_from(result.steps).unwrap_or(0);
                for (kind, count) in result.counts {
                    *self.counts.entry(kind).or_default() += count;
                }
            }
            Err(failed) => drop(self.failures.insert(failed.seed, failed.panic)),
        }
    }
}

/// Plays a range of seeds on as many threads as there are cores. `watch` is called after every
/// seed, by the thread that played the seed.
pub fn soak(
    seeds: Range<u64>,
    watch: impl Fn(&Result<SeedResult, Box<FailedSeed>>) + Sync,
) -> SoakReport {
    let next = AtomicU64::new(seeds.start);
    let report = Mutex::new(SoakReport::default());
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let played = play(seed);
                    watch(&played);
                    report.lock().unwrap_or_else(PoisonError::into_inner).add(played);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}
