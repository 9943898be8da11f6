//! One row of the process table, and the role of the process.

use super::GUARDIAN_ENTRY;
use super::marker::Marker;

/// Start time of a process, in the unit of the table source. Start time and pid name one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StartTime(pub(super) u64);

/// Liveness of a process. A zombie has ended, and only waits until its parent reads the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    Ended,
}

/// Role of a process in the run, according to its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A guardian of this run or of a nested one, which exits by itself after its cleanup.
    Guardian,
    /// A process with the marker of the run.
    Marked,
    /// A process without the marker, or with an unreadable environment.
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
    /// Returns the role according to these entries of an environment. The last entry counts,
    /// because entries may follow a command line that mentions the marker too.
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
    fn roles_depend_on_whole_entries() {
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
