//! The pump of a server that this library started: carries out the machine's actions and passes
//! inputs to the machine.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use opencode_proto::{Serve, ServeAction, ServeOutcome, ServeSettings, Version};
use tracing::Instrument;

use super::life::Life;
use super::output::{OutputStream, ServerOutput};
use crate::process::child::{ChildEvent, ChildOutput, StdoutPace};
use crate::process::run_tree::RunTree;
use crate::process::run_tree::TreeJobs;
use crate::process::warning::Warning;
use crate::runtime::blocking::unblock;
use crate::runtime::wait::{BoxFuture, is_due};
use crate::runtime::{Process, Runtime, Timer};

/// Handle of the task that watches a server's process and drains the output. The task does not keep
/// the process alive, and ends with the process, or when this handle is dropped.
pub(super) struct Watch {
    pump: Arc<Mutex<Option<Pump>>>,
    life: Arc<Life>,
}

impl Watch {
    pub(super) fn spawn(
        runtime: &Arc<dyn Runtime>,
        process: Process,
        version: Option<&Version>,
        tree: Arc<Mutex<RunTree>>,
        settings: ServeSettings,
        log: ServerOutput,
        warnings: Arc<Mutex<Vec<Warning>>>,
    ) -> Self {
        let Process { id, stdin, stdout, stderr, exit } = process;
        // The server outlives the span in which it was started.
        let span = tracing::info_span!(
            parent: None,
            "server",
            process = id,
            version = version.map(tracing::field::display),
            end = tracing::field::Empty,
        );
        drop(stdin);
        let pump = Pump {
            serve: Serve::new(settings, runtime.now()),
            runtime: Arc::clone(runtime),
            log,
            warnings,
            inspection: None,
            tree,
            jobs: TreeJobs::default(),
            output: ChildOutput::new(stdout, stderr, exit),
            timer: None,
            waker: None,
            finished: false,
        };
        let watch = Self { pump: Arc::new(Mutex::new(Some(pump))), life: Arc::default() };
        let pumping = run(Arc::clone(&watch.pump), Arc::clone(&watch.life));
        runtime.spawn(Box::pin(pumping.instrument(span)));
        watch
    }

    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Asks the process to end.
    pub(super) fn stop(&self) {
        let waker = lock(&self.pump).as_mut().and_then(|pump| {
            pump.serve.stop(pump.runtime.now());
            pump.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Watch {
    /// Drops the pump. The process has exited by now: a drop of the exit future leaves no zombie,
    /// also when the task never runs again.
    fn drop(&mut self) {
        let pump = lock(&self.pump).take();
        let Some(pump) = pump else { return };
        let (outcome, waker) = pump.conclude();
        if let Some(outcome) = outcome {
            self.life.ended.set(outcome);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

enum ServeProgress {
    Ready(String),
    Finished(Box<ServeOutcome>),
    /// All work is done, or the watch was dropped.
    Over,
}

async fn run(pump: Arc<Mutex<Option<Pump>>>, life: Arc<Life>) {
    loop {
        let progress = poll_fn(|cx| match &mut *lock(&pump) {
            Some(pump) => pump.poll_progress(cx),
            None => Poll::Ready(ServeProgress::Over),
        });
        // The latches are set without the lock: woken tasks may lock the pump again.
        match progress.await {
            ServeProgress::Ready(url) => life.ready.set(url),
            ServeProgress::Finished(outcome) => life.ended.set(*outcome),
            ServeProgress::Over => break,
        }
    }
    let pump = lock(&pump).take();
    drop(pump);
}

struct Pump {
    serve: Serve,
    runtime: Arc<dyn Runtime>,
    log: ServerOutput,
    /// Warnings of the server, to which faults of plugins are added.
    warnings: Arc<Mutex<Vec<Warning>>>,
    /// The processor time of the process is being read.
    inspection: Option<BoxFuture<Option<u64>>>,
    tree: Arc<Mutex<RunTree>>,
    jobs: TreeJobs,
    output: ChildOutput,
    timer: Option<Pin<Box<dyn Timer>>>,
    /// Waker of the pump's task.
    waker: Option<Waker>,
    finished: bool,
}

impl Pump {
    /// Carries out the machine's actions until there is progress to report.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<ServeProgress> {
        self.waker = Some(cx.waker().clone());
        loop {
            match self.serve.poll_action() {
                ServeAction::Ready { url } => return Poll::Ready(ServeProgress::Ready(url)),
                ServeAction::Finished(outcome) => {
                    tracing::Span::current().record("end", outcome.end.name());
                    tracing::debug!(end = outcome.end.name(), "server ended");
                    self.finished = true;
                    self.log.end();
                    return Poll::Ready(ServeProgress::Finished(outcome));
                }
                ServeAction::Signal(signal) => {
                    tracing::debug!(?signal, "server was signalled");
                    self.jobs.signal(signal);
                }
                ServeAction::PluginFailed(fault) => {
                    let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
                    known.push(Warning::PluginFailed(fault));
                }
                ServeAction::Sweep => self.jobs.sweep(),
                ServeAction::Inspect => self.inspection = Some(self.inspect()),
                ServeAction::Starting { elapsed } => {
                    tracing::debug!(?elapsed, "server is starting");
                    self.log.push_progress(elapsed);
                }
                ServeAction::Wait(wake) => {
                    let moved = self.poll_inputs(cx);
                    let woken = is_due(&*self.runtime, &mut self.timer, wake, cx);
                    // The clock decides, not the timer: runtimes wake timers late and for other
                    // reasons.
                    if moved || woken {
                        self.serve.handle_timeout(self.runtime.now());
                    } else if self.finished && self.jobs.is_idle() {
                        return Poll::Ready(ServeProgress::Over);
                    } else {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Polls all inputs. Returns `true` if the machine received an input or a job moved on.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> bool {
        let jobs = self.jobs.poll(cx, &self.runtime, &self.tree);
        let inspected = self.poll_inspection(cx);
        let (serve, runtime, log) = (&mut self.serve, &self.runtime, &self.log);
        let output = self.output.poll(cx, StdoutPace::Read, |event| {
            let now = runtime.now();
            match event {
                ChildEvent::Exit(exit) => serve.handle_exit(exit, now),
                ChildEvent::Stderr(chunk) => {
                    log.push_chunk(OutputStream::Stderr, &chunk);
                    serve.handle_stderr(chunk, now);
                }
                ChildEvent::StderrEnd => serve.handle_stderr_end(now),
                ChildEvent::Stdout(chunk) => {
                    log.push_chunk(OutputStream::Stdout, &chunk);
                    serve.handle_stdout(chunk, now);
                }
                ChildEvent::StdoutEnd => serve.handle_stdout_end(now),
            }
        });
        jobs || inspected || output
    }

    /// Reads the processor time of the process tree, on a thread that may block.
    fn inspect(&self) -> BoxFuture<Option<u64>> {
        if self.runtime.process_control().is_some() {
            return Box::pin(std::future::ready(None));
        }
        let (runtime, tree) = (Arc::clone(&self.runtime), Arc::clone(&self.tree));
        Box::pin(async move {
            let read = move || tree.lock().unwrap_or_else(PoisonError::into_inner).processor_time();
            unblock(&runtime, read).await
        })
    }

    fn poll_inspection(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(inspection) = &mut self.inspection else { return false };
        let Poll::Ready(processor) = inspection.as_mut().poll(cx) else { return false };
        self.inspection = None;
        self.serve.handle_inspection(processor, self.runtime.now());
        true
    }

    /// Returns the outcome of a process that was ended without the machine; `None` if the outcome
    /// was reported already.
    fn conclude(mut self) -> (Option<ServeOutcome>, Option<Waker>) {
        let now = self.runtime.now();
        self.log.end();
        self.serve.stop(now);
        self.serve.handle_exit(None, now);
        self.serve.handle_stdout_end(now);
        self.serve.handle_stderr_end(now);
        let outcome = loop {
            match self.serve.poll_action() {
                ServeAction::Finished(outcome) => break Some(*outcome),
                ServeAction::Wait(_) => break None,
                ServeAction::Inspect
                | ServeAction::PluginFailed(_)
                | ServeAction::Ready { .. }
                | ServeAction::Signal(_)
                | ServeAction::Starting { .. }
                | ServeAction::Sweep => {}
            }
        };
        (outcome, self.waker)
    }
}

/// Locks the pump. The pump is consistent between any two calls, so a panic leaves no broken state.
fn lock(pump: &Mutex<Option<Pump>>) -> MutexGuard<'_, Option<Pump>> {
    pump.lock().unwrap_or_else(PoisonError::into_inner)
}
