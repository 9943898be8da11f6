//! Process table of Linux: `/proc`.

use std::fs;
use std::io;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

use super::clock;
use super::marker::Marker;
use super::row::{Liveness, Role, StartTime, TableRow};

/// Number of the field `state` in `/proc/[pid]/stat`, as proc(5) counts: the pid is 1, the command
/// 2.
const FIRST_FIELD: usize = 3;

/// Maximum wait for an exec in progress, in milliseconds. Without a disk, microseconds are enough.
const EXEC_PAUSES_MAX: usize = 100;

/// Reads all processes. `marker_for` chooses by the start time which marker to look for, if any.
pub(super) fn snapshot<'a>(
    marker_for: impl Fn(StartTime) -> Option<&'a Marker>,
) -> io::Result<Vec<TableRow>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // The start time is read before the environment. If another process gets the pid in
        // between, the row does not match that process, and the identity check fails.
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

/// Reads the row of one pid, without the role.
pub(super) fn row(pid: u32) -> io::Result<Option<TableRow>> {
    match read_stat(pid) {
        // With `hidepid`, processes of other users look like this.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        read => read,
    }
}

/// Returns the start time of one pid. A process that this user may not see is an error.
pub(super) fn start_time(pid: u32) -> io::Result<Option<u64>> {
    Ok(read_stat(pid)?.map(|row| row.started.0))
}

fn read_stat(pid: u32) -> io::Result<Option<TableRow>> {
    match fs::read(stat_path(pid)) {
        Ok(stat) => parse_stat(pid, &stat)
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown form of stat")),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the processor time of a process and its awaited children, in ticks.
pub(super) fn processor_time(pid: u32) -> Option<u64> {
    let stat = fs::read(stat_path(pid)).ok()?;
    let times = fields(&stat)?.skip(14 - FIRST_FIELD).take(4);
    times.map(|time| time.parse::<u64>().ok()).sum()
}

/// Returns true while any thread of the process can run, so neither stopped nor ended.
pub(super) fn may_run(pid: u32) -> io::Result<bool> {
    let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(threads) => threads,
        Err(error) if has_vanished(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    for thread in threads {
        let stat = match thread.and_then(|thread| fs::read(thread.path().join("stat"))) {
            Ok(stat) => stat,
            Err(error) if has_vanished(&error) => continue,
            Err(error) => return Err(error),
        };
        let state = fields(&stat).and_then(|mut fields| fields.next());
        if !matches!(state, Some("T" | "t" | "Z" | "X" | "x")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads the role. For a process of another user, or one that has ended, only the parent is known.
fn role(pid: u32, marker: &Marker) -> Role {
    environment(pid).map_or(Role::Unmarked, |environment| {
        Role::of(environment.split(|&byte| byte == 0), marker)
    })
}

/// Reads the environment of a process, as of its last exec. During an exec there is no environment
/// for a moment, and no event reports the end of that moment.
fn environment(pid: u32) -> io::Result<Vec<u8>> {
    let mut pauses = EXEC_PAUSES_MAX;
    loop {
        let environment = fs::read(format!("/proc/{pid}/environ"))?;
        if !environment.is_empty() || pauses == 0 || !is_in_exec(&fs::read(stat_path(pid))?) {
            return Ok(environment);
        }
        pauses -= 1;
        clock::pause(Duration::from_millis(1));
    }
}

/// Returns true when this line of stat belongs to a program whose environment has no address yet.
/// An empty environment has an address.
fn is_in_exec(stat: &[u8]) -> bool {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let number = |field| fields(stat)?.nth(field - FIRST_FIELD)?.parse::<u64>().ok();
    let is_kernel_thread = number(9).is_none_or(|flags| flags & KERNEL_THREAD != 0);
    let is_alive = parse_stat(0, stat).is_some_and(|row| row.liveness == Liveness::Alive);
    is_alive && !is_kernel_thread && number(51) == Some(0)
}

fn stat_path(pid: u32) -> String {
    format!("/proc/{pid}/stat")
}

fn has_vanished(error: &io::Error) -> bool {
    // With `hidepid`, processes of other users look like this.
    is_gone(error) || error.kind() == io::ErrorKind::PermissionDenied
}

fn is_gone(error: &io::Error) -> bool {
    // ESRCH comes from the stat of a process that was reaped while the file was open.
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Parses `pid (command) state ppid …`, see proc(5); the command may contain spaces and
/// parentheses.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<TableRow> {
    let start = stat.iter().position(|&byte| byte == b'(')? + 1;
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let command = String::from_utf8_lossy(stat.get(start..end)?).into_owned();
    let mut fields = fields(stat)?;

    let liveness = match fields.next()? {
        "Z" | "X" | "x" => Liveness::Ended,
        _ => Liveness::Alive,
    };
    let parent = fields.next()?.parse().ok()?;
    let started = StartTime(fields.nth(22 - 5)?.parse().ok()?);
    Some(TableRow { pid, parent, started, liveness, role: Role::Unmarked, command })
}

/// Returns the fields after the command, from [`FIRST_FIELD`] on.
fn fields(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    Some(std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace())
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
            assert_eq!(process.started, StartTime(98765));
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
    fn knows_a_program_that_is_being_started() {
        let line = |flags: u64, state: char, env_end: u64| {
            let zeros = "0 ".repeat(51 - 10);
            format!("42 (sh) {state} 7 42 42 0 -1 {flags} {zeros}{env_end} 0\n").into_bytes()
        };
        assert!(is_in_exec(&line(0x40_0000, 'R', 0)));
        assert!(!is_in_exec(&line(0x40_0000, 'R', 140_736_000)));
        assert!(!is_in_exec(&line(0x20_8040, 'I', 0)), "a kernel thread");
        assert!(!is_in_exec(&line(0x40_000c, 'Z', 0)));
        let own = fs::read(stat_path(std::process::id())).expect("readable");
        assert!(!is_in_exec(&own));
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
