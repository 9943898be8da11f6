//! The pump of a server that we started: it carries the machine's actions out and tells it what happens.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use opencode_proto::{Serve, ServeAction, ServeOutcome, ServeSettings};
use tracing::Instrument;

use super::life::Life;
use crate::process::child::{ChildEvent, ChildOutput, StdoutPace};
use crate::process::run_tree::RunTree;
use crate::process::run_tree::TreeJobs;
use crate::runtime::wait::poll_timer;
use crate::runtime::{Process, Runtime, Timer};

/// The task that watches a server's process and drains its output. It holds nothing that keeps the process alive, and
/// ends with it, or when this is dropped.
pub(super) struct Watch {
    pump: Arc<Mutex<Option<Pump>>>,
    life: Arc<Life>,
}

impl Watch {
    pub(super) fn spawn(
        runtime: &Arc<dyn Runtime>,
        process: Process,
        tree: Arc<Mutex<RunTree>>,
        settings: ServeSettings,
    ) -> Self {
        let Process { id, stdin, stdout, stderr, exit } = process;
        // The server outlives the span in which it was started.
        let span = tracing::info_span!(
            parent: None,
            "server",
            process = id,
            end = tracing::field::Empty,
        );
        drop(stdin);
        let pump = Pump {
            serve: Serve::new(settings, runtime.now()),
            runtime: Arc::clone(runtime),
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
    /// The process has ended by now: dropping its exit leaves no zombie, also when the task is never run again.
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

enum Progress {
    Ready(String),
    Finished(Box<ServeOutcome>),
    /// All is done, or nobody is interested any more.
    Over,
}

async fn run(pump: Arc<Mutex<Option<Pump>>>, life: Arc<Life>) {
    loop {
        let progress = poll_fn(|cx| match &mut *lock(&pump) {
            Some(pump) => pump.poll_progress(cx),
            None => Poll::Ready(Progress::Over),
        });
        // Told without the lock: whoever is woken may come back here.
        match progress.await {
            Progress::Ready(url) => life.ready.set(url),
            Progress::Finished(outcome) => life.ended.set(*outcome),
            Progress::Over => break,
        }
    }
    let pump = lock(&pump).take();
    drop(pump);
}

struct Pump {
    serve: Serve,
    runtime: Arc<dyn Runtime>,
    tree: Arc<Mutex<RunTree>>,
    jobs: TreeJobs,
    output: ChildOutput,
    timer: Option<Pin<Box<dyn Timer>>>,
    /// Of the task.
    waker: Option<Waker>,
    finished: bool,
}

impl Pump {
    /// Does what the machine says until there is something to tell.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        self.waker = Some(cx.waker().clone());
        loop {
            match self.serve.poll_action() {
                ServeAction::Ready { url } => return Poll::Ready(Progress::Ready(url)),
                ServeAction::Finished(outcome) => {
                    tracing::Span::current().record("end", outcome.end.name());
                    tracing::debug!(end = outcome.end.name(), "the server has ended");
                    self.finished = true;
                    return Poll::Ready(Progress::Finished(outcome));
                }
                ServeAction::Signal(signal) => {
                    tracing::debug!(?signal, "ending the server");
                    self.jobs.signal(signal);
                }
                ServeAction::Sweep => self.jobs.sweep(),
                ServeAction::Wait(wake) => {
                    let moved = self.poll_inputs(cx);
                    let woken = wake.is_some_and(|wake| {
                        poll_timer(&*self.runtime, &mut self.timer, wake, cx).is_ready()
                    });
                    // The clock is asked, not the timer: runtimes wake timers late and for other reasons.
                    if moved || woken {
                        self.serve.handle_timeout(self.runtime.now());
                    } else if self.finished && self.jobs.is_idle() {
                        return Poll::Ready(Progress::Over);
                    } else {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Polls everything that can happen. Returns whether anything did.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> bool {
        let jobs = self.jobs.poll(cx, &self.runtime, &self.tree);
        let (serve, runtime) = (&mut self.serve, &self.runtime);
        let output = self.output.poll(cx, StdoutPace::Read, |event| {
            let now = runtime.now();
            match event {
                ChildEvent::Exit(exit) => serve.handle_exit(exit, now),
                ChildEvent::Stderr(chunk) => serve.handle_stderr(chunk, now),
                ChildEvent::StderrEnd => serve.handle_stderr_end(now),
                ChildEvent::Stdout(chunk) => serve.handle_stdout(chunk, now),
                ChildEvent::StdoutEnd => serve.handle_stdout_end(now),
            }
        });
        jobs || output
    }

    /// What became of a process that was ended without the machine; `None` when that was told already.
    fn conclude(mut self) -> (Option<ServeOutcome>, Option<Waker>) {
        let now = self.runtime.now();
        self.serve.stop(now);
        self.serve.handle_exit(None, now);
        self.serve.handle_stdout_end(now);
        self.serve.handle_stderr_end(now);
        let outcome = loop {
            match self.serve.poll_action() {
                ServeAction::Finished(outcome) => break Some(*outcome),
                ServeAction::Wait(_) => break None,
                ServeAction::Ready { .. } | ServeAction::Signal(_) | ServeAction::Sweep => {}
            }
        };
        (outcome, self.waker)
    }
}

/// The pump is whole between any two calls, so a panic spoils nothing.
fn lock(pump: &Mutex<Option<Pump>>) -> MutexGuard<'_, Option<Pump>> {
    pump.lock().unwrap_or_else(PoisonError::into_inner)
}
