//! Real processes: orphans, hiders, the deaf, the restless and the dead.

#![expect(clippy::disallowed_methods, reason = "real processes end in real time")]

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use super::handle::{Handle, SignalDelivery, hold, signal, wait_for_one};
use super::row::{Liveness, StartTime, TableRow};
use super::table::TableSource;
use super::*;

/// Generous, for a loaded machine: no test waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

const AT_ONCE: SweepLimits = SweepLimits { grace: Duration::ZERO, kill_timeout: PATIENCE };

const SOURCES: [TableSource; 2] = [TableSource::HERE, TableSource::Ps];

/// A shell script as the root of a run; everything it starts holds its stdout.
struct Run {
    root: Child,
    stdout: BufReader<ChildStdout>,
    marker: Marker,
    tree: ProcessTree,
}

impl Run {
    fn start(source: TableSource, script: &str) -> Self {
        Self::start_with(source, Marker::fresh(None), script)
    }

    fn start_with(source: TableSource, marker: Marker, script: &str) -> Self {
        let mut root = Command::new("sh")
            .args(["-c", script])
            .env(Marker::NAME, marker.value())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let tree = ProcessTree::with_source(root.id(), marker.clone(), source);
        let stdout = BufReader::new(root.stdout.take().expect("piped"));
        Self { root, stdout, marker, tree }
    }

    /// The next line of output: how a script says that it has got somewhere.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("readable");
        line.trim_end().to_owned()
    }

    fn pid(&mut self) -> u32 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("no pid: {line:?}"))
    }

    /// The rest of the output. Comes when nobody holds stdout any more: everybody is gone.
    fn rest(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = self.stdout.buffer().to_vec();
        self.stdout.consume(rest.len());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let pipe = self.stdout.get_mut();
            let ready = {
                let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
                poll(&mut fds, Some(&Timespec::try_from(left).expect("fits"))).expect("polls")
            };
            assert!(ready > 0, "somebody is alive and holds stdout");
            let mut chunk = [0; 4096];
            match pipe.read(&mut chunk).expect("readable") {
                0 => return String::from_utf8(rest).expect("text"),
                size => rest.extend(&chunk[..size]),
            }
        }
    }

    fn reap(&mut self) {
        self.root.wait().expect("waited for");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A failed test must not leave processes behind either.
        self.tree.kill().ok();
        self.reap();
    }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    TableSource::HERE
        .row(pid)
        .expect("readable")
        .is_some_and(|process| process.liveness == Liveness::Alive)
}

/// Whether there is a process of this pid, be it a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    TableSource::HERE.row(pid).expect("readable").is_some()
}

pub(crate) fn has_ended_within(pid: u32, patience: Duration) -> bool {
    let row = TableSource::HERE.row(pid).expect("readable");
    let handle = row.and_then(|row| hold_one(&row, TableSource::HERE));
    handle.is_none_or(|handle| {
        let until = Instant::now() + patience;
        wait_for_one(&[&handle], until, TableSource::HERE).expect("waited") == [true]
    })
}

fn hold_one(row: &TableRow, source: TableSource) -> Option<Handle> {
    hold(&[row], source).expect("looked up").pop().expect("one for one")
}

#[test]
fn sweeps_orphans_in_sessions_of_their_own() {
    for source in SOURCES {
        let mut run = Run::start(
            source,
            "setsid sh -c 'echo $$; exec sleep 1000' &
             read -r never </dev/null
             setsid sh -c '(echo in the background; exec sleep 1000) & exit'
             exit 0",
        );
        let lines = [run.line(), run.line()];
        assert!(lines.contains(&"in the background".to_owned()), "{lines:?}");
        run.reap();

        run.tree.sweep(AT_ONCE).expect("everybody ends");
        assert_eq!(run.rest(), "");
        run.tree.sweep(AT_ONCE).expect("nothing is left to do");
    }
}

#[test]
fn kills_children_that_cleared_their_environment() {
    for source in SOURCES {
        let mut run = Run::start(
            source,
            "env -i setsid sh -c 'env -i sh -c \"echo ready; exec sleep 1000\" & wait' & wait",
        );
        assert_eq!(run.line(), "ready");
        run.tree.kill().expect("killed");
        assert_eq!(run.rest(), "");
        run.reap();
        run.tree.sweep(AT_ONCE).expect("nothing is left");
    }
}

#[test]
fn remembers_those_who_hide_later() {
    for source in SOURCES {
        let mut run = Run::start(
            source,
            "env -i setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.01; done' & wait",
        );
        assert_eq!(run.line(), "ready");
        run.tree.terminate().expect("asked");
        run.reap();
        run.tree.sweep(AT_ONCE).expect("the orphan ends");
        assert_eq!(run.rest(), "");
    }
}

#[test]
fn asks_before_it_kills() {
    let mut run = Run::start(
        TableSource::HERE,
        "setsid sh -c 'trap \"echo tidy; exit\" TERM; echo ready; while :; do sleep 0.01; done' &
         exit 0",
    );
    assert_eq!(run.line(), "ready");
    run.reap();
    let limits = SweepLimits { grace: PATIENCE, kill_timeout: PATIENCE };
    run.tree.sweep(limits).expect("ends by itself");
    assert_eq!(run.rest(), "tidy\n");
}

#[test]
fn kills_the_deaf_after_the_grace() {
    for source in SOURCES {
        let mut run = Run::start(
            source,
            "setsid sh -c 'trap \"\" TERM HUP INT; echo ready; while :; do sleep 0.01; done' &
             exit 0",
        );
        assert_eq!(run.line(), "ready");
        run.reap();
        let limits = SweepLimits { grace: Duration::from_millis(50), kill_timeout: PATIENCE };
        run.tree.sweep(limits).expect("killed");
        assert_eq!(run.rest(), "");
    }
}

#[test]
fn asks_the_stopped_too() {
    let mut run = Run::start(
        TableSource::HERE,
        "trap 'echo tidy; exit' TERM; echo ready; kill -STOP $$; while :; do sleep 0.01; done",
    );
    assert_eq!(run.line(), "ready");
    let pid = Pid::from_child(&run.root);
    let (_, status) =
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("waits").expect("has changed");
    assert!(status.stopped());

    run.tree.terminate().expect("signalled");
    assert_eq!(run.rest(), "tidy\n");
}

#[test]
fn kills_those_who_multiply_meanwhile() {
    // They start sleepers in sessions of their own, as fast as they can.
    let breed = |name: &str| {
        format!("n=0; while [ $n -lt 3000 ]; do echo {name}; setsid sleep 1000 & n=$((n+1)); done")
    };
    let mut run = Run::start(
        TableSource::HERE,
        &format!("setsid sh -c '{}' & setsid sh -c '{}' & wait", breed("one"), breed("two")),
    );
    let first = run.line();
    assert!(["one", "two"].contains(&first.as_str()), "{first:?}");
    run.tree.kill().expect("killed");
    let born = run.rest();
    run.reap();
    run.tree.sweep(AT_ONCE).expect("nothing is left");

    let count = |name: &str| born.lines().filter(|&line| line == name).count();
    assert!(count("one") < 2999 && count("two") < 2999, "only killed when they were through");
}

#[test]
fn a_zombie_has_ended() {
    let mut run = Run::start(TableSource::HERE, "exit 0");
    assert_eq!(run.rest(), "");
    // The root is a zombie now, and so is this child after the sweep: nobody waits for it.
    let mut zombie = Command::new("sleep")
        .arg("1000")
        .env(Marker::NAME, run.marker.value())
        .spawn()
        .expect("sleep starts");
    run.tree.sweep(AT_ONCE).expect("zombies do not count");
    let is_alive = is_alive(zombie.id());
    zombie.kill().expect("killed");
    zombie.wait().expect("waited for");
    assert!(!is_alive);
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn tells_the_stopped_from_those_who_may_run() {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("starts");
    let pid = Pid::from_child(&child);
    assert!(TableSource::HERE.may_run(child.id()).expect("readable"));
    rustix::process::kill_process(pid, Signal::STOP).expect("stopped");
    waitpid(Some(pid), WaitOptions::UNTRACED).expect("waits");
    assert!(!TableSource::HERE.may_run(child.id()).expect("readable"));
    child.kill().expect("killed");
    child.wait().expect("waited for");
    assert!(!TableSource::HERE.may_run(child.id()).expect("readable"));
}

#[test]
fn finds_those_who_have_only_just_started() {
    let marker = Marker::fresh(None);
    for _ in 0..50 {
        let mut child = Command::new("sleep")
            .arg("1000")
            .env(Marker::NAME, marker.value())
            .spawn()
            .expect("sleep starts");
        // No child of a member, so that its environment alone tells.
        let mut tree = ProcessTree::new(u32::MAX, marker.clone());
        tree.sweep(AT_ONCE).expect("ended");
        let is_alive = is_alive(child.id());
        child.kill().expect("killed");
        child.wait().expect("waited for");
        assert!(!is_alive);
    }
}

#[test]
fn leaves_others_alone() {
    for source in SOURCES {
        let mut other =
            Run::start(source, "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait");
        let others = [other.pid(), other.pid()];

        let mut run = Run::start(source, "setsid sh -c 'echo $$; exec sleep 1000' & wait");
        let pid = run.pid();
        run.tree.kill().expect("killed");
        run.reap();
        run.tree.sweep(AT_ONCE).expect("all gone");

        assert!(!is_alive(pid));
        assert!(others.into_iter().all(is_alive), "{others:?}");
        other.tree.kill().expect("killed");
        assert_eq!(other.rest(), "");
    }
}

#[test]
fn an_inner_run_ends_alone_and_an_outer_one_with_all_within() {
    let outer = Marker::fresh(None);
    let inner = Marker::fresh(Some(outer.value().as_ref()));
    let script = format!(
        "echo $$; setsid env {}={} sh -c 'echo $$; exec sleep 1000' & wait; echo waited; sleep 1000",
        Marker::NAME,
        inner.value()
    );

    let mut run = Run::start_with(TableSource::HERE, outer.clone(), &script);
    let (outer_pid, inner_pid) = (run.pid(), run.pid());
    // No child of this process: only the marker leads there.
    let mut tree = ProcessTree::new(u32::MAX, inner);
    tree.sweep(AT_ONCE).expect("the inner one ends");
    assert_eq!(run.line(), "waited");
    assert!(is_alive(outer_pid) && !is_alive(inner_pid));

    let mut run = Run::start_with(TableSource::HERE, outer, &script);
    let _pids = [run.pid(), run.pid()];
    run.root.kill().expect("killed");
    run.reap();
    run.tree.sweep(AT_ONCE).expect("the inner orphan ends");
    assert_eq!(run.rest(), "");
}

#[test]
fn spares_a_guardian() {
    for source in SOURCES {
        let mut run = Run::start(
            source,
            &format!("env {GUARDIAN_ENTRY} sh -c 'echo $$; exec sleep 1000' & wait"),
        );
        let guardian = run.pid();
        run.tree.kill().expect("killed");
        run.reap();
        run.tree.sweep(AT_ONCE).expect("the guardian does not count");
        assert!(is_alive(guardian));

        let pid = Pid::from_raw(guardian.cast_signed()).expect("positive");
        rustix::process::kill_process(pid, Signal::KILL).expect("killed");
        assert_eq!(run.rest(), "");
    }
}

#[test]
fn a_root_that_is_gone_already_is_no_error() {
    let mut root = Command::new("true").spawn().expect("true runs");
    let pid = root.id();
    root.wait().expect("ends");
    let mut tree = ProcessTree::new(pid, Marker::fresh(None));
    tree.terminate().expect("nothing to do");
    tree.kill().expect("nothing to do");
    tree.sweep(AT_ONCE).expect("nothing to do");
}

#[test]
fn a_root_that_is_not_our_child_is_not_touched() {
    let mut run = Run::start(TableSource::HERE, "sleep 1000 & echo $!; wait");
    let grandchild = run.pid();
    let mut tree = ProcessTree::new(grandchild, Marker::fresh(None));
    tree.kill().expect("nothing to do");
    tree.sweep(AT_ONCE).expect("nothing to do");
    assert!(is_alive(grandchild));
}

#[test]
fn a_handle_does_not_fit_another_process_of_the_same_pid() {
    for source in SOURCES {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("starts");
        let mut row = source.row(child.id()).expect("readable").expect("alive");
        let handle = hold_one(&row, source).expect("alive");
        row.started = StartTime(row.started.0 - 100);
        assert!(hold_one(&row, source).is_none());

        let kill = || {
            let (deliveries, result) = signal(&[&handle], Signal::KILL, source);
            result.expect("no other error");
            deliveries
        };
        assert_eq!(kill(), [SignalDelivery::Sent]);
        child.wait().expect("ends");
        assert_eq!(kill(), [SignalDelivery::Gone]);
    }
}

#[test]
fn survivors_are_named_without_control_characters() {
    let survivor = |pid, command: &str| Survivor { pid, command: command.to_owned() };
    let error =
        SweepError::Survived(Survivors(vec![survivor(12, "sleep"), survivor(345, "a\x1b[1m\nb")]));
    assert_eq!(
        error.to_string(),
        "processes of the run are still alive: 12 (sleep), 345 (a\\u{1b}[1m\\nb)"
    );
}
