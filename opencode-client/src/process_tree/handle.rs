//! A hold on one process that no other process can slip into.

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::table::{Liveness, Process, Source, Started};

/// One process: by pidfd where the system has them, else by pid and start time.
#[derive(Debug)]
pub(super) struct Handle {
    pid: Pid,
    started: Started,
    source: Source,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pidfd: Option<OwnedFd>,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The process has ended.
    Gone,
    /// The process belongs to another user.
    Refused,
    Sent,
}

impl Handle {
    /// Takes hold of the process of this row; `None` when it has ended since.
    pub(super) fn open(process: &Process, source: Source) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let handle = Self {
            pid,
            started: process.started,
            source,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            pidfd: match source {
                Source::Procfs => open_pidfd(pid),
                #[cfg(test)]
                Source::Ps => None,
            },
        };
        // The check comes after the pidfd was opened: a process that had the pid both before and
        // after is the one that the pidfd holds.
        Ok(handle.is_unchanged()?.then_some(handle))
    }

    pub(super) fn started(&self) -> Started {
        self.started
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<Delivery> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(pidfd) = &self.pidfd {
            return delivery(rustix::process::pidfd_send_signal(pidfd, signal));
        }
        if self.is_unchanged()? {
            delivery(rustix::process::kill_process(self.pid, signal))
        } else {
            Ok(Delivery::Gone)
        }
    }

    /// Whether the pid still means this process, and it has not ended.
    fn is_unchanged(&self) -> io::Result<bool> {
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        Ok(self.source.row(pid)?.is_some_and(|process| {
            process.liveness == Liveness::Alive
                && self.source.is_same(process.started, self.started)
        }))
    }
}

/// Waits until one of these processes has ended, or until `until`; says of each whether it has.
pub(super) fn wait_for_one(handles: &[&Handle], until: Instant) -> io::Result<Vec<bool>> {
    let ended = |handles: &[&Handle]| -> io::Result<Vec<bool>> {
        handles.iter().map(|handle| handle.is_unchanged().map(|unchanged| !unchanged)).collect()
    };

    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(pidfds) =
        handles.iter().map(|handle| handle.pidfd.as_ref()).collect::<Option<Vec<_>>>()
    {
        return wait_for_pidfds(&pidfds, until);
    }

    // Without pidfds nothing reports the end of a process that is not our child.
    let mut pause = Duration::from_millis(2);
    loop {
        let ended = ended(handles)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || ended.contains(&true) {
            return Ok(ended);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait_for_pidfds(pidfds: &[&OwnedFd], until: Instant) -> io::Result<Vec<bool>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    // A pidfd is readable from when its process has ended, reaped or not.
    let mut polled: Vec<PollFd<'_>> =
        pidfds.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // A wait too long for a timespec is one without end.
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `None` when the system has no pidfds, forbids them, or the process is gone, which the identity
/// check finds out.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

fn delivery(result: rustix::io::Result<()>) -> io::Result<Delivery> {
    match result {
        Ok(()) => Ok(Delivery::Sent),
        Err(Errno::SRCH) => Ok(Delivery::Gone),
        Err(Errno::PERM) => Ok(Delivery::Refused),
        Err(error) => Err(error.into()),
    }
}
