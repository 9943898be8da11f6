//! tokio with a paused clock, which only the test moves.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use opencode_tokio::TokioRuntime;
use opencode_tokio::runtime::{Connecting, Process, Runtime, Timer};
use opencode_tokio::server::HttpLimits;
use testkit::conformance::SpawnedTask;
use testkit::conformance::turn::world::PlayedTurn;
use tokio::sync::Notify;

/// Limit on every wait, long enough for a loaded machine; only failing tests reach it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Limit of every call, later than the clock of any test that does not test this limit.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A runtime with real sockets and a paused clock. The clock must not move while a call waits for
/// its reply. Every call has a timer of [`CALL_LIMIT`], so that counting these timers counts the
/// calls.
#[derive(Clone)]
pub(crate) struct PausedRuntime {
    tokio: TokioRuntime,
    calls: Calls,
    /// tokio does not move a paused clock while there is blocking work. Dropping this ends the
    /// work.
    _hold: Sender<()>,
}

#[derive(Clone, Debug, Default)]
struct Calls(Arc<(AtomicUsize, Notify)>);

impl PausedRuntime {
    /// Pauses the clock. In a test that hangs the clock goes on, and the deadlines of turns end the
    /// test.
    pub(crate) fn new() -> Self {
        let (hold, held) = mpsc::channel();
        tokio::task::spawn_blocking(move || held.recv_timeout(PATIENCE));
        Self { tokio: TokioRuntime::new(), calls: Calls::default(), _hold: hold }
    }

    /// Limits that identify the timers of calls.
    pub(crate) fn limits() -> HttpLimits {
        HttpLimits::default().with_connect(CALL_LIMIT).with_reply(CALL_LIMIT)
    }

    /// Waits until no call waits for a reply.
    pub(crate) async fn quiet(&self) {
        while self.calls.0.0.load(Ordering::SeqCst) > 0 {
            self.calls.0.1.notified().await;
        }
    }

    /// Moves the clock by `time`, when no call waits for a reply.
    pub(crate) async fn pass(&self, time: Duration) {
        self.quiet().await;
        tokio::time::advance(time).await;
        // Tasks whose timers are due run now.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        self.quiet().await;
    }

    /// Moves the clock in small steps until the turn is over.
    pub(crate) async fn pass_until_over(&self, turn: SpawnedTask<PlayedTurn>) -> PlayedTurn {
        while !turn.is_over() {
            self.pass(Duration::from_millis(100)).await;
        }
        turn.await
    }
}

impl fmt::Debug for PausedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PausedRuntime").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Runtime for PausedRuntime {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        let timer = self.tokio.timer(at);
        if at.saturating_duration_since(self.now()) == CALL_LIMIT {
            self.calls.0.0.fetch_add(1, Ordering::SeqCst);
            return Box::pin(CallTimer { timer, calls: self.calls.clone() });
        }
        timer
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.tokio.blocking(work);
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        self.tokio.process(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        self.tokio.connect(host, port)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.tokio.spawn(task);
    }
}

struct CallTimer {
    timer: Pin<Box<dyn Timer>>,
    calls: Calls,
}

impl Future for CallTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }
}

impl Timer for CallTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.timer.as_mut().reset(at);
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        self.calls.0.0.fetch_sub(1, Ordering::SeqCst);
        self.calls.0.1.notify_one();
    }
}
