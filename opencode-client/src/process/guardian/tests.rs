//! The guardian with real processes, and its script by itself, under other shells and without the
//! tools that make it fast.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::*;
use crate::process::process_tree::tests::{exists, has_ended_within, is_alive};

mod client;

/// Generous, for a loaded machine: no test waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell, marked, and ready for what is to come.
struct Process(Child);

impl Process {
    fn start(marker: &str, script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env(Marker::NAME, marker)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let stdout = child.stdout.take().expect("piped");
        assert_eq!(lines(stdout).next().as_deref(), Some("ready"));
        Self(child)
    }

    fn sleeping(marker: &str) -> Self {
        Self::start(marker, "echo ready; exec sleep 1000")
    }

    fn is_alive(&self) -> bool {
        is_alive(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn closes_well(guardian: Guardian) -> bool {
    guardian.close().expect("started").success()
}

fn lines(stdout: impl io::Read) -> impl Iterator<Item = String> {
    BufReader::new(stdout).lines().map(|line| line.expect("readable"))
}

/// A directory named after the run, with a secret in it, below one whose name is hard on shells.
fn private_dir(parent: &Path, token: &str) -> PathBuf {
    let path = parent
        .join("a 'b\" $(touch x) `touch y` *\\t \\0101 %s é\n;& -rf")
        .join(format!("opencode-{token}"));
    fs::create_dir_all(&path).expect("created");
    fs::write(path.join("auth.json"), "{}").expect("written");
    path
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("positive");
    rustix::process::kill_process(pid, Signal::KILL).expect("killed");
}

/// Runs the script until its input ends, in a shell, with this `PATH` and process table.
fn run_script(shell: &str, path: &OsString, process_table: &str, input: &str) -> ExitStatus {
    let mut child = Command::new(shell)
        .args(["-c", SCRIPT, "guardian", Marker::NAME, process_table])
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::piped())
        .spawn()
        .expect(shell);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    child.wait().expect("ends")
}

#[test]
fn a_shell_that_is_missing_is_an_error() {
    let started = Shell::start("/nonexistent/sh", &OsString::new(), b"", |_| {});
    let error = started.expect_err("missing");
    assert!(matches!(error, GuardianError::Start(_)), "{error:?}");
}

#[test]
fn touches_nothing_of_a_finished_run_and_leaves_no_zombie() {
    let directory = tempfile::tempdir().expect("created");
    let marker = Marker::fresh(None);
    let private_dir = private_dir(directory.path(), marker.token());
    let process = Process::sleeping(marker.value());

    let guardian = Guardian::new(None);
    guardian.watch(marker.token(), Some(&private_dir)).expect("told");
    guardian.done(marker.token()).expect("told");
    let pid = guardian.pid().expect("started");
    drop(guardian);
    assert!(!exists(pid), "not even a zombie");
    assert!(process.is_alive() && private_dir.join("auth.json").exists());
}

#[test]
fn a_guardian_that_is_killed_is_replaced_at_once() {
    let directory = tempfile::tempdir().expect("created");
    let marker = Marker::fresh(None);
    let private_dir = private_dir(directory.path(), marker.token());
    let process = Process::sleeping(marker.value());

    let guardian = Guardian::new(None);
    guardian.watch(marker.token(), Some(&private_dir)).expect("told");
    for _ in 0..3 {
        let pid = guardian.pid().expect("started");
        kill(pid);
        assert!(has_ended_within(pid, PATIENCE));
        while guardian.pid().is_none_or(|replacement| replacement == pid) {
            thread::yield_now();
        }
    }
    assert!(process.is_alive() && private_dir.exists());
    // The last one knows the run.
    assert!(closes_well(guardian));
    assert!(!process.is_alive() && !private_dir.exists());
}

#[test]
fn a_replacement_knows_more_runs_than_a_pipe_holds() {
    let directory = tempfile::tempdir().expect("created");
    let parent = directory.path().join("long ".repeat(40));
    let runs: Vec<_> = (0..400)
        .map(|_| {
            let token = Marker::fresh(None).token().to_owned();
            (private_dir(&parent, &token), token)
        })
        .collect();

    let guardian = Guardian::new(None);
    for (private_dir, token) in &runs {
        guardian.watch(token, Some(private_dir)).expect("told");
    }
    let pid = guardian.pid().expect("started");
    kill(pid);
    assert!(has_ended_within(pid, PATIENCE));
    while guardian.pid().is_none_or(|replacement| replacement == pid) {
        thread::yield_now();
    }
    assert!(closes_well(guardian));
    assert!(runs.iter().all(|(private_dir, _)| !private_dir.exists()));
}

#[test]
fn starts_with_the_first_run_only() {
    let guardian = Guardian::new(None);
    guardian.done("0-0").expect("nothing to do");
    assert_eq!(guardian.pid(), None);
    assert!(guardian.close().is_none());
}

#[test]
fn outlives_the_signals_of_a_terminal_and_a_service_manager() {
    let marker = Marker::fresh(None);
    let process = Process::sleeping(marker.value());
    let guardian = Guardian::new(None);
    guardian.watch(marker.token(), None).expect("told");
    // More than a pipe holds: it is reading when this returns, so it has set itself up.
    let lines = "\n".repeat(100_000);
    guardian.0.tell(&mut guardian.0.lock(), &lines).expect("told");

    let pid = guardian.pid().expect("started");
    let group = Pid::from_raw(pid.cast_signed()).expect("positive");
    for signal in [Signal::INT, Signal::HUP, Signal::TERM] {
        rustix::process::kill_process_group(group, signal).expect("a group of its own");
    }
    assert!(closes_well(guardian));
    assert!(!process.is_alive());
}

#[test]
fn is_started_anew_when_it_was_killed() {
    let (early, late) = (Marker::fresh(None), Marker::fresh(None));
    let processes = [Process::sleeping(early.value()), Process::sleeping(late.value())];
    let guardian = Guardian::new(None);
    guardian.watch(early.token(), None).expect("told");
    let pid = guardian.pid().expect("started");
    kill(pid);
    assert!(has_ended_within(pid, PATIENCE));

    guardian.watch(late.token(), None).expect("told");
    assert_ne!(guardian.pid(), Some(pid));
    assert!(closes_well(guardian));
    assert!(!processes.iter().any(Process::is_alive));
}

#[test]
fn a_dropped_handle_has_its_runs_ended_in_the_background() {
    let marker = Marker::fresh(None);
    let process = Process::sleeping(marker.value());
    let guardian = Guardian::new(None);
    guardian.watch(marker.token(), None).expect("told");
    drop(guardian);
    assert!(has_ended_within(process.0.id(), PATIENCE));
}

#[test]
fn matches_whole_tokens_in_every_shell_and_without_fast_tools() {
    let tools = tempfile::tempdir().expect("created");
    let plain_grep = tools.path().join("grep");
    let script = "#!/bin/sh\ncase $1 in -*z*) exit 2 ;; esac\nPATH=${PATH#*:} exec grep \"$@\"\n";
    fs::write(&plain_grep, script).expect("written");
    fs::set_permissions(&plain_grep, fs::Permissions::from_mode(0o755)).expect("changed");
    let system = OsString::from(SYSTEM_PATH);
    let mut without_nul_lines = OsString::from(tools.path());
    without_nul_lines.push(":");
    without_nul_lines.push(&system);

    for (shell, path, process_table) in [
        ("sh", &system, PROCESS_TABLE),
        ("bash", &system, PROCESS_TABLE),
        ("sh", &without_nul_lines, PROCESS_TABLE),
        ("bash", &without_nul_lines, PROCESS_TABLE),
        ("sh", &system, "/nonexistent"),
        ("bash", &system, "/nonexistent"),
    ] {
        let (ours, also_ours, other) =
            (Marker::fresh(None), Marker::fresh(None), Marker::fresh(None));
        let (token, other) = (ours.token(), other.token());
        let members = [
            token.to_owned(),
            format!("{other}:{token}"),
            format!("{token}:{other}"),
            format!("{other}:{token}:{other}"),
            also_ours.token().to_owned(),
        ]
        .map(|value| Process::sleeping(&value));
        let strangers = [
            other.to_owned(),
            format!("{token}0"),
            format!("0{token}"),
            format!("{other}:{token}0:{other}"),
            String::new(),
        ]
        .map(|value| Process::sleeping(&value));

        let also = also_ours.token();
        let input = format!(
            "watch {other} \nwatch {token}\nwatch {other}0 /x\ndone {other}\nwatch {also}\n\
             done {other}0\n"
        );
        let status = run_script(shell, path, process_table, &input);
        assert!(status.success(), "{shell}: {status}");
        assert!(!members.iter().any(Process::is_alive), "{shell}");
        assert!(strangers.iter().all(Process::is_alive), "{shell}");
    }
}

#[test]
fn lets_processes_tidy_up_and_kills_the_deaf() {
    let directory = tempfile::tempdir().expect("created");
    let note = directory.path().join("note");
    let marker = Marker::fresh(None);
    let polite = Process::start(
        marker.value(),
        &format!(
            "trap 'echo tidy > {}; exit' TERM; echo ready; while :; do sleep 0.01; done",
            note.display()
        ),
    );
    let deaf =
        Process::start(marker.value(), "trap '' TERM; echo ready; while :; do sleep 0.01; done");
    let input = format!("watch {}\n", marker.token());
    assert!(run_script("sh", &SYSTEM_PATH.into(), PROCESS_TABLE, &input).success());
    assert!(!polite.is_alive() && !deaf.is_alive());
    assert_eq!(fs::read_to_string(note).expect("written"), "tidy\n");
}

#[test]
fn removes_directories_that_tools_have_closed_and_nothing_they_point_to() {
    let directory = tempfile::tempdir().expect("created");
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).expect("created");
    fs::write(outside.join("precious"), "").expect("written");

    let marker = Marker::fresh(None);
    let private_dir = private_dir(directory.path(), marker.token());
    symlink(&outside, private_dir.join("link")).expect("linked");
    let closed = private_dir.join("module").join("cache");
    fs::create_dir_all(&closed).expect("created");
    fs::write(closed.join("file"), "").expect("written");
    for (path, mode) in [(&closed, 0o000), (&private_dir.join("module"), 0o555)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
    }

    let guardian = Guardian::new(None);
    guardian.watch(marker.token(), Some(&private_dir)).expect("told");
    assert!(closes_well(guardian));
    assert!(!private_dir.exists());
    assert!(private_dir.parent().expect("has one").exists());
    assert!(outside.join("precious").exists());
}

#[test]
fn removes_no_directory_that_is_not_named_after_the_run() {
    let directory = tempfile::tempdir().expect("created");
    let token = Marker::fresh(None).token().to_owned();
    let target = directory.path().join("target");
    let below = directory.path().join(&token).join("below");
    fs::create_dir_all(&target).expect("created");
    fs::create_dir_all(&below).expect("created");
    let link = directory.path().join(format!("link-{token}"));
    symlink(&target, &link).expect("linked");

    for (path, is_refused) in [
        (target.as_path(), true),
        (&below, true),
        (&below.join("..").join("..").join(&token), true),
        (Path::new("/"), true),
        (Path::new(&token), true),
        // Nothing to do: neither is a directory.
        (&link, false),
        (&directory.path().join("gone").join(&token), false),
    ] {
        let guardian = Guardian::new(None);
        guardian.watch(&token, Some(path)).expect("told");
        let closed = guardian.close().expect("started");
        assert_eq!(!closed.success(), is_refused, "{path:?}: {closed:?}");
        assert!(target.exists() && below.exists() && link.exists(), "{path:?}");
    }
}
