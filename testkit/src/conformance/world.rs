//! A user, a project and a fake program of one test's own, and what holds after every run.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::{fs, thread};

use opencode_client::{
    Binary, Builder, Deadlines, Environment, OpenCode, RunEvent, RunRequest, RunSettings,
    RunStream, Runtime,
};
use tempfile::TempDir;

use crate::conformance::{Host, LONG};
use crate::fake::{Behavior, Call, Fake};
use crate::processes::{Process, with_env};

/// A gate that tests open.
pub const GATE: &str = "go";

/// A user, a project and a fake program. Nothing of its runs may be left when it is dropped.
#[derive(Debug)]
pub struct World {
    /// The program as the test sees it.
    pub fake: Fake,
    /// A handle that runs it.
    pub opencode: OpenCode,
    /// What its runs go by.
    pub host: Host,
    root: PathBuf,
    _directory: TempDir,
}

impl World {
    /// A world whose program behaves the same in every call.
    pub fn new(on: &Host, behavior: Behavior) -> Self {
        Self::with_attempts(on, [behavior])
    }

    /// A world whose program behaves differently from call to call; the last one repeats.
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

    /// The handle of this world, with choices.
    pub fn builder(&self) -> Builder {
        self.builder_on(self.host.runtime())
    }

    /// The handle of this world on another runtime.
    pub fn builder_on(&self, runtime: impl Runtime) -> Builder {
        builder(runtime, &self.fake, &self.root)
    }

    /// What the runs of this world start from: no variable of this machine.
    pub fn environment(&self) -> Environment {
        environment(&self.fake, &self.root)
    }

    /// A path in its root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A request that asks for the usual.
    pub fn request(&self) -> RunRequest {
        RunRequest::new("Hello?")
            .with_directory(self.path("project"))
            .with_settings(settings(|_| {}))
    }

    /// A request with settings of its own; there is an overall deadline to begin with.
    pub fn request_with(&self, change: impl FnOnce(&mut RunSettings)) -> RunRequest {
        self.request().with_settings(settings(change))
    }

    /// A run that goes on from its first event, which was taken.
    pub async fn started(&self) -> RunStream {
        let mut run = self.opencode.stream(self.request());
        run.next_event().await.expect("a first event");
        run
    }

    /// Every call of the program so far.
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

    /// From now on the program does not answer when it is asked for its version.
    pub fn hide_version(&self) {
        let version = Path::new(&self.fake.env().1).with_file_name("version");
        fs::remove_file(&version).unwrap();
        // Nobody ever writes into it.
        assert!(Command::new("mkfifo").arg(version).status().unwrap().success());
    }

    /// The private directories of its runs.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// All that runs of this world have started and that still runs.
    pub fn processes(&self) -> Vec<Process> {
        let (name, value) = self.fake.env();
        with_env(&name, value)
    }

    /// The guardians of the handles of this world.
    pub fn guardians(&self) -> Vec<Process> {
        let mut guardians = with_env("OPENCODE_RS_GUARDIAN", "1");
        let root = self.root.to_str().unwrap();
        guardians.retain(|guardian| {
            let environ = fs::read(format!("/proc/{}/environ", guardian.pid)).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(root)
        });
        // Not what they have started for a moment.
        let pids: Vec<_> = guardians.iter().map(|guardian| guardian.pid).collect();
        guardians.retain(|guardian| parent(guardian.pid).is_none_or(|pid| !pids.contains(&pid)));
        guardians
    }

    /// What holds whenever no run goes on: at once, not some time later.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes of the run");
        assert_eq!(self.private_dirs(), [] as [PathBuf; 0], "files of the run");
        for call in self.calls() {
            assert!(!is_zombie(call.pid), "{} was not waited for", call.pid);
            let left: Vec<_> = call.started.into_iter().filter(|pid| is_alive(*pid)).collect();
            assert!(left.is_empty(), "{left:?} of its tools");
        }
    }
}

impl Drop for World {
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
    // The world's own directory tells its guardians from those of others.
    environment.set("PATH", format!("/usr/bin:/bin:{}", root.display()));
    environment.set(name, value);
    environment
}

/// The settings of its runs, with a change.
pub fn settings(change: impl FnOnce(&mut RunSettings)) -> RunSettings {
    let mut settings = RunSettings::default();
    settings.deadlines = Deadlines::NONE.with_overall(LONG);
    change(&mut settings);
    settings
}

/// The events that are left.
pub async fn rest(run: &mut RunStream) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(event) = run.next_event().await {
        events.push(event);
    }
    events
}

/// The types of events, in order.
pub fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}

/// Polls once, as a task that has something better to do.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Goes on with a run that has no event to tell until it is in this phase.
pub async fn until_phase(run: &mut RunStream, name: &str) {
    let phase = format!("phase: {name:?}");
    poll_fn(|cx| {
        let event = pin!(run.next_event()).poll(cx);
        assert!(event.is_pending(), "{event:?}");
        if format!("{run:?}").contains(&phase) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Sends a signal to a process, by `kill`.
pub fn send(signal: &str, target: &str) {
    let status = Command::new("kill").args(["-s", signal, "--", target]).status().unwrap();
    assert!(status.success(), "{signal} to {target}");
}

/// Every error with its sources, joined as people read them.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether there is a process of this id that runs.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'X' | 'Z'))
}

/// Whether a process waits for something, and not for a disk.
pub fn is_asleep(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'S')
}

/// A child that has ended, and that nobody has waited for.
pub fn is_zombie(pid: u32) -> bool {
    stat(pid) == Some(('Z', std::process::id()))
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}

/// The state of a process and its parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
