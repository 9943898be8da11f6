//! This test executable as a separate client process that runs one prompt and can be killed.
//!
//! [`start`] runs the executable again with the name of the current test and [`ROLE`] set; the
//! test then plays the role instead of testing.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::{env, fs, process};

use opencode_client::process::Binary;
use opencode_client::{RunEventKind, RunRequest, ServeRequest};

use super::Host;
use super::world::ProgramWorld;

/// Environment variable with the role of a client process.
const ROLE: &str = "OPENCODE_TEST_ROLE";

/// Behaviour of a client process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientRole {
    /// Aborts at the first event.
    Abort,
    /// Exits at the first event, in the middle of the run.
    Exit,
    /// Runs to the end, and prints how much memory the run took.
    Measure,
    /// Starts a server, and waits for the end.
    Serve,
    /// Asks for the version of the program.
    Version,
    /// Runs to the end.
    Wait,
}

/// A client process, which is killed when the value is dropped.
pub(crate) struct ClientProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Starts a client process in a separate process group, for the fake program of `world`.
pub(crate) fn start(world: &ProgramWorld, role: ClientRole) -> ClientProcess {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", world.host.test(), "--nocapture"])
        .env_clear()
        .envs(world.environment())
        .env(ROLE, format!("{role:?}"))
        .env("OPENCODE_BINARY", world.fake.program())
        .env("TMPDIR", world.path("temp"))
        .current_dir(world.path("project"))
        .process_group(0)
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    ClientProcess { child, lines }
}

impl ClientProcess {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process prints `{name}=`, and returns the value.
    pub(crate) fn wait_for(&mut self, name: &str) -> String {
        let prefix = format!("{name}=");
        let value =
            |line: std::io::Result<String>| Some(line.unwrap().strip_prefix(&prefix)?.to_owned());
        self.lines.by_ref().find_map(value).unwrap_or_else(|| panic!("no {name} was printed"))
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays the role of a client process if the environment asks for one. Returns whether it did.
///
/// # Panics
///
/// When the role fails.
pub(super) fn plays_role(on: &Host) -> bool {
    let role = match env::var(ROLE).as_deref() {
        Ok("Abort") => ClientRole::Abort,
        Ok("Exit") => ClientRole::Exit,
        Ok("Measure") => ClientRole::Measure,
        Ok("Serve") => ClientRole::Serve,
        Ok("Version") => ClientRole::Version,
        Ok("Wait") => ClientRole::Wait,
        Ok(role) => panic!("unknown role {role}"),
        Err(_) => return false,
    };
    on.block_on(play(on, role));
    true
}

async fn play(on: &Host, role: ClientRole) {
    let opencode = on.builder().binary(Binary::Search).build();
    match role {
        ClientRole::Abort | ClientRole::Exit | ClientRole::Measure | ClientRole::Wait => {}
        ClientRole::Serve => {
            let server = opencode.serve(ServeRequest::new()).await.unwrap();
            print_value("event", "serving");
            server.exited().await;
            return;
        }
        ClientRole::Version => return drop(opencode.version().await.unwrap()),
    }
    let before_kb = memory_kb("VmRSS");
    let mut run = opencode.stream(RunRequest::new("Hello?"));
    let mut unknown = 0;
    print_value("running", process::id());
    while let Some(event) = run.next_event().await {
        print_event(&event.kind);
        match role {
            ClientRole::Abort => process::abort(),
            ClientRole::Exit => process::exit(0),
            ClientRole::Measure => unknown += usize::from(is_unknown(&event.kind)),
            ClientRole::Serve | ClientRole::Version | ClientRole::Wait => {}
        }
    }
    run.outcome().await.unwrap();
    print_value("unknown", unknown);
    print_value("grown_kb", memory_kb("VmHWM") - before_kb);
}

fn print_event(kind: &RunEventKind) {
    if matches!(kind, RunEventKind::StepStart(_)) {
        print_value("event", "step_start");
    }
}

fn is_unknown(kind: &RunEventKind) -> bool {
    matches!(kind, RunEventKind::Unknown { .. })
}

/// Prints past the test harness, which may write into unfinished lines.
#[allow(clippy::explicit_write, reason = "the harness captures the output of `println!`")]
fn print_value(name: &str, value: impl std::fmt::Display) {
    writeln!(std::io::stdout(), "\n{name}={value}").unwrap();
}

/// Value of a line in `/proc/self/status`.
fn memory_kb(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
