//! This test program once more, as a program of its own that can be killed: it runs one prompt.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::{env, fs, process};

use opencode_client::{Binary, RunEventKind, RunRequest, ServeRequest};

use super::Host;
use super::world::World;

/// Set for the copy: what it does.
const PART: &str = "OPENCODE_TEST_PART";

/// What the copy does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Aborts at the first event.
    Abort,
    /// Exits at the first event, without an end of the run.
    Exit,
    /// Runs to the end, and tells how much memory that took.
    Measure,
    /// Starts a server instead, and waits for its end.
    Serve,
    /// Asks for the version instead.
    Version,
    /// Goes on for as long as the run does.
    Wait,
}

/// The copy. Killed, at the latest when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Starts the copy in a process group of its own, with the runs of `world`.
pub(crate) fn start(world: &World, part: Part) -> Program {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", &world.host.part(), "--nocapture"])
        .env_clear()
        .envs(world.environment())
        .env(PART, format!("{part:?}"))
        .env("OPENCODE_BINARY", world.fake.program())
        .env("TMPDIR", world.path("temp"))
        .current_dir(world.path("project"))
        .process_group(0)
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Program { child, lines }
}

impl Program {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it tells this, and returns what it tells about it.
    pub(crate) fn told(&mut self, what: &str) -> String {
        let prefix = format!("{what}=");
        let value =
            |line: std::io::Result<String>| Some(line.unwrap().strip_prefix(&prefix)?.to_owned());
        self.lines.by_ref().find_map(value).unwrap_or_else(|| panic!("it does not tell {what}"))
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, or it does now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the copy does; without a part there is nothing to do.
///
/// # Panics
///
/// When what it does fails.
#[doc(hidden)]
pub fn plays_its_part(on: &Host) {
    let part = match env::var(PART).as_deref() {
        Ok("Abort") => Part::Abort,
        Ok("Exit") => Part::Exit,
        Ok("Measure") => Part::Measure,
        Ok("Serve") => Part::Serve,
        Ok("Version") => Part::Version,
        Ok("Wait") => Part::Wait,
        Ok(part) => panic!("no such part: {part}"),
        Err(_) => return,
    };
    on.block_on(play(on, part));
}

async fn play(on: &Host, part: Part) {
    let opencode = on.builder().binary(Binary::Search).build();
    match part {
        Part::Abort | Part::Exit | Part::Measure | Part::Wait => {}
        Part::Serve => {
            let server = opencode.serve(ServeRequest::new()).await.unwrap();
            tell("event", "serving");
            server.exited().await;
            return;
        }
        Part::Version => return drop(opencode.version().await.unwrap()),
    }
    let before_kb = memory_kb("VmRSS");
    let mut run = opencode.stream(RunRequest::new("Hello?"));
    let mut unknown = 0;
    tell("running", process::id());
    while let Some(event) = run.next_event().await {
        tell_event(&event.kind);
        match part {
            Part::Abort => process::abort(),
            Part::Exit => process::exit(0),
            Part::Measure => unknown += usize::from(is_unknown(&event.kind)),
            Part::Serve | Part::Version | Part::Wait => {}
        }
    }
    run.outcome().await.unwrap();
    tell("unknown", unknown);
    tell("grown_kb", memory_kb("VmHWM") - before_kb);
}

fn tell_event(kind: &RunEventKind) {
    if matches!(kind, RunEventKind::StepStart(_)) {
        tell("event", "step_start");
    }
}

fn is_unknown(kind: &RunEventKind) -> bool {
    matches!(kind, RunEventKind::Unknown { .. })
}

/// Past the harness, which writes into its lines as it likes.
#[allow(clippy::explicit_write, reason = "the harness captures what `println!` prints")]
fn tell(what: &str, value: impl std::fmt::Display) {
    writeln!(std::io::stdout(), "\n{what}={value}").unwrap();
}

/// A line of `/proc/self/status`.
fn memory_kb(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
