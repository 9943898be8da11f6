//! Resources of all processes below this one, without the model.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};
use rustix::time::{ClockId, clock_gettime};

const INTERVAL: Duration = Duration::from_millis(100);

/// A measurement from start to stop.
pub(crate) struct Meter {
    begun: Instant,
    before: Own,
    stop: Sender<()>,
    sampler: JoinHandle<Sampled>,
}

pub(crate) struct Reading {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processor time of all processes that have ended.
    pub(crate) cpu: f64,
    /// Largest sum of resident memory, in MB; shared memory counts for every process.
    pub(crate) rss: f64,
    /// Largest sum of proportional memory, in MB; shared memory counts once.
    pub(crate) pss: f64,
    /// Seconds of processor time of this program.
    pub(crate) own_cpu: f64,
    /// Growth of the memory of this program, in MB.
    pub(crate) own_rss: f64,
}

/// Samples of all processes.
#[derive(Default)]
struct Sampled {
    rss: f64,
    pss: f64,
    /// Seconds of processor time of the sampling itself.
    cpu: f64,
}

/// Resources of this process.
struct Own {
    cpu: f64,
    children_cpu: f64,
    rss: f64,
}

impl Meter {
    pub(crate) fn start(apart: u32) -> Self {
        let (stop, stopped) = channel();
        let sampler = spawn(move || {
            let mut sampled = Sampled::default();
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let (rss, pss) = sample(apart);
                (sampled.rss, sampled.pss) = (sampled.rss.max(rss), sampled.pss.max(pss));
            }
            let cpu = clock_gettime(ClockId::ThreadCPUTime);
            sampled.cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
            sampled
        });
        Self { begun: Instant::now(), before: Own::now(), stop, sampler }
    }

    pub(crate) fn stop(self) -> Reading {
        let wall = self.begun.elapsed().as_secs_f64();
        drop(self.stop);
        let Sampled { rss, pss, cpu } = self.sampler.join().expect("the sampler does not panic");
        let (before, after) = (self.before, Own::now());
        let own_cpu = after.cpu - before.cpu - cpu;
        Reading {
            wall,
            cpu: after.children_cpu - before.children_cpu + own_cpu,
            rss,
            pss,
            own_cpu,
            own_rss: after.rss - before.rss,
        }
    }
}

impl Own {
    fn now() -> Self {
        let stat = Process::myself().and_then(|own| own.stat()).expect("this process runs");
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let children = |ticks: i64| seconds(u64::try_from(ticks).unwrap_or_default());
        Self {
            cpu: seconds(stat.utime + stat.stime),
            children_cpu: children(stat.cutime) + children(stat.cstime),
            rss: (stat.rss * procfs::page_size()) as f64 / 1e6,
        }
    }
}

/// Memory of all processes below this one, in MB: RSS and PSS.
fn sample(apart: u32) -> (f64, f64) {
    let own = i32::try_from(std::process::id()).expect("a pid");
    let apart = i32::try_from(apart).expect("a pid");
    let processes: Vec<_> = all_processes().into_iter().flatten().flatten().collect();
    let parents: BTreeMap<_, _> =
        processes.iter().filter_map(|it| Some((it.pid, it.stat().ok()?.ppid))).collect();
    let is_below = |pid: i32| {
        let mut at = pid;
        loop {
            match parents.get(&at) {
                Some(_) if at == apart => return false,
                Some(parent) if *parent == own => return at != apart,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
    };
    let mut sum = (0.0, 0.0);
    for process in processes.iter().filter(|process| is_below(process.pid)) {
        // A process that has just ended has no memory.
        let Ok(rollup) = process.smaps_rollup() else { continue };
        for map in rollup.memory_map_rollup {
            let of = |name: &str| map.extension.map.get(name).copied().unwrap_or_default() as f64;
            sum = (sum.0 + of("Rss") / 1e6, sum.1 + of("Pss") / 1e6);
        }
    }
    sum
}
