//! What an async runtime must provide.

pub(crate) mod blocking;
pub(crate) mod latch;
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

/// An async runtime, as far as this crate needs one.
///
/// Implement it to run OpenCode on another runtime: it is all that tells one adapter from another. Everything is
/// called where the runtime polls, so a runtime that needs a context has it there.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// The time that [`timer`](Self::timer) goes by. A runtime whose clock can be stopped in tests answers with that.
    fn now(&self) -> Instant;

    /// A timer that is ready at `at`, at once when that has passed.
    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>>;

    /// Runs `work`, which may block for seconds, where that hurts no task.
    ///
    /// Work that was accepted is run to its end, also when whoever waited for it is gone.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Starts a process. `command` says everything about it: its three standard streams are pipes.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`].
    fn process(&self, command: Command) -> io::Result<Process>;

    /// Connects to a server over TCP, without delay of small writes. `host` is a name or an address (an IPv6 address
    /// without brackets); all addresses of a name are tried.
    ///
    /// Dropping the future gives up, dropping the connection closes it.
    fn connect(&self, host: &str, port: u16) -> Connecting;

    /// Runs `task` to its end, whoever waits for it.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);

    /// Returns the time of day, which goes into message ids and into events that OpenCode would
    /// have dated. Default: the system's clock. A simulated runtime returns the time of its world.
    #[expect(clippy::disallowed_methods, reason = "the only look at the system's clock")]
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Returns a random number to vary delays by. Default: half of a [`secret`](Self::secret). A
    /// simulated runtime draws the number from its seed.
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

    /// Who ends the processes that this runtime starts. `None`, the default: the operating system, which knows them by
    /// their ids, parents and environments. A runtime that only imagines its processes ends them itself.
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

/// Ends processes that the operating system does not know.
pub trait ProcessControl: fmt::Debug + Send + Sync {
    /// Asks the process of this id, and all that it started, to end.
    fn terminate(&self, id: u32);

    /// Ends the process of this id, and all that it started: they have ended when this returns.
    fn kill(&self, id: u32);
}

/// A connection on its way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// A connection to a server: bytes go both ways, by the traits of `hyper`.
pub trait Connection: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: ?Sized + hyper::rt::Read + hyper::rt::Write + Send + Unpin> Connection for T {}

/// A timer that can be set anew.
pub trait Timer: Future<Output = ()> + Send {
    /// Sets the timer to be ready at `at`.
    fn reset(self: Pin<&mut Self>, at: Instant);
}

/// A process that was started. Dropping it must leave it running and have it reaped when it ends.
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Where it reads. Dropping it closes it.
    pub stdin: Box<dyn ByteSink>,
    /// What it writes.
    pub stdout: Box<dyn ByteSource>,
    /// What it complains.
    pub stderr: Box<dyn ByteSource>,
    /// Its end.
    pub exit: Box<dyn ProcessExit>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The end of a process.
pub trait ProcessExit: Send {
    /// Ready when the process has ended. Not called again after that.
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>>;
}

/// Something bytes come out of.
pub trait ByteSource: Send {
    /// The next chunk, of any size; an empty one is the end. Not called again after the end or an error.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
}

/// Something bytes go into. Dropping it closes it.
pub trait ByteSink: Send {
    /// Writes some of `bytes`, which are never empty, and says how many.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// A buffer to read chunks with, for those who implement [`ByteSource`]: what was read is handed out without a copy.
#[derive(Debug, Default)]
pub struct ChunkBuffer {
    /// Zeroed memory.
    free: BytesMut,
}

impl ChunkBuffer {
    const SIZE: usize = 64 << 10;
    /// Below this, reading into what is left costs more than a new buffer.
    const LEFT_MIN: usize = 4 << 10;

    /// Lets `read` fill the buffer and returns what it filled. `read` says how many bytes it wrote to the front.
    ///
    /// # Errors
    ///
    /// Those of `read`.
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
