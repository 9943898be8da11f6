//! Process table of a Unix without `/proc`: the output of `ps`.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};

use super::marker::Marker;
use super::row::{Liveness, Role, StartTime, TableRow};

/// Reads all processes. `marker_for` chooses by the start time which marker to look for, if any.
pub(super) fn snapshot<'a>(
    marker_for: impl Fn(StartTime) -> Option<&'a Marker>,
) -> io::Result<Vec<TableRow>> {
    let mut table = rows_of(&["-A"])?;
    // BSD options, which the `ps` of Linux has too: `e` appends the environment to the command
    // line.
    let listing = run(&["axeww", "-o", "pid=", "-o", "command="])?;
    let words: BTreeMap<u32, &str> = listing.lines().filter_map(words_of).collect();
    for process in &mut table {
        if let Some(words) = words.get(&process.pid)
            && let Some(marker) = marker_for(process.started)
        {
            process.role = Role::of(words.as_bytes().split(|&byte| byte == b' '), marker);
        }
    }
    Ok(table)
}

/// Returns false: a stop signal takes less time than a start of `ps`, so the process has stopped.
pub(super) fn may_run(_pid: u32) -> io::Result<bool> {
    Ok(false)
}

/// Reads the rows of these pids, without the roles.
pub(super) fn rows(pids: &[u32]) -> io::Result<Vec<TableRow>> {
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    let list = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    rows_of(&["-p", &list])
}

fn rows_of(selection: &[&str]) -> io::Result<Vec<TableRow>> {
    // One `-o` each: after a `=`, POSIX reads the rest of the argument as the heading of the
    // column.
    let columns = ["pid=", "ppid=", "stat=", "lstart=", "comm="];
    let mut arguments = selection.to_vec();
    for column in columns {
        arguments.extend(["-o", column]);
    }
    Ok(parse_rows(&run(&arguments)?))
}

fn run(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("ps")
        .args(arguments)
        // English month names, and start times without daylight saving.
        .env("LC_ALL", "C")
        .env("TZ", "UTC0")
        // `ps` must not list itself as a member.
        .env_remove(Marker::NAME)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    // With `-p`, `ps` fails when none of the processes exists any more: no rows, and no error.
    let names_pids = arguments.contains(&"-p");
    if output.status.success() || (names_pids && output.stdout.is_empty()) {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(io::Error::other(format!("ps ended with {}", output.status)))
    }
}

fn parse_rows(listing: &str) -> Vec<TableRow> {
    listing.lines().filter_map(parse_row).collect()
}

/// Parses `pid ppid stat Www Mmm dd hh:mm:ss yyyy command`.
fn parse_row(line: &str) -> Option<TableRow> {
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_start();
        let (field, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail;
        (!field.is_empty()).then_some(field)
    };
    let pid = field()?.parse().ok()?;
    let parent = field()?.parse().ok()?;
    let liveness = if field()?.starts_with('Z') { Liveness::Ended } else { Liveness::Alive };
    let _weekday = field()?;
    let (month, day, time, year) = (field()?, field()?, field()?, field()?);
    let started = StartTime(seconds(year, month, day, time)?);
    Some(TableRow {
        pid,
        parent,
        started,
        liveness,
        role: Role::Unmarked,
        command: rest.trim().to_owned(),
    })
}

/// Returns seconds on a calendar whose years have 12 × 31 days, enough to order and to compare.
fn seconds(year: &str, month: &str, day: &str, time: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = u64::try_from(MONTHS.iter().position(|&name| name == month)?).ok()?;
    let days = (year.parse::<u64>().ok()? * 12 + month) * 31 + day.parse::<u64>().ok()?;
    let mut seconds = days * 24;
    let mut parts = time.split(':').map(str::parse::<u64>);
    seconds = (seconds + parts.next()?.ok()?) * 60;
    seconds = (seconds + parts.next()?.ok()?) * 60;
    Some(seconds + parts.next()?.ok()?)
}

/// Parses `pid command arguments environment`.
fn words_of(line: &str) -> Option<(u32, &str)> {
    let (pid, words) = line.trim_start().split_once(' ')?;
    Some((pid.parse().ok()?, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
    1     0 Ss   Fri Nov 21 08:39:05 2025 init
  812     1 Z+   Fri Nov  1 00:00:00 2024 sh <defunct>
 4711   812 S    Wed Dec 31 23:59:59 2025 my shell
garbage
   99
";

    #[test]
    fn parses_a_listing() {
        let table = parse_rows(LISTING);
        assert_eq!(
            table
                .iter()
                .map(|row| (row.pid, row.parent, row.liveness, row.command.as_str()))
                .collect::<Vec<_>>(),
            [
                (1, 0, Liveness::Alive, "init"),
                (812, 1, Liveness::Ended, "sh <defunct>"),
                (4711, 812, Liveness::Alive, "my shell"),
            ]
        );
        assert!(table[1].started < table[0].started);
        assert!(table[0].started < table[2].started);
    }

    #[test]
    fn start_times_order_like_the_calendar() {
        let times = [
            ("2024", "Feb", "29", "23:59:59"),
            ("2024", "Mar", "1", "00:00:00"),
            ("2024", "Mar", "1", "00:00:01"),
            ("2024", "Dec", "31", "23:59:59"),
            ("2025", "Jan", "1", "00:00:00"),
        ]
        .map(|(year, month, day, time)| seconds(year, month, day, time).expect("valid"));
        assert!(times.is_sorted_by(|one, other| one < other));
        assert_eq!(times[2] - times[1], 1);
        assert_eq!(seconds("2024", "Foo", "1", "00:00:00"), None);
        assert_eq!(seconds("2024", "Jan", "1", "00:00"), None);
    }

    #[test]
    fn parses_an_environment_listing() {
        assert_eq!(words_of("  10 sleep 60 A=1"), Some((10, "sleep 60 A=1")));
        assert_eq!(words_of("  10"), None);
        assert_eq!(words_of("words of a command with a line break"), None);
    }

    #[test]
    fn the_real_ps_shows_this_process() {
        let own = std::process::id();
        let table = snapshot(|_| None).expect("ps runs");
        let row = table.iter().find(|row| row.pid == own).expect("listed");
        assert_eq!(row.liveness, Liveness::Alive);
        let again = rows(&[own]).expect("ps runs").pop().expect("listed");
        assert!(row.started.0.abs_diff(again.started.0) <= 2);
        assert_eq!(row.parent, again.parent);
    }

    #[test]
    fn the_real_ps_says_nothing_of_a_pid_that_is_gone() {
        let mut child = Command::new("true").spawn().expect("true runs");
        let pid = child.id();
        child.wait().expect("ends");
        assert!(rows(&[pid]).expect("ps runs").is_empty());
    }
}
