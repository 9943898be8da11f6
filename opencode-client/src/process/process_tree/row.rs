//! One row of the process table, and what its environment says.

use super::GUARDIAN_ENTRY;
use super::marker::Marker;

/// When a process started, in the units of its [`TableSource`]. With the pid it names one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StartTime(pub(super) u64);

/// Whether a process still runs. A zombie has ended: it only waits for its parent to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    Ended,
}

/// What a process's environment says about its part in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A guardian, of this run or of one nested in it: it ends by itself after its clean-up.
    Guardian,
    /// It carries the run's marker.
    Marked,
    /// It carries no marker, or its environment cannot be read.
    Unmarked,
}

/// One row of the process table.
#[derive(Clone, Debug)]
pub(super) struct TableRow {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) started: StartTime,
    pub(super) liveness: Liveness,
    pub(super) role: Role,
    pub(super) command: String,
}

impl Role {
    /// What these entries of an environment say. Where they come behind a command line, that may
    /// talk of the marker too: the last entry counts.
    pub(super) fn of<'a>(
        entries: impl DoubleEndedIterator<Item = &'a [u8]> + Clone,
        marker: &Marker,
    ) -> Self {
        let value_of =
            |entry: &'a [u8]| entry.strip_prefix(Marker::NAME.as_bytes())?.strip_prefix(b"=");
        if entries.clone().any(|entry| entry == GUARDIAN_ENTRY.as_bytes()) {
            Self::Guardian
        } else if entries.rev().find_map(value_of).is_some_and(|value| marker.is_in(value)) {
            Self::Marked
        } else {
            Self::Unmarked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_roles_by_whole_entries() {
        let (ours, other) = (Marker::fresh(None), Marker::fresh(None));
        let (name, value, foreign) = (Marker::NAME, ours.value(), other.value());
        for (environment, expected) in [
            (format!("A=1 {name}={value} B=2"), Role::Marked),
            (format!("{name}={foreign}:{value}"), Role::Marked),
            (format!("{name}={foreign}"), Role::Unmarked),
            (format!("{name}={value}0"), Role::Unmarked),
            (format!("X{name}={value}"), Role::Unmarked),
            (format!("OTHER={value}"), Role::Unmarked),
            (format!("{name}={value} sleep 1 {name}={foreign}"), Role::Unmarked),
            (format!("{name}={value} {GUARDIAN_ENTRY}"), Role::Guardian),
            (String::new(), Role::Unmarked),
        ] {
            let entries = environment.as_bytes().split(|&byte| byte == b' ');
            assert_eq!(Role::of(entries, &ours), expected, "{environment}");
        }
    }
}
