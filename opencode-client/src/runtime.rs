//! Requirements on an async runtime, and how to write an adapter.
//!
//! `opencode-tokio` and `opencode-async-std` are adapters; a third is one type and one test, about
//! two hundred lines.
//!
//! 1. Implement [`Runtime`]. [`now`](Runtime::now) and [`timer`](Runtime::timer) share one clock. A
//!    [`timer`](Runtime::timer) can be reset, also after it was ready.
//!    [`blocking`](Runtime::blocking) and [`spawn`](Runtime::spawn) finish the work they are given
//!    even when the caller stops waiting.
//! 2. Start processes ([`process`](Runtime::process)): return the three pipes as [`ByteSink`] and
//!    [`ByteSource`], and the end as [`ProcessExit`]. [`ChunkBuffer`] reads without copying. A
//!    dropped [`Process`] runs on and is reaped; one that has ended is reaped before the drop
//!    returns.
//! 3. Connect ([`connect`](Runtime::connect)): a [`Connection`] is a socket with the byte traits of
//!    `hyper`. Disable the delay of small writes (`TCP_NODELAY`).
//! 4. Re-export this crate, and add `opencode()` and `builder()`, so that a program changes its
//!    runtime by changing one name.
//! 5. Expand the list of conformance tests in `tests/conformance.rs`, which finds omissions.
//!
//! ```ignore
//! struct Mine;
//!
//! impl testkit::conformance::Adapter for Mine {
//!     fn runtime() -> impl Runtime {
//!         MyRuntime::new()
//!     }
//!
//!     fn block_on<F: Future>(future: F) -> F::Output {
//!         my_runtime::block_on(future)
//!     }
//! }
//!
//! testkit::conformance!(Mine);
//! ```

pub(crate) mod blocking;
pub(crate) mod cancel;
pub(crate) mod describe;
pub(crate) mod fair;
pub(crate) mod latch;
pub(crate) mod span;
pub(crate) mod text;
pub(crate) mod wait;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};

// The traits of a connection.
pub use hyper;

/// Services of an async runtime: clock, timers, blocking work, tasks, processes and connections.
///
/// An adapter is an implementation of this trait. The client calls every method from a place that
/// the runtime polls, so a runtime that needs a context has the context there.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Returns the current time of the clock that [`timer`](Self::timer) uses. A runtime whose
    /// clock can be paused in tests returns the paused time.
    fn now(&self) -> Instant;

    /// Creates a timer that is ready at `at`, or at once when `at` has passed. The client looks at
    /// [`now`](Self::now) as well, so a timer may be late while its task has other work.
    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>>;

    /// Runs `work`, which may block for seconds, on a thread where no task has to wait.
    ///
    /// Accepted work runs to the end, even when the caller has stopped waiting.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Starts the process of `command`, whose three standard streams are pipes.
    ///
    /// # Errors
    ///
    /// The errors of [`Command::spawn`].
    fn process(&self, command: Command) -> io::Result<Process>;

    /// Connects to a server over TCP, with `TCP_NODELAY` set. `host` is a name or an address (an
    /// IPv6 address without brackets); all addresses of a name are tried.
    ///
    /// Dropping the future cancels the attempt, dropping the connection closes the socket.
    fn connect(&self, host: &str, port: u16) -> Connecting;

    /// Runs `task` to the end in the background.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);

    /// Returns the time of day, which goes into message ids and into events that OpenCode would
    /// have dated. Default: the system's clock. A simulated runtime returns the time of the world.
    #[expect(clippy::disallowed_methods, reason = "the only look at the system's clock")]
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Returns a random number to vary delays by. Default: half of a [`secret`](Self::secret). A
    /// simulated runtime draws the number from the seed.
    fn random(&self) -> u64 {
        u64::try_from(self.secret() >> 64).unwrap_or_default()
    }

    /// Returns 128 unpredictable bits: passwords, process markers and message ids are made from
    /// them, so an implementation for real processes has to use a cryptographic source. Default:
    /// the random source of the operating system.
    ///
    /// # Panics
    ///
    /// The default panics when the operating system has no random source.
    fn secret(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        u128::from_ne_bytes(bytes)
    }

    /// Returns the control of simulated processes. Default: `None`, for processes of the operating
    /// system, which the client finds by their ids, parents and environments, and ends itself.
    fn process_control(&self) -> Option<Arc<dyn ProcessControl>> {
        None
    }
}

impl dyn Runtime {
    /// Returns the time of day in milliseconds since 1970.
    pub(crate) fn epoch_ms(&self) -> u64 {
        let since_epoch = self.system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Control of simulated processes, which the operating system does not know.
pub trait ProcessControl: fmt::Debug + Send + Sync {
    /// Asks the process of this id and all descendants to exit.
    fn terminate(&self, id: u32);

    /// Ends the process of this id and all descendants before the call returns.
    fn kill(&self, id: u32);
}

/// A future that establishes a connection.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// A connection to a server, as the byte traits of `hyper` describe one.
pub trait Connection: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: ?Sized + hyper::rt::Read + hyper::rt::Write + Send + Unpin> Connection for T {}

/// A timer that can be reset, also after it was ready.
pub trait Timer: Future<Output = ()> + Send {
    /// Resets the timer, so that it is ready at `at`.
    fn reset(self: Pin<&mut Self>, at: Instant);
}

/// A started process. After a drop of this value the process continues, and is reaped when it
/// exits.
pub struct Process {
    /// Process id.
    pub id: u32,
    /// Standard input. A drop closes the pipe.
    pub stdin: Box<dyn ByteSink>,
    /// Standard output.
    pub stdout: Box<dyn ByteSource>,
    /// Standard error.
    pub stderr: Box<dyn ByteSource>,
    /// Exit of the process.
    pub exit: Box<dyn ProcessExit>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Exit of a process.
pub trait ProcessExit: Send {
    /// Returns the exit status when the process has exited. Not called again after that.
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>>;
}

/// Source of bytes, such as the standard output of a process.
pub trait ByteSource: Send {
    /// Returns the next chunk, of any size; an empty chunk is the end. Not called again after the
    /// end or an error.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
}

/// Sink of bytes, such as the standard input of a process. A drop closes the sink.
pub trait ByteSink: Send {
    /// Writes some of `bytes`, which are never empty, and returns the number of written bytes.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// Buffer for implementations of [`ByteSource`], which hands chunks out without a copy.
#[derive(Debug, Default)]
pub struct ChunkBuffer {
    /// Zeroed memory to read into.
    free: BytesMut,
}

impl ChunkBuffer {
    const SIZE: usize = 64 << 10;
    /// Below this size, short reads into the rest cost more than a new buffer.
    const LEFT_MIN: usize = 4 << 10;

    /// Lets `read` fill the buffer from the front, and returns as many bytes as `read` reports.
    ///
    /// # Errors
    ///
    /// The errors of `read`.
    pub fn poll_fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<Bytes>> {
        if self.free.len() < Self::LEFT_MIN {
            self.free = BytesMut::zeroed(Self::SIZE);
        }
        read(&mut self.free).map_ok(|filled| self.free.split_to(filled).freeze())
    }
}
