//! Processes that nobody sees but the client.

mod run;
mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use opencode_client::{ByteSink, ByteSource, Process, ProcessExit};

use super::Shared;
use super::core::{Owner, lock};

pub use run::RunTruth;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The processes of a world that run.
#[derive(Default)]
pub(super) struct Processes {
    state: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    started: u32,
    running: BTreeMap<u32, Arc<Simulated>>,
}

impl Processes {
    pub(super) fn find(&self, id: u32) -> Option<Arc<Simulated>> {
        lock(&self.state).running.get(&id).cloned()
    }

    pub(super) fn running(&self) -> usize {
        lock(&self.state).running.len()
    }

    /// An id that no other process has.
    pub(super) fn next_id(&self) -> u32 {
        let mut state = lock(&self.state);
        state.started += 1;
        state.started
    }
}

/// A process.
pub(super) struct Simulated {
    pub(super) id: u32,
    shared: Weak<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    exit: Option<ExitStatus>,
    exit_waker: Option<Waker>,
    stdin: Vec<u8>,
    is_stdin_closed: bool,
    stdin_waker: Option<Waker>,
    /// Standard output and standard error.
    outputs: [Output; 2],
    /// How many SIGTERM it does not listen to.
    swallows: u32,
    /// What the end of the process ends besides.
    at_exit: Vec<Box<dyn FnOnce() + Send>>,
}

#[derive(Default)]
struct Output {
    queue: VecDeque<Bytes>,
    is_closed: bool,
    waker: Option<Waker>,
}

/// Which of the two outputs.
#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

pub(super) fn start(shared: &Arc<Shared>, command: &Command) -> io::Result<Process> {
    let sick = shared.core.weather().sick;
    if shared.core.random(|random| random.happens(sick / 20)) {
        shared.core.trace(format_args!("a process cannot be started"));
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let id = shared.processes.next_id();
    let process =
        Arc::new(Simulated { id, shared: Arc::downgrade(shared), state: Mutex::default() });
    lock(&shared.processes.state).running.insert(id, Arc::clone(&process));
    let arguments: Vec<String> =
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let mode = arguments.first().cloned().unwrap_or_default();
    shared.core.trace(format_args!("process {id} starts: {mode}"));
    match mode.as_str() {
        "serve" => serve::start(shared, &process, command, &arguments),
        _ => run::start(shared, &process),
    }
    Ok(Process {
        id,
        stdin: Box::new(Stdin(Arc::clone(&process))),
        stdout: Box::new(Source(Arc::clone(&process), Stream::Stdout)),
        stderr: Box::new(Source(Arc::clone(&process), Stream::Stderr)),
        exit: Box::new(Exit(process)),
    })
}

impl Simulated {
    pub(super) fn terminate(&self) {
        let mut state = lock(&self.state);
        if state.swallows > 0 {
            state.swallows -= 1;
            return;
        }
        drop(state);
        // It takes a moment.
        let Some(shared) = self.shared.upgrade() else { return };
        let time = shared.core.random(|random| random.milliseconds(0, 200));
        let (core, id) = (Arc::clone(&shared.core), self.id);
        let process = shared.processes.find(self.id);
        let ending = async move {
            core.sleep(time).await;
            process.inspect(|process| process.end(ExitStatus::from_raw(SIGTERM)));
        };
        shared.core.spawn(Owner::Host(id), Box::pin(ending));
    }

    pub(super) fn kill(&self) {
        self.end(ExitStatus::from_raw(SIGKILL));
    }

    /// Ends it, if it has not ended.
    fn end(&self, status: ExitStatus) {
        let mut state = lock(&self.state);
        if state.exit.is_some() {
            return;
        }
        state.exit = Some(status);
        let at_exit = std::mem::take(&mut state.at_exit);
        let waker = state.exit_waker.take();
        for output in &mut state.outputs {
            output.is_closed = true;
            output.waker.take().into_iter().for_each(Waker::wake);
        }
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        at_exit.into_iter().for_each(|end| end());
        let Some(shared) = self.shared.upgrade() else { return };
        shared.core.trace(format_args!("process {} ends: {status}", self.id));
        let ended = lock(&shared.processes.state).running.remove(&self.id);
        shared.core.end_tasks(|owner| owner == Owner::Host(self.id));
        drop(ended);
    }

    fn exit(&self, code: i32) {
        self.end(ExitStatus::from_raw(code << 8));
    }

    fn print(&self, stream: Stream, text: impl Into<Bytes>) {
        let text = text.into();
        // A chunk of nothing would be the end.
        if text.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        let output = &mut state.outputs[stream as usize];
        output.queue.push_back(text);
        output.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Reads its standard input to the end.
    async fn read_stdin(&self) -> Vec<u8> {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.is_stdin_closed {
                return Poll::Ready(std::mem::take(&mut state.stdin));
            }
            state.stdin_waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// How soon something happens that takes a moment.
fn moment(shared: &Shared) -> Duration {
    shared.core.random(|random| match random.below(3) {
        0 => random.milliseconds(0, 1_500),
        _ => Duration::from_micros(random.below(800)),
    })
}

struct Stdin(Arc<Simulated>);

impl ByteSink for Stdin {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0.state);
        if state.exit.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // A pipe takes so much at once.
        let size = bytes.len().min(4096);
        state.stdin.extend_from_slice(&bytes[..size]);
        Poll::Ready(Ok(size))
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_stdin_closed = true;
        state.stdin_waker.take().into_iter().for_each(Waker::wake);
    }
}

struct Source(Arc<Simulated>, Stream);

impl ByteSource for Source {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut state = lock(&self.0.state);
        let output = &mut state.outputs[self.1 as usize];
        match output.queue.pop_front() {
            Some(chunk) => Poll::Ready(Ok(chunk)),
            None if output.is_closed => Poll::Ready(Ok(Bytes::new())),
            None => {
                output.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct Exit(Arc<Simulated>);

impl ProcessExit for Exit {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let mut state = lock(&self.0.state);
        match state.exit {
            Some(status) => Poll::Ready(Ok(status)),
            None => {
                state.exit_waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
