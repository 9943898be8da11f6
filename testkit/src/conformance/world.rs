//! A user, a project and a fake program for one test, with checks for leftovers.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::{fs, thread};

use opencode_client::config::Environment;
use opencode_client::process::Binary;
use opencode_client::run::RunSettings;
use opencode_client::runtime::Runtime;
use opencode_client::{Builder, Deadlines, OpenCode, RunEvent, RunRequest, RunStream};
use tempfile::TempDir;

use crate::conformance::{Host, LONG};
use crate::fake::{Behavior, Call, Fake};
use crate::processes::{Process, with_env};

/// Name of a gate that tests open.
pub const GATE: &str = "go";

/// A user, a project and a fake program. Dropping the world fails when the runs left anything.
#[derive(Debug)]
pub struct ProgramWorld {
    /// The fake program.
    pub fake: Fake,
    /// Client handle that runs the fake program.
    pub opencode: OpenCode,
    /// Adapter under test.
    pub host: Host,
    root: PathBuf,
    _directory: TempDir,
}

impl ProgramWorld {
    /// Creates a world whose program behaves the same in every call.
    pub fn new(on: &Host, behavior: Behavior) -> Self {
        Self::with_attempts(on, [behavior])
    }

    /// Creates a world whose program plays one behavior per call; the last behavior repeats.
    pub fn with_attempts(on: &Host, attempts: impl IntoIterator<Item = Behavior>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let fake = Fake::with_attempts(attempts).unwrap();
        let opencode = builder(on.runtime(), &fake, &root).build();
        Self { host: on.clone(), fake, opencode, root, _directory: directory }
    }

    /// Creates a builder for a client handle of this world.
    pub fn builder(&self) -> Builder {
        self.builder_on(self.host.runtime())
    }

    /// Creates a builder for a client handle of this world on another runtime.
    pub fn builder_on(&self, runtime: impl Runtime) -> Builder {
        builder(runtime, &self.fake, &self.root)
    }

    /// Environment of all runs, without any variable of this machine.
    pub fn environment(&self) -> Environment {
        environment(&self.fake, &self.root)
    }

    /// Path below the root of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A request with the default settings of the tests.
    pub fn request(&self) -> RunRequest {
        self.request_for("Hello?")
    }

    /// A request for this prompt.
    pub fn request_for(&self, prompt: &str) -> RunRequest {
        RunRequest::new(prompt)
            .with_directory(self.path("project"))
            .with_settings(settings(|settings| settings))
    }

    /// A request with changed settings; the default is one overall deadline.
    pub fn request_with(&self, change: impl FnOnce(RunSettings) -> RunSettings) -> RunRequest {
        self.request().with_settings(settings(change))
    }

    /// Starts a run and takes the first event.
    pub async fn started(&self) -> RunStream {
        let mut run = self.opencode.stream(self.request());
        run.next_event().await.expect("a first event");
        run
    }

    /// Calls of the program so far.
    pub fn calls(&self) -> Vec<Call> {
        self.fake.calls().unwrap()
    }

    /// The only call so far.
    #[track_caller]
    pub fn call(&self) -> Call {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }

    /// Makes the program hang when it is asked for the version.
    pub fn hide_version(&self) {
        let version = Path::new(&self.fake.env().1).with_file_name("version");
        fs::remove_file(&version).unwrap();
        // Without a writer, reading the file blocks.
        assert!(Command::new("mkfifo").arg(version).status().unwrap().success());
    }

    /// Private directories of running runs.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Running processes that runs of this world have started.
    pub fn processes(&self) -> Vec<Process> {
        let (name, value) = self.fake.env();
        with_env(&name, value)
    }

    /// Guardian processes of the client handles of this world.
    pub fn guardians(&self) -> Vec<Process> {
        let mut guardians = with_env("OPENCODE_RS_GUARDIAN", "1");
        let root = self.root.to_str().unwrap();
        guardians.retain(|guardian| {
            let environ = fs::read(format!("/proc/{}/environ", guardian.pid)).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(root)
        });
        // Without short-lived children of guardians.
        let pids: Vec<_> = guardians.iter().map(|guardian| guardian.pid).collect();
        guardians.retain(|guardian| parent(guardian.pid).is_none_or(|pid| !pids.contains(&pid)));
        guardians
    }

    /// Checks that nothing of a run is left, without waiting.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes of a run are left");
        assert_eq!(self.private_dirs(), [] as [PathBuf; 0], "files of a run are left");
        for call in self.calls() {
            assert!(!is_zombie(call.pid), "{} was not waited for", call.pid);
            let left: Vec<_> = call.started.into_iter().filter(|pid| is_alive(*pid)).collect();
            assert!(left.is_empty(), "tools are left: {left:?}");
        }
    }
}

impl Drop for ProgramWorld {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

fn builder(runtime: impl Runtime, fake: &Fake, root: &Path) -> Builder {
    OpenCode::builder(runtime)
        .binary(Binary::Path(fake.program()))
        .environment(environment(fake, root))
        .temp_dir(root.join("temp"))
}

fn environment(fake: &Fake, root: &Path) -> Environment {
    let (name, value) = fake.env();
    let mut environment = Environment::new();
    environment.set("HOME", root.join("home"));
    // The root on the search path distinguishes the guardians of this world from others.
    // The machine may lack ripgrep, which is a warning of every run.
    let ripgrep = crate::fake::ripgrep();
    let path = format!("/usr/bin:/bin:{}:{}", root.display(), ripgrep.display());
    environment.set("PATH", path);
    environment.set(name, value);
    environment
}

/// Default settings of the tests, with a change.
pub fn settings(change: impl FnOnce(RunSettings) -> RunSettings) -> RunSettings {
    change(RunSettings::default().with_deadlines(Deadlines::NONE.with_overall(LONG)))
}

/// Remaining events of a run.
pub async fn rest(run: &mut RunStream) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(event) = run.next_event().await {
        events.push(event);
    }
    events
}

/// Types of events, in order.
pub fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}

/// Polls a future once and drops it.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a run that has no event until the `Debug` shows this phase.
pub async fn until_phase(run: &mut RunStream, name: &str) {
    let phase = format!("phase: {name:?}");
    poll_fn(|cx| {
        let event = pin!(run.next_event()).poll(cx);
        assert!(event.is_pending(), "{event:?}");
        if format!("{run:?}").contains(&phase) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Sends a signal with `kill`.
pub fn send(signal: &str, target: &str) {
    let status = Command::new("kill").args(["-s", signal, "--", target]).status().unwrap();
    assert!(status.success(), "{signal} to {target}");
}

/// Messages of an error and all sources, joined by colons.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns whether a process with this id is running.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'X' | 'Z'))
}

/// Returns whether a process sleeps, other than for a disk.
pub fn is_asleep(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'S')
}

/// Returns whether a child of this process has ended and was not waited for.
pub fn is_zombie(pid: u32) -> bool {
    stat(pid) == Some(('Z', std::process::id()))
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}

/// State of a process, and the id of the parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
