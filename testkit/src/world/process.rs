//! Simulated processes.

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
use opencode_client::runtime::{ByteSink, ByteSource, Process, ProcessExit};

use super::WorldState;
use super::core::{Owner, lock};

pub use run::RunTruth;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The running processes of a world.
#[derive(Default)]
pub(super) struct Processes {
    state: Mutex<ProcessTable>,
}

#[derive(Default)]
struct ProcessTable {
    started: u32,
    running: BTreeMap<u32, Arc<SimulatedProcess>>,
}

impl Processes {
    pub(super) fn find(&self, id: u32) -> Option<Arc<SimulatedProcess>> {
        lock(&self.state).running.get(&id).cloned()
    }

    pub(super) fn running(&self) -> usize {
        lock(&self.state).running.len()
    }

    /// Returns an unused process id.
    pub(super) fn next_id(&self) -> u32 {
        let mut state = lock(&self.state);
        state.started += 1;
        state.started
    }
}

/// One simulated process.
pub(super) struct SimulatedProcess {
    pub(super) id: u32,
    shared: Weak<WorldState>,
    state: Mutex<ProcessState>,
}

#[derive(Default)]
struct ProcessState {
    exit: Option<ExitStatus>,
    exit_waker: Option<Waker>,
    stdin: Vec<u8>,
    is_stdin_closed: bool,
    stdin_waker: Option<Waker>,
    /// Standard output and standard error.
    outputs: [OutputPipe; 2],
    /// Number of SIGTERM signals that the process ignores.
    sigterms_to_ignore: u32,
    /// Functions to call when the process ends.
    at_exit: Vec<Box<dyn FnOnce() + Send>>,
}

#[derive(Default)]
struct OutputPipe {
    queue: VecDeque<Bytes>,
    is_closed: bool,
    waker: Option<Waker>,
}

/// Selects one of the two output pipes.
#[derive(Clone, Copy)]
enum OutputStream {
    Stdout,
    Stderr,
}

pub(super) fn start(shared: &Arc<WorldState>, command: &Command) -> io::Result<Process> {
    let sick = shared.core.weather().sick;
    if shared.core.random(|random| random.happens(sick / 20)) {
        shared.core.count("process: cannot be started");
        shared.core.trace(format_args!("a process cannot be started"));
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let id = shared.processes.next_id();
    let process =
        Arc::new(SimulatedProcess { id, shared: Arc::downgrade(shared), state: Mutex::default() });
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
        stdin: Box::new(StdinSink(Arc::clone(&process))),
        stdout: Box::new(OutputSource(Arc::clone(&process), OutputStream::Stdout)),
        stderr: Box::new(OutputSource(Arc::clone(&process), OutputStream::Stderr)),
        exit: Box::new(ExitWait(process)),
    })
}

impl SimulatedProcess {
    pub(super) fn terminate(&self) {
        let mut state = lock(&self.state);
        if state.sigterms_to_ignore > 0 {
            state.sigterms_to_ignore -= 1;
            return;
        }
        drop(state);
        // Programs take a moment to exit.
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

    /// Ends the process unless it has ended.
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

    fn print(&self, stream: OutputStream, text: impl Into<Bytes>) {
        let text = text.into();
        // An empty chunk would mean the end of the output.
        if text.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        let output = &mut state.outputs[stream as usize];
        output.queue.push_back(text);
        output.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Reads standard input to the end.
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

/// Draws the duration of a short operation.
fn short_delay(shared: &WorldState) -> Duration {
    shared.core.random(|random| match random.below(3) {
        0 => random.milliseconds(0, 1_500),
        _ => Duration::from_micros(random.below(800)),
    })
}

struct StdinSink(Arc<SimulatedProcess>);

impl ByteSink for StdinSink {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0.state);
        if state.exit.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // As much as a pipe takes in one write.
        let size = bytes.len().min(4096);
        state.stdin.extend_from_slice(&bytes[..size]);
        Poll::Ready(Ok(size))
    }
}

impl Drop for StdinSink {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_stdin_closed = true;
        state.stdin_waker.take().into_iter().for_each(Waker::wake);
    }
}

struct OutputSource(Arc<SimulatedProcess>, OutputStream);

impl ByteSource for OutputSource {
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

struct ExitWait(Arc<SimulatedProcess>);

impl ProcessExit for ExitWait {
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
