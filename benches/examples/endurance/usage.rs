//! Resources of this program and of a server.

use std::time::Duration;

use procfs::process::{FDTarget, Process};

use crate::Result;

/// Resources at one moment.
pub(crate) struct Usage {
    own: ProcessUsage,
    /// Tasks of the runtime that have not ended.
    tasks: usize,
    server: Option<ProcessUsage>,
}

struct ProcessUsage {
    /// Resident memory, in MB.
    memory: f64,
    sockets: usize,
    files: usize,
    threads: i64,
}

impl Usage {
    pub(crate) fn now(server: Option<u32>) -> Result<Self> {
        let server = server.map(i32::try_from).transpose()?;
        let server = server.map(Process::new).transpose()?;
        Ok(Self {
            own: ProcessUsage::of(&Process::myself()?)?,
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            server: server.map(|server| ProcessUsage::of(&server)).transpose()?,
        })
    }

    pub(crate) fn print(&self, name: &str, wall: Option<Duration>) {
        let wall = wall.map_or_else(String::new, |wall| format!("{:.2}", wall.as_secs_f64()));
        let ProcessUsage { memory, sockets, files, threads } = self.own;
        let tasks = self.tasks;
        print!("{name:<20}{wall:>8}{memory:>9.1}{sockets:>9}{files:>7}{threads:>9}{tasks:>7}");
        if let Some(ProcessUsage { memory, sockets, files, threads }) = self.server {
            print!("{memory:>11.1}{sockets:>9}{files:>7}{threads:>9}");
        }
        println!();
    }

    /// Prints the growth since `warm`, per turn.
    pub(crate) fn print_growth(&self, warm: &Self, turns: usize) {
        let per_turn = |now: f64, before: f64| (now - before) * 1e3 / turns as f64;
        println!(
            "growth per turn: {:.1} KB of this program, {} sockets, {} tasks in all",
            per_turn(self.own.memory, warm.own.memory),
            difference(self.own.sockets, warm.own.sockets),
            difference(self.tasks, warm.tasks),
        );
        if let (Some(now), Some(before)) = (&self.server, &warm.server) {
            println!(
                "growth per turn: {:.1} KB of the server, {} sockets in all",
                per_turn(now.memory, before.memory),
                difference(now.sockets, before.sockets),
            );
        }
    }
}

pub(crate) fn print_head() {
    println!(
        "{:<20}{:>8}{:>9}{:>9}{:>7}{:>9}{:>7}{:>11}{:>9}{:>7}{:>9}",
        "",
        "wall s",
        "MB",
        "sockets",
        "files",
        "threads",
        "tasks",
        "server MB",
        "sockets",
        "files",
        "threads"
    );
}

impl ProcessUsage {
    fn of(process: &Process) -> Result<Self> {
        let stat = process.stat()?;
        let mut usage = Self {
            memory: (stat.rss * procfs::page_size()) as f64 / 1e6,
            sockets: 0,
            files: 0,
            threads: stat.num_threads,
        };
        for file in process.fd()? {
            // A descriptor may be closed meanwhile.
            match file.map(|file| file.target) {
                Ok(FDTarget::Socket(_)) => usage.sockets += 1,
                Ok(_) => usage.files += 1,
                Err(_) => {}
            }
        }
        Ok(usage)
    }
}

fn difference(now: usize, before: usize) -> i64 {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    number(now) - number(before)
}
