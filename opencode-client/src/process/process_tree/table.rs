//! Snapshot of the processes of the machine, and the members of a run among them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::marker::Marker;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::procfs;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
use super::ps;
use super::row::{Liveness, Role, StartTime, TableRow};

/// Source of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableSource {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Procfs,
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    Ps,
}

impl TableSource {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const HERE: Self = Self::Procfs;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const HERE: Self = Self::Ps;

    /// Reads all processes, with the roles of those that started at `since` or later.
    pub(super) fn snapshot(self, marker: &Marker, since: StartTime) -> io::Result<Vec<TableRow>> {
        let marker_for = |started| self.is_since(started, since).then_some(marker);
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Procfs => procfs::snapshot(marker_for),
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Self::Ps => ps::snapshot(marker_for),
        }
    }

    /// Reads the current rows of these pids, in this order. Rows of ended processes are left out.
    pub(super) fn rows(self, pids: &[u32]) -> io::Result<Vec<TableRow>> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Procfs => pids.iter().filter_map(|&pid| procfs::row(pid).transpose()).collect(),
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Self::Ps => ps::rows(pids),
        }
    }

    /// Reads the current row of one pid.
    pub(super) fn row(self, pid: u32) -> io::Result<Option<TableRow>> {
        Ok(self.rows(&[pid])?.pop())
    }

    /// Returns the processor time of a process and its awaited children, in ticks.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        expect(unused_variables, reason = "`ps` prints whole seconds, too few to compare")
    )]
    pub(super) fn processor_time(self, pid: u32) -> Option<u64> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Procfs => procfs::processor_time(pid),
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Self::Ps => None,
        }
    }

    /// Returns true while the process can run, so neither stopped nor ended.
    pub(super) fn may_run(self, pid: u32) -> io::Result<bool> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Procfs => procfs::may_run(pid),
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Self::Ps => ps::may_run(pid),
        }
    }

    /// Returns true when two start times of one pid belong to the same process.
    pub(super) fn is_same(self, one: StartTime, other: StartTime) -> bool {
        one.0.abs_diff(other.0) <= self.jitter()
    }

    fn is_since(self, started: StartTime, since: StartTime) -> bool {
        started.0.saturating_add(self.jitter()) >= since.0
    }

    fn jitter(self) -> u64 {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Procfs => 0,
            // `ps` computes the start from the uptime in whole seconds, at every call.
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Self::Ps => 2,
        }
    }
}

/// Returns the living processes of `table` that belong to the run and are not `known` yet.
///
/// A process belongs to the run if the process is marked or its parent belongs. Excluded are
/// `protected` processes, guardians, and processes older than `since`.
pub(super) fn newcomers<'a>(
    table: &'a [TableRow],
    source: TableSource,
    since: StartTime,
    known: &BTreeMap<u32, StartTime>,
    protected: &BTreeSet<u32>,
) -> Vec<&'a TableRow> {
    let is_known = |process: &TableRow| {
        known.get(&process.pid).is_some_and(|&started| source.is_same(started, process.started))
    };
    let mut children: BTreeMap<u32, Vec<&TableRow>> = BTreeMap::new();
    for process in table {
        children.entry(process.parent).or_default().push(process);
    }

    let mut belongs: BTreeSet<u32> = BTreeSet::new();
    let mut pending: Vec<&TableRow> =
        table.iter().filter(|process| process.role == Role::Marked || is_known(process)).collect();
    let mut found = Vec::new();
    while let Some(process) = pending.pop() {
        let may_belong = process.role != Role::Guardian
            && !protected.contains(&process.pid)
            && source.is_since(process.started, since);
        if !may_belong || !belongs.insert(process.pid) {
            continue;
        }
        if process.liveness == Liveness::Alive && !is_known(process) {
            found.push(process);
        }
        pending.extend(children.get(&process.pid).into_iter().flatten());
    }
    found
}

/// Returns the pids that no cleanup may ever signal: init, this process and its ancestors.
pub(super) fn protected_pids(table: &[TableRow], own: u32) -> BTreeSet<u32> {
    let parents: BTreeMap<u32, u32> =
        table.iter().map(|process| (process.pid, process.parent)).collect();
    let mut protected = BTreeSet::from([0, 1]);
    let mut next = Some(own);
    while let Some(pid) = next {
        next = protected.insert(pid).then(|| parents.get(&pid).copied()).flatten();
    }
    protected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> TableRow {
        TableRow {
            pid,
            parent,
            started: StartTime(u64::from(pid)),
            liveness: Liveness::Alive,
            role: Role::Unmarked,
            command: format!("p{pid}"),
        }
    }

    fn marked(pid: u32, parent: u32) -> TableRow {
        TableRow { role: Role::Marked, ..process(pid, parent) }
    }

    fn found(table: &[TableRow], known: &[u32], own: u32) -> BTreeSet<u32> {
        let known = known.iter().map(|&pid| (pid, StartTime(u64::from(pid)))).collect();
        newcomers(table, TableSource::HERE, StartTime(50), &known, &protected_pids(table, own))
            .iter()
            .map(|process| process.pid)
            .collect()
    }

    #[test]
    fn members_are_found_by_parents_and_markers_and_both() {
        let table = [
            process(100, 10), // the root
            process(101, 100),
            process(102, 101), // a grandchild
            marked(110, 1),    // an orphan of the run
            process(111, 110), // its child cleared its environment
            process(120, 1),   // no process of the run
            process(10, 1),
        ];
        assert_eq!(found(&table, &[100], 10), [101, 102, 110, 111].into());
        assert_eq!(found(&table, &[100, 101, 110], 10), [102, 111].into());
    }

    #[test]
    fn a_reused_pid_is_neither_known_nor_a_parent() {
        let mut reused = process(100, 1);
        reused.started = StartTime(900);
        let table = [reused, process(101, 100)];
        assert_eq!(found(&table, &[100], 10), [].into());
    }

    #[test]
    fn this_process_its_ancestors_and_init_are_never_members() {
        // The worst case: the program runs inside a tool, and has the marker in its own
        // environment.
        let table = [
            marked(1, 0),
            marked(60, 1),
            marked(70, 60), // this program
            marked(80, 70), // its child
        ];
        assert_eq!(found(&table, &[], 70), [80].into());
    }

    #[test]
    fn a_cycle_of_parents_ends() {
        let table = [process(70, 71), process(71, 70), marked(80, 1)];
        assert_eq!(found(&table, &[], 70), [80].into());
    }

    #[test]
    fn old_and_ended_processes_and_guardians_are_no_members() {
        let mut ended = marked(100, 1);
        ended.liveness = Liveness::Ended;
        let mut guardian = marked(110, 100);
        guardian.role = Role::Guardian;
        let table = [
            marked(40, 1), // older than the run
            ended,
            process(101, 100), // a child of a zombie is a member
            guardian,
            process(111, 110),
        ];
        assert_eq!(found(&table, &[], 10), [101].into());
    }
}
