//! The process table of Linux: `/proc`.

use std::fs;
use std::io;

use super::GUARDIAN_ENTRY;
use super::marker::Marker;
use super::table::{Liveness, Process, Role, Started};

/// Every process. `marker_for` says by the start time which marker to look for, if any.
pub(super) fn snapshot<'a>(
    marker_for: impl Fn(Started) -> Option<&'a Marker>,
) -> io::Result<Vec<Process>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // The start time is read before the environment: should the pid change hands between the
        // two, the row does not match the living process and its identity check fails.
        let Some(mut process) = row(pid)? else {
            continue;
        };
        if let Some(marker) = marker_for(process.started) {
            process.role = role(pid, marker);
        }
        table.push(process);
    }
    Ok(table)
}

/// The row of one pid, its role not looked up.
pub(super) fn row(pid: u32) -> io::Result<Option<Process>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse_stat(pid, &stat)
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown form of stat")),
        Err(error) if has_vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that cannot be looked into (another user's, or gone by now) is known by its parent
/// only.
fn role(pid: u32, marker: &Marker) -> Role {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return Role::Unmarked;
    };
    if environment.split(|&byte| byte == 0).any(|entry| entry == GUARDIAN_ENTRY.as_bytes()) {
        Role::Guardian
    } else if marker.marks(&environment) {
        Role::Marked
    } else {
        Role::Unmarked
    }
}

fn has_vanished(error: &io::Error) -> bool {
    // Reading an open stat of a process that was just reaped gives ESRCH.
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
        // Under hidepid the processes of others look like this.
        || error.kind() == io::ErrorKind::PermissionDenied
}

/// `pid (command) state ppid …`, see proc(5); the command may hold spaces and parentheses.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let command = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let mut fields = std::str::from_utf8(&stat[close + 1..]).ok()?.split_ascii_whitespace();

    let liveness = match fields.next()? {
        "Z" | "X" | "x" => Liveness::Ended,
        _ => Liveness::Alive,
    };
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the line; state is field 3, ppid field 4.
    let started = Started(fields.nth(22 - 5)?.parse().ok()?);
    Some(Process { pid, parent, started, liveness, role: Role::Unmarked, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(command: &str, state: char) -> Vec<u8> {
        format!(
            "42 ({command}) {state} 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 11\n"
        )
        .into_bytes()
    }

    #[test]
    fn parses_hostile_commands() {
        for command in ["sh", "a b", "a) R 1 (b", "((", "))", ""] {
            let process = parse_stat(42, &stat(command, 'S')).expect(command);
            assert_eq!(process.command, command);
            assert_eq!(process.parent, 7);
            assert_eq!(process.started, Started(98765));
            assert_eq!(process.liveness, Liveness::Alive);
        }
        let mut bytes = stat("x", 'S');
        bytes[4] = 0xff;
        assert_eq!(parse_stat(42, &bytes).expect("lossy").command, "\u{fffd}");
    }

    #[test]
    fn zombies_have_ended() {
        for state in ['Z', 'X', 'x'] {
            assert_eq!(parse_stat(42, &stat("sh", state)).expect("row").liveness, Liveness::Ended);
        }
        assert_eq!(parse_stat(42, &stat("sh", 'T')).expect("row").liveness, Liveness::Alive);
    }

    #[test]
    fn truncated_lines_are_refused() {
        let whole = stat("sh", 'S');
        let end_of_start_time = whole.len() - " 10 11\n".len() - "98765".len();
        for end in 0..end_of_start_time {
            assert!(parse_stat(42, &whole[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn reads_this_process() {
        let own = row(std::process::id()).expect("readable").expect("alive");
        assert_eq!(own.liveness, Liveness::Alive);
        assert_eq!(
            Some(own.parent),
            rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
        );
        assert!(own.started.0 > 0);
    }

    #[test]
    fn a_pid_beyond_the_maximum_is_gone() {
        assert!(row(u32::MAX).expect("readable").is_none());
    }
}
