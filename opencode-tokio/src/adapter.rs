mod process;
mod socket;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Instant;

use opencode_client::runtime::{Connecting, Process, Runtime, Timer};

/// [`Runtime`] for tokio. All work happens on the tokio runtime that polls, whose I/O and time
/// drivers must be enabled (`enable_all`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioRuntime(());

impl TokioRuntime {
    /// Creates the adapter of the tokio runtime that polls.
    pub fn new() -> Self {
        Self(())
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Instant {
        // Not `Instant::now`: tokio's clock can be paused in tests.
        tokio::time::Instant::now().into_std()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(TokioTimer(Box::pin(tokio::time::sleep_until(at.into()))))
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        process::start(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        Box::pin(socket::connect(host.to_owned(), port))
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(task);
    }
}

struct TokioTimer(Pin<Box<tokio::time::Sleep>>);

impl Future for TokioTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Timer for TokioTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let at = at.into();
        // Resetting a timer to the same instant would cost a lock.
        if self.0.deadline() != at {
            self.0.as_mut().reset(at);
        }
    }
}
