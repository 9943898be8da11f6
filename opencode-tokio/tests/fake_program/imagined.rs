//! tokio with imagined processes, so that tokio's paused clock alone decides when anything happens,
//! and hours pass at once.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opencode_tokio::TokioRuntime;
use opencode_tokio::runtime::{
    ByteSink, ByteSource, Connecting, Process, ProcessExit, Runtime, Timer,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Course of one process: events, each with the delay after the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Play(Vec<(Duration, PlayEvent)>);

#[derive(Clone, Debug)]
enum PlayEvent {
    Exit(ExitStatus),
    Stderr(Bytes),
    Stdout(Bytes),
    StdoutEnd,
}

/// A runtime that starts one play per process, in order; the last play repeats.
#[derive(Clone, Debug)]
pub(crate) struct ImaginedRuntime {
    tokio: TokioRuntime,
    plays: Arc<Mutex<VecDeque<Play>>>,
    /// Every process that prints the version.
    version: Play,
    started: Arc<Mutex<Vec<Instant>>>,
}

impl Play {
    /// Creates a play in which the process hangs.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn stdout(self, after: Duration, bytes: impl Into<Bytes>) -> Self {
        self.then(after, PlayEvent::Stdout(bytes.into()))
    }

    pub(crate) fn stderr(self, after: Duration, bytes: impl Into<Bytes>) -> Self {
        self.then(after, PlayEvent::Stderr(bytes.into()))
    }

    pub(crate) fn close_stdout(self, after: Duration) -> Self {
        self.then(after, PlayEvent::StdoutEnd)
    }

    /// Ends the process with this code, and both outputs.
    pub(crate) fn exit(self, after: Duration, code: i32) -> Self {
        self.then(after, PlayEvent::Exit(ExitStatus::from_raw(code << 8)))
    }

    fn then(mut self, after: Duration, event: PlayEvent) -> Self {
        self.0.push((after, event));
        self
    }
}

impl ImaginedRuntime {
    pub(crate) fn new(plays: impl IntoIterator<Item = Play>) -> Self {
        Self {
            tokio: TokioRuntime::new(),
            plays: Arc::new(Mutex::new(plays.into_iter().collect())),
            version: Play::new().stdout(Duration::ZERO, "1.18.33\n").exit(Duration::ZERO, 0),
            started: Arc::default(),
        }
    }

    /// Sets the play of each process that prints the version.
    pub(crate) fn with_version(self, version: Play) -> Self {
        Self { version, ..self }
    }

    /// Times at which processes were started, other than those that print the version.
    pub(crate) fn started(&self) -> Vec<Instant> {
        self.started.lock().unwrap().clone()
    }

    fn next_play(&self) -> Play {
        let mut plays = self.plays.lock().unwrap();
        let play = plays.pop_front().expect("a play");
        if plays.is_empty() {
            plays.push_back(play.clone());
        }
        play
    }
}

impl Runtime for ImaginedRuntime {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.tokio.timer(at)
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.tokio.blocking(work);
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        let play = if command.get_args().any(|arg| arg == "--version") {
            self.version.clone()
        } else {
            self.started.lock().unwrap().push(self.now());
            self.next_play()
        };
        let (out, stdout) = unbounded_channel();
        let (err, stderr) = unbounded_channel();
        let (ended, exit) = unbounded_channel();
        tokio::spawn(perform(play, out, err, ended));
        Ok(Process {
            // An id that no process has.
            id: u32::MAX,
            stdin: Box::new(ImaginedStdin),
            stdout: Box::new(ImaginedOutput(stdout)),
            stderr: Box::new(ImaginedOutput(stderr)),
            exit: Box::new(ImaginedExit(exit)),
        })
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        self.tokio.connect(host, port)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.tokio.spawn(task);
    }
}

async fn perform(
    Play(play): Play,
    out: UnboundedSender<Bytes>,
    err: UnboundedSender<Bytes>,
    ended: UnboundedSender<ExitStatus>,
) {
    let mut out = Some(out);
    for (after, event) in play {
        tokio::time::sleep(after).await;
        // The receivers of a process that was given up are gone.
        let _ = match event {
            PlayEvent::Exit(status) => return ended.send(status).unwrap_or_default(),
            PlayEvent::Stderr(bytes) => err.send(bytes).is_ok(),
            PlayEvent::Stdout(bytes) => out.as_ref().is_some_and(|out| out.send(bytes).is_ok()),
            PlayEvent::StdoutEnd => out.take().is_some(),
        };
    }
    std::future::pending().await
}

struct ImaginedOutput(UnboundedReceiver<Bytes>);

impl ByteSource for ImaginedOutput {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        Poll::Ready(Ok(ready!(self.0.poll_recv(cx)).unwrap_or_default()))
    }
}

/// Accepts all input.
struct ImaginedStdin;

impl ByteSink for ImaginedStdin {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
}

struct ImaginedExit(UnboundedReceiver<ExitStatus>);

impl ProcessExit for ImaginedExit {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        self.0.poll_recv(cx).map(|status| Ok(status.expect("one exit per process")))
    }
}
