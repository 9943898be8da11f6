//! tokio with processes that are only imagined, so that a test has time for itself (tokio's paused clock): nothing
//! happens by itself, and hours pass at once.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opencode_tokio::{
    ByteSink, ByteSource, Connecting, Process, ProcessExit, Runtime, Timer, TokioRuntime,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What one process does, each some time after what came before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Play(Vec<(Duration, Happening)>);

#[derive(Clone, Debug)]
enum Happening {
    Exit(ExitStatus),
    Stderr(Bytes),
    Stdout(Bytes),
    StdoutEnd,
}

/// Starts the plays in order, one per process; the last one repeats.
#[derive(Clone, Debug)]
pub(crate) struct Imagined {
    tokio: TokioRuntime,
    plays: Arc<Mutex<VecDeque<Play>>>,
    started: Arc<Mutex<Vec<Instant>>>,
}

impl Play {
    /// Hangs.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn stdout(self, after: Duration, bytes: impl Into<Bytes>) -> Self {
        self.then(after, Happening::Stdout(bytes.into()))
    }

    pub(crate) fn stderr(self, after: Duration, bytes: impl Into<Bytes>) -> Self {
        self.then(after, Happening::Stderr(bytes.into()))
    }

    pub(crate) fn close_stdout(self, after: Duration) -> Self {
        self.then(after, Happening::StdoutEnd)
    }

    /// Ends with this code; both its outputs end with it.
    pub(crate) fn exit(self, after: Duration, code: i32) -> Self {
        self.then(after, Happening::Exit(ExitStatus::from_raw(code << 8)))
    }

    fn then(mut self, after: Duration, happening: Happening) -> Self {
        self.0.push((after, happening));
        self
    }
}

impl Imagined {
    pub(crate) fn new(plays: impl IntoIterator<Item = Play>) -> Self {
        Self {
            tokio: TokioRuntime::new(),
            plays: Arc::new(Mutex::new(plays.into_iter().collect())),
            started: Arc::default(),
        }
    }

    /// When processes were started.
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

impl Runtime for Imagined {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.tokio.timer(at)
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.tokio.blocking(work);
    }

    fn process(&self, _command: Command) -> io::Result<Process> {
        self.started.lock().unwrap().push(self.now());
        let (out, stdout) = unbounded_channel();
        let (err, stderr) = unbounded_channel();
        let (ended, exit) = unbounded_channel();
        tokio::spawn(perform(self.next_play(), out, err, ended));
        Ok(Process {
            // No process ever has this id.
            id: u32::MAX,
            stdin: Box::new(Sink),
            stdout: Box::new(Source(stdout)),
            stderr: Box::new(Source(stderr)),
            exit: Box::new(Exit(exit)),
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
    for (after, happening) in play {
        tokio::time::sleep(after).await;
        // Nobody listens to a process that was given up.
        let _ = match happening {
            Happening::Exit(status) => return ended.send(status).unwrap_or_default(),
            Happening::Stderr(bytes) => err.send(bytes).is_ok(),
            Happening::Stdout(bytes) => out.as_ref().is_some_and(|out| out.send(bytes).is_ok()),
            Happening::StdoutEnd => out.take().is_some(),
        };
    }
    std::future::pending().await
}

struct Source(UnboundedReceiver<Bytes>);

impl ByteSource for Source {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        Poll::Ready(Ok(ready!(self.0.poll_recv(cx)).unwrap_or_default()))
    }
}

/// Takes everything.
struct Sink;

impl ByteSink for Sink {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
}

struct Exit(UnboundedReceiver<ExitStatus>);

impl ProcessExit for Exit {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        self.0.poll_recv(cx).map(|status| Ok(status.expect("not asked again")))
    }
}
