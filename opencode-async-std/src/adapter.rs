mod process;
mod socket;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Instant;

use async_std::net::TcpStream;
use async_std::task;
use opencode_client::runtime::{Connecting, Process, Runtime, Timer};

/// [`Runtime`] for async-std. Tasks and blocking work run on the threads of async-std, on whatever
/// executor the futures are polled.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdRuntime(());

impl AsyncStdRuntime {
    /// Creates the adapter of the process-wide runtime of async-std.
    pub fn new() -> Self {
        Self(())
    }
}

impl Runtime for AsyncStdRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(AsyncStdTimer(async_io::Timer::at(at)))
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        // A detached task runs on.
        drop(task::spawn_blocking(work));
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        process::start(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        let host = host.to_owned();
        Box::pin(async move {
            // `connect` tries every address of a name in order.
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(socket::connection(stream))
        })
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(task::spawn(task));
    }
}

struct AsyncStdTimer(async_io::Timer);

impl Future for AsyncStdTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Timer for AsyncStdTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.set_at(at);
    }
}
