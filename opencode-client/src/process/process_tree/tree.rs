//! Process tree of a run on Unix.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::clock::{self, later, now};
use super::handle::{self, Handle, SignalDelivery};
use super::row::{Role, StartTime, TableRow};
use super::table::{TableSource, newcomers, protected_pids};
use super::{Marker, ProcessTreeError, Survivor, Survivors, SweepError, SweepLimits};

/// Maximum number of rounds before the kill, which a fork bomb would otherwise prevent forever.
const FREEZE_ROUNDS_MAX: usize = 32;

/// Limit on the wait for a stop. A process that takes longer waits in the kernel, for a disk for
/// example, and cannot fork.
const STOP_TIMEOUT: Duration = Duration::from_millis(100);

/// The root process of a run with all its descendants.
///
/// All operations block while they read the process table a few times.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    members: BTreeMap<u32, Member>,
    marker: Marker,
    /// Minimum start time of members.
    since: StartTime,
    source: TableSource,
}

#[derive(Debug)]
struct Member {
    handle: Handle,
    command: String,
    state: MemberState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberState {
    Frozen,
    /// A process of another user, which cannot be signalled.
    OutOfReach,
    Running,
}

impl ProcessTree {
    /// Creates the tree below `root_pid`, a child of this process that was not reaped yet, so right
    /// after the spawn. If the child has exited already, members are found by the marker alone.
    pub(crate) fn new(root_pid: u32, marker: Marker) -> Self {
        Self::with_source(root_pid, marker, TableSource::HERE)
    }

    /// Creates the tree of a run whose program is dead. Members are found by the marker alone.
    pub(crate) fn left(marker: Marker) -> Self {
        let (members, since) = (BTreeMap::new(), StartTime::default());
        Self { members, marker, since, source: TableSource::HERE }
    }

    pub(super) fn with_source(root_pid: u32, marker: Marker, source: TableSource) -> Self {
        let own = std::process::id();
        let start_of = |pid| source.row(pid).ok().flatten();
        let mut tree = Self {
            members: BTreeMap::new(),
            marker,
            since: start_of(own).map_or_else(StartTime::default, |process| process.started),
            source,
        };
        // A root that cannot be read now is found by its marker later, or has exited.
        if let Some(root) = start_of(root_pid).filter(|root| root.parent == own)
            && let Ok(handles) = handle::hold(&[&root], source)
            && let Some(handle) = handles.into_iter().flatten().next()
        {
            tree.since = root.started;
            tree.remember(&root, handle);
        }
        tree
    }

    /// Returns the processor time that the marked processes have used, in ticks; `None` when the
    /// time cannot be read.
    pub(crate) fn processor_time(&self) -> Option<u64> {
        let table = self.source.snapshot(&self.marker, self.since).ok()?;
        let marked = table.iter().filter(|process| process.role == Role::Marked);
        Some(marked.filter_map(|process| self.source.processor_time(process.pid)).sum())
    }

    /// Asks the root and all members to exit, by SIGTERM and by SIGCONT for stopped ones. Processes
    /// that are found now stay members, even if they hide from later scans.
    ///
    /// # Errors
    ///
    /// [`ProcessTreeError`], after the known members were signalled.
    pub(crate) fn terminate(&mut self) -> Result<(), ProcessTreeError> {
        let scanned = self.scan();
        let signalled = self.signal_all(Signal::TERM).and_then(|()| self.signal_all(Signal::CONT));
        scanned.and(signalled)
    }

    /// Kills the root and all members, without a wait for their exit. All members are frozen first,
    /// so that none can fork while the others die.
    ///
    /// # Errors
    ///
    /// [`ProcessTreeError`], after the known members were killed.
    pub(crate) fn kill(&mut self) -> Result<(), ProcessTreeError> {
        let frozen = self.freeze();
        let killed = self.signal_all(Signal::KILL);
        frozen.and(killed)
    }

    /// Ends all members after the exit of the root, and waits until none is left.
    ///
    /// # Errors
    ///
    /// [`SweepError::Survived`] lists the processes that are still alive after `limits`.
    pub(crate) fn sweep(&mut self, limits: SweepLimits) -> Result<(), SweepError> {
        self.forget_ended()?;
        self.scan()?;
        if self.members.is_empty() {
            return Ok(());
        }

        if !limits.grace.is_zero() {
            self.terminate()?;
            self.wait_until_empty(later(limits.grace))?;
        }
        let end = later(limits.kill_timeout);
        loop {
            self.kill()?;
            self.wait_until_empty(end)?;
            // No known member is left; a scan shows whether there are unknown ones.
            if self.members.is_empty() && self.scan()? == ScanResult::Complete {
                return Ok(());
            }
            if now() >= end || self.only_out_of_reach() {
                return Err(SweepError::Survived(self.survivors()));
            }
        }
    }

    fn freeze(&mut self) -> Result<(), ProcessTreeError> {
        for _ in 0..FREEZE_ROUNDS_MAX {
            self.signal(Signal::STOP, |state| state == MemberState::Running)?;
            self.wait_until_stopped()?;
            if self.scan()? == ScanResult::Complete {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the signalled members have stopped, because a fork in progress still completes.
    /// Only the process table shows the stop of a process that is not our child.
    fn wait_until_stopped(&mut self) -> Result<(), ProcessTreeError> {
        let until = later(STOP_TIMEOUT);
        let mut pause = Duration::from_micros(100);
        for (&pid, member) in &mut self.members {
            if member.state != MemberState::Running {
                continue;
            }
            member.state = MemberState::Frozen;
            while self.source.may_run(pid).map_err(ProcessTreeError::Table)? {
                if now() >= until {
                    return Ok(());
                }
                clock::pause(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> Result<ScanResult, ProcessTreeError> {
        let table =
            self.source.snapshot(&self.marker, self.since).map_err(ProcessTreeError::Table)?;
        let protected = protected_pids(&table, std::process::id());
        let known =
            self.members.iter().map(|(&pid, member)| (pid, member.handle.started())).collect();
        let newcomers = newcomers(&table, self.source, self.since, &known, &protected);

        // A newcomer that ends before its handle is open may have forked, so a further scan is due.
        let found = if newcomers.is_empty() { ScanResult::Complete } else { ScanResult::Newcomers };
        let handles = handle::hold(&newcomers, self.source).map_err(ProcessTreeError::Table)?;
        let held = newcomers.into_iter().zip(handles);
        let held = held.filter_map(|(process, handle)| Some((process, handle?))).collect();
        for (process, handle) in self.confirm(&table, held)? {
            self.remember(process, handle);
        }
        Ok(found)
    }

    /// Keeps the processes with the marker, and those whose parent is still the same process as in
    /// `table`: while the parent lives, its pid names no other process.
    fn confirm<'a>(
        &self,
        table: &[TableRow],
        held: Vec<(&'a TableRow, Handle)>,
    ) -> Result<Vec<(&'a TableRow, Handle)>, ProcessTreeError> {
        let (mut kept, by_parent): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(process, _)| process.role == Role::Marked);
        if by_parent.is_empty() {
            return Ok(kept);
        }

        // Children first: the parent that a child names counts only if the parent is unchanged
        // after that.
        let children = by_parent.iter().map(|(process, _)| process.pid);
        let parents = by_parent.iter().map(|(process, _)| process.parent);
        let pids: Vec<u32> = children.chain(parents).collect();
        let rows = self.source.rows(&pids).map_err(ProcessTreeError::Table)?;
        kept.extend(by_parent.into_iter().filter(|(process, _)| {
            let child = rows.iter().find(|row| row.pid == process.pid);
            let same_parent = child.is_some_and(|child| child.parent == process.parent);
            let now = rows.iter().rev().find(|row| row.pid == process.parent);
            let before = table.iter().find(|row| row.pid == process.parent);
            let parent_unchanged = now
                .zip(before)
                .is_some_and(|(now, before)| self.source.is_same(now.started, before.started));
            same_parent && parent_unchanged
        }));
        Ok(kept)
    }

    fn remember(&mut self, process: &TableRow, handle: Handle) {
        self.members.insert(
            process.pid,
            Member { handle, command: process.command.clone(), state: MemberState::Running },
        );
    }

    fn signal_all(&mut self, signal: Signal) -> Result<(), ProcessTreeError> {
        self.signal(signal, |_| true)
    }

    fn signal(
        &mut self,
        signal: Signal,
        whom: impl Fn(MemberState) -> bool,
    ) -> Result<(), ProcessTreeError> {
        let (mut states, handles): (Vec<&mut MemberState>, Vec<&Handle>) = self
            .members
            .values_mut()
            .filter(|member| whom(member.state))
            .map(|member| (&mut member.state, &member.handle))
            .unzip();
        let (deliveries, result) = handle::signal(&handles, signal, self.source);
        for (state, delivery) in states.iter_mut().zip(deliveries) {
            if delivery == SignalDelivery::Refused {
                **state = MemberState::OutOfReach;
            }
        }
        result.map_err(ProcessTreeError::Signal)
    }

    fn wait_until_empty(&mut self, until: Instant) -> Result<(), ProcessTreeError> {
        self.forget_ended()?;
        while !self.members.is_empty() && !self.only_out_of_reach() && now() < until {
            self.wait(until)?;
        }
        Ok(())
    }

    fn forget_ended(&mut self) -> Result<(), ProcessTreeError> {
        self.wait(now())
    }

    /// Waits for the end of at least one member, at most until `until`, and removes ended members.
    fn wait(&mut self, until: Instant) -> Result<(), ProcessTreeError> {
        let handles: Vec<&Handle> = self.members.values().map(|member| &member.handle).collect();
        if handles.is_empty() {
            return Ok(());
        }
        let ended = handle::wait_for_one(&handles, until, self.source);
        let mut ended = ended.map_err(ProcessTreeError::Wait)?.into_iter();
        self.members.retain(|_, _| !ended.next().unwrap_or(false));
        Ok(())
    }

    fn only_out_of_reach(&self) -> bool {
        self.members.values().all(|member| member.state == MemberState::OutOfReach)
    }

    fn survivors(&self) -> Survivors {
        Survivors(
            self.members
                .iter()
                .map(|(&pid, member)| Survivor { pid, command: member.command.clone() })
                .collect(),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanResult {
    /// All processes of the run are known.
    Complete,
    Newcomers,
}
