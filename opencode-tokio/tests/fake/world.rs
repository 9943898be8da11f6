//! A user, a project and a fake program of one test's own, and what holds after every run.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fs, thread};

use opencode_tokio::{
    Binary, Builder, Deadlines, Environment, OpenCode, RunEvent, RunRequest, RunSettings,
    RunStream, TokioRuntime,
};
use tempfile::TempDir;
use testkit::fake::{Behavior, Call, Fake};
use testkit::processes::{Process, with_env};

/// For a machine that does other things as well: no test waits this long when all is well.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A gate that tests open.
pub(crate) const GATE: &str = "go";

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) opencode: OpenCode,
    root: PathBuf,
    _directory: TempDir,
}

impl World {
    /// A world whose program behaves the same in every call.
    pub(crate) fn new(behavior: Behavior) -> Self {
        Self::with_attempts([behavior])
    }

    /// A world whose program behaves differently from call to call; the last one repeats.
    pub(crate) fn with_attempts(attempts: impl IntoIterator<Item = Behavior>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let fake = Fake::with_attempts(attempts).unwrap();
        let opencode = builder(TokioRuntime::new(), &fake, &root).build();
        Self { fake, opencode, root, _directory: directory }
    }

    /// The handle of this world, with choices.
    pub(crate) fn builder(&self) -> Builder {
        self.builder_on(TokioRuntime::new())
    }

    /// The handle of this world on another runtime.
    pub(crate) fn builder_on(&self, runtime: impl opencode_tokio::Runtime) -> Builder {
        builder(runtime, &self.fake, &self.root)
    }

    /// What the runs of this world start from: no variable of this machine.
    pub(crate) fn environment(&self) -> Environment {
        environment(&self.fake, &self.root)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn request(&self) -> RunRequest {
        RunRequest::new("Hello?")
            .with_directory(self.path("project"))
            .with_settings(settings(|_| {}))
    }

    /// A request with settings of its own; there is an overall deadline to begin with.
    pub(crate) fn request_with(&self, change: impl FnOnce(&mut RunSettings)) -> RunRequest {
        self.request().with_settings(settings(change))
    }

    /// A run that goes on from its first event, which was taken.
    pub(crate) async fn started(&self) -> RunStream {
        let mut run = self.opencode.stream(self.request());
        run.next_event().await.expect("a first event");
        run
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.fake.calls().unwrap()
    }

    /// The only call so far.
    #[track_caller]
    pub(crate) fn call(&self) -> Call {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }

    /// From now on the program does not answer when it is asked for its version.
    pub(crate) fn hide_version(&self) {
        let version = Path::new(&self.fake.env().1).with_file_name("version");
        fs::remove_file(&version).unwrap();
        // Nobody ever writes into it.
        assert!(Command::new("mkfifo").arg(version).status().unwrap().success());
    }

    pub(crate) fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// All that runs of this world have started and that still runs.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let (name, value) = self.fake.env();
        with_env(&name, value)
    }

    /// The guardians of the handles of this world.
    pub(crate) fn guardians(&self) -> Vec<Process> {
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
    pub(crate) fn assert_nothing_left(&self) {
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

fn builder(runtime: impl opencode_tokio::Runtime, fake: &Fake, root: &Path) -> Builder {
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

pub(crate) fn settings(change: impl FnOnce(&mut RunSettings)) -> RunSettings {
    let mut settings = RunSettings::default();
    settings.deadlines = Deadlines::NONE.with_overall(LONG);
    change(&mut settings);
    settings
}

/// The events that are left.
pub(crate) async fn rest(run: &mut RunStream) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(event) = run.next_event().await {
        events.push(event);
    }
    events
}

/// The types of events, in order.
pub(crate) fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}

/// Polls once, as a task that has something better to do.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Goes on with a run that has no event to tell until `condition` holds, of which nobody is told.
pub(crate) async fn until(run: &mut RunStream, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::select! {
                event = run.next_event() => panic!("did not wait: {event:?}"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("in time");
}

/// Goes on with a run that has no event to tell until it is in this phase.
pub(crate) async fn until_phase(run: &mut RunStream, name: &str) {
    let phase = format!("phase: {name:?}");
    poll_fn(|cx| {
        let event = pin!(run.next_event()).poll(cx);
        assert!(event.is_pending(), "{event:?}");
        if format!("{run:?}").contains(&phase) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits until `condition` holds, of which nobody is told.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("in time");
}

/// Sends a signal to a process, by `kill`.
pub(crate) fn send(signal: &str, target: &str) {
    let status = Command::new("kill").args(["-s", signal, "--", target]).status().unwrap();
    assert!(status.success(), "{signal} to {target}");
}

/// Every error with its sources, joined as people read them.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether there is a process of this id that runs.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'X' | 'Z'))
}

/// Whether a process waits for something, and not for a disk.
pub(crate) fn is_asleep(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'S')
}

/// A child that has ended, and that nobody has waited for.
pub(crate) fn is_zombie(pid: u32) -> bool {
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
