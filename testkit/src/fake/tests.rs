use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::*;

fn command(fake: &Fake) -> Command {
    let mut command = Command::new(fake.program());
    command.envs([fake.env()]).stdin(Stdio::null());
    command
}

#[test]
fn the_program_prints_and_exits_as_scripted() {
    let behavior = Behavior::new()
        .stdout_line("it's $HOME \"and\" `more`")
        .stdout_raw([0, 255, b'\n', 0])
        .stderr_line("oops")
        .stderr_raw("no line")
        .exit(3);
    let output = command(&Fake::new(behavior).unwrap()).output().unwrap();
    assert_eq!(output.stdout, b"it's $HOME \"and\" `more`\n\0\xff\n\0");
    assert_eq!(output.stderr, b"oops\nno line");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_call_is_recorded_and_debug_hides_its_values() {
    let fake = Fake::new(Behavior::new().read_stdin()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let args = ["run", "", "two\nlines", "a 'b' \"c\"", "-n"];
    let (name, value) = fake.env();
    let mut child = Command::new(fake.program())
        .args(args)
        .env_clear()
        .env(&name, &value)
        .env("SECRET", "a=b\nc")
        .env("PATH", "/nowhere")
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    child.stdin.take().unwrap().write_all(b"a prompt\0\xff\n").unwrap();
    assert!(child.wait().unwrap().success());

    let calls = fake.calls().unwrap();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(call.pid, pid);
    assert_eq!(call.args, args);
    assert_eq!(call.cwd, dir.path().canonicalize().unwrap());
    assert_eq!(call.stdin.as_deref(), Some(&b"a prompt\0\xff\n"[..]));
    let env: Vec<_> = call
        .env
        .iter()
        .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
        .collect();
    assert_eq!(env, [(name.as_str(), value.as_str()), ("PATH", "/nowhere"), ("SECRET", "a=b\nc")]);

    let shown = format!("{call:?}");
    assert!(shown.contains("SECRET"), "{shown}");
    assert!(
        !shown.contains("a=b") && !shown.contains("two") && !shown.contains("prompt"),
        "{shown}"
    );
}

#[test]
fn calls_without_arguments_or_input_are_recorded() {
    let fake = Fake::new(Behavior::new()).unwrap();
    assert_eq!(fake.calls().unwrap().len(), 0);
    assert!(command(&fake).status().unwrap().success());
    let calls = fake.calls().unwrap();
    assert_eq!(calls[0].args.len(), 0);
    assert_eq!(calls[0].stdin, None);
}

#[test]
fn every_call_plays_its_own_behavior() {
    let fake = Fake::with_attempts([
        Behavior::new().stderr_line("database is locked").exit(1),
        Behavior::new().stdout_line("second"),
        Behavior::new().stdout_line("later"),
    ])
    .unwrap();
    let outputs: Vec<_> = (0..4).map(|_| command(&fake).output().unwrap()).collect();
    assert_eq!(outputs[0].status.code(), Some(1));
    assert_eq!(outputs[0].stderr, b"database is locked\n");
    let printed: Vec<_> = outputs[1..].iter().map(|output| &output.stdout[..]).collect();
    assert_eq!(printed, [&b"second\n"[..], b"later\n", b"later\n"]);
}

#[test]
fn parallel_calls_play_different_behaviors() {
    const CALLS: usize = 8;
    let behavior = |number: usize| Behavior::new().stdout_raw(number.to_string());
    let fake = Fake::with_attempts((0..CALLS).map(behavior)).unwrap();
    let children: Vec<_> =
        (0..CALLS).map(|_| command(&fake).stdout(Stdio::piped()).spawn().unwrap()).collect();
    let mut printed: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().stdout).collect();
    printed.sort();
    assert_eq!(
        printed,
        (0..CALLS).map(|number| number.to_string().into_bytes()).collect::<Vec<_>>()
    );
    assert_eq!(fake.calls().unwrap().len(), CALLS);
}

#[test]
fn version_calls_are_answered_and_not_recorded() {
    let fake = Fake::new(Behavior::new().exit(1)).unwrap();
    let version = || command(&fake).arg("--version").output().unwrap().stdout;
    assert_eq!(version(), format!("{}\n", crate::opencode::VERSION).into_bytes());
    fake.set_version("0.1.0").unwrap();
    assert_eq!(version(), b"0.1.0\n");
    assert_eq!(fake.calls().unwrap().len(), 0);
}

#[test]
fn the_program_can_end_by_a_signal() {
    for (signal, number) in [(Signal::Kill, 9), (Signal::Terminate, 15), (Signal::Hangup, 1)] {
        let fake = Fake::new(Behavior::new().stdout_line("a").kill_self(signal)).unwrap();
        let output = command(&fake).output().unwrap();
        assert_eq!((output.status.signal(), &output.stdout[..]), (Some(number), &b"a\n"[..]));
    }
}

#[test]
fn the_program_waits_for_a_gate_and_for_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it's here");
    let behavior = Behavior::new()
        .stdout_line("a")
        .pause_until("go")
        .stdout_line("b")
        .wait_for_file(&file)
        .stdout_line("c");
    let fake = Fake::new(behavior).unwrap();
    let mut child = command(&fake).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut line = || {
        let mut line = [0; 2];
        stdout.read_exact(&mut line).unwrap();
        line
    };
    assert_eq!(line(), *b"a\n");
    assert!(child.try_wait().unwrap().is_none());
    fake.open("go").unwrap();
    assert_eq!(line(), *b"b\n");
    fs::write(&file, "").unwrap();
    assert_eq!(line(), *b"c\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_program_can_close_stdout_and_continue() {
    let fake = Fake::new(Behavior::new().stdout_line("a").close_stdout().hang()).unwrap();
    let mut child = command(&fake).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "a\n");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use super::*;
    use crate::processes::{Process, eventually, with_env};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_hanging_program_ends_by_a_signal_that_is_not_ignored() {
        let behavior = Behavior::new().ignore(Signal::Terminate).stdout_line("a").hang();
        let fake = Fake::new(behavior).unwrap();
        let mut child = command(&fake).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        send(child.id(), "TERM");
        send(child.id(), "HUP");
        assert_eq!(child.wait().unwrap().signal(), Some(1));
    }

    #[test]
    fn started_processes_outlive_the_program_but_not_the_fake() {
        let behavior = Behavior::new().spawn_orphan(Pipes::Close).spawn_tool(Pipes::Close);
        let fake = Fake::new(behavior.stdout_line("a").hang()).unwrap();
        let mut child = command(&fake).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 2]).unwrap();
        let started = fake.calls().unwrap()[0].started.clone();
        assert_eq!(started.len(), 2);
        for pid in &started {
            eventually(PATIENCE, || match stat(*pid) {
                stat if stat.comm == "sleep" && stat.session == *pid as i32 => Ok(()),
                stat => Err((stat.comm, stat.session)),
            });
        }
        assert_ne!(stat(started[0]).ppid, child.id() as i32, "the orphan is a child");
        assert_eq!(stat(started[1]).ppid, child.id() as i32, "the tool is not a child");

        child.kill().unwrap();
        child.wait().unwrap();
        // The started processes hold no pipe, so that the read ends.
        stdout.read_to_end(&mut Vec::new()).unwrap();
        // A command of the shell script may take a moment longer to end.
        eventually(PATIENCE, || match pids(&left(&fake)) {
            pids if pids == sorted(&started) => Ok(()),
            pids => Err(pids),
        });
        let (name, value) = fake.env();
        drop(fake);
        eventually(PATIENCE, || match with_env(&name, &value) {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        });
    }

    #[test]
    fn started_processes_can_hold_the_pipes() {
        let behavior = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Hold);
        let fake = Fake::new(behavior).unwrap();
        let mut child = command(&fake).stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        let mut stdout = child.stdout.take().unwrap();
        let started = fake.calls().unwrap()[0].started.clone();
        let pipe = fs::read_link(format!("/proc/self/fd/{}", fd(&stdout))).unwrap();
        for pid in &started {
            assert_eq!(fs::read_link(format!("/proc/{pid}/fd/1")).unwrap(), pipe);
        }
        drop(fake);
        assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn dropping_the_fake_kills_a_hanging_program() {
        let fake = Fake::new(Behavior::new().ignore(Signal::Terminate).hang()).unwrap();
        let mut child = command(&fake).spawn().unwrap();
        let home = fake.home.path().to_owned();
        drop(fake);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!home.exists());
    }

    fn send(pid: u32, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn stat(pid: u32) -> procfs::process::Stat {
        procfs::process::Process::new(pid as i32).unwrap().stat().unwrap()
    }

    fn left(fake: &Fake) -> Vec<Process> {
        let (name, value) = fake.env();
        with_env(&name, value)
    }

    fn pids(processes: &[Process]) -> Vec<u32> {
        sorted(&processes.iter().map(|process| process.pid).collect::<Vec<_>>())
    }

    fn sorted(pids: &[u32]) -> Vec<u32> {
        let mut pids = pids.to_vec();
        pids.sort_unstable();
        pids
    }

    fn fd(file: &impl std::os::fd::AsRawFd) -> i32 {
        file.as_raw_fd()
    }
}
