//! Handle of one process, which never refers to another process.

use std::collections::BTreeMap;
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::clock::{self, now};
use super::row::{Liveness, StartTime, TableRow};
use super::table::TableSource;

/// One process, named by a pidfd where the system has them, or else by pid and start time.
#[derive(Debug)]
pub(super) struct Handle {
    pid: Pid,
    started: StartTime,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pidfd: Option<OwnedFd>,
}

/// Delivery of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalDelivery {
    /// The process has ended.
    Gone,
    /// The process belongs to another user.
    Refused,
    Sent,
}

impl Handle {
    pub(super) fn started(&self) -> StartTime {
        self.started
    }

    fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    fn has_pidfd(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return self.pidfd.is_some();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return false;
    }
}

/// Opens handles of the processes in these rows; `None` for a process that has ended since.
pub(super) fn hold(
    processes: &[&TableRow],
    source: TableSource,
) -> io::Result<Vec<Option<Handle>>> {
    let open = |process: &TableRow| {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw)?;
        Some(Handle {
            pid,
            started: process.started,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            pidfd: match source {
                TableSource::Procfs => open_pidfd(pid),
                #[cfg(test)]
                TableSource::Ps => None,
            },
        })
    };
    let opened: Vec<Option<Handle>> = processes.iter().map(|process| open(process)).collect();
    // The check follows the opening of the pidfds: a process that has the pid both before and after
    // is the process of the pidfd.
    let handles: Vec<&Handle> = opened.iter().flatten().collect();
    let mut alive = are_alive(&handles, source)?.into_iter();
    let keep = |handle: Option<Handle>| handle.filter(|_| alive.next().unwrap_or(false));
    Ok(opened.into_iter().map(keep).collect())
}

/// Sends a signal to each of these processes. Returns the first error after all attempts.
pub(super) fn signal(
    handles: &[&Handle],
    signal: Signal,
    source: TableSource,
) -> (Vec<SignalDelivery>, io::Result<()>) {
    let mut result = Ok(());
    let alive = if handles.iter().all(|handle| handle.has_pidfd()) {
        // A pidfd never names another process.
        vec![true; handles.len()]
    } else {
        are_alive(handles, source).unwrap_or_else(|error| {
            result = Err(error);
            vec![false; handles.len()]
        })
    };
    let send = |(handle, is_alive): (&&Handle, bool)| match send(handle, is_alive, signal) {
        Ok(()) => SignalDelivery::Sent,
        Err(Errno::SRCH) => SignalDelivery::Gone,
        Err(Errno::PERM) => SignalDelivery::Refused,
        Err(error) => {
            result = Err(error.into());
            SignalDelivery::Refused
        }
    };
    let deliveries = handles.iter().zip(alive).map(send).collect();
    (deliveries, result)
}

fn send(handle: &Handle, is_alive: bool, signal: Signal) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(pidfd) = &handle.pidfd {
        return rustix::process::pidfd_send_signal(pidfd, signal);
    }
    if is_alive { rustix::process::kill_process(handle.pid, signal) } else { Err(Errno::SRCH) }
}

/// Waits until one of these processes has ended, or until `until`. Returns true for each process
/// that has ended.
pub(super) fn wait_for_one(
    handles: &[&Handle],
    until: Instant,
    source: TableSource,
) -> io::Result<Vec<bool>> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(pidfds) =
        handles.iter().map(|handle| handle.pidfd.as_ref()).collect::<Option<Vec<_>>>()
    {
        return wait_for_pidfds(&pidfds, until);
    }

    // Without pidfds, no event reports the end of a process that is not our child.
    let mut pause = Duration::from_millis(2);
    loop {
        let alive = are_alive(handles, source)?;
        let left = until.saturating_duration_since(now());
        if left.is_zero() || alive.contains(&false) {
            return Ok(alive.into_iter().map(|is_alive| !is_alive).collect());
        }
        clock::pause(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Returns true for each process that has not ended and still owns its pid.
fn are_alive(handles: &[&Handle], source: TableSource) -> io::Result<Vec<bool>> {
    let pids: Vec<u32> = handles.iter().map(|handle| handle.pid()).collect();
    let rows: BTreeMap<u32, TableRow> =
        source.rows(&pids)?.into_iter().map(|row| (row.pid, row)).collect();
    let is_alive = |handle: &&Handle| {
        rows.get(&handle.pid()).is_some_and(|row| {
            row.liveness == Liveness::Alive && source.is_same(row.started, handle.started)
        })
    };
    Ok(handles.iter().map(is_alive).collect())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait_for_pidfds(pidfds: &[&OwnedFd], until: Instant) -> io::Result<Vec<bool>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    // A pidfd is readable once its process has ended, reaped or not.
    let mut polled: Vec<PollFd<'_>> =
        pidfds.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
    loop {
        let left = until.saturating_duration_since(now());
        // A wait that is too long for a timespec has no end.
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns `None` when the system has no pidfds or forbids them, or when the process has ended,
/// which the identity check reports.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}
