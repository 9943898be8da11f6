use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A listener on a free port of 127.0.0.1 that serves each connection on a separate thread.
///
/// The threads are named after the kind of server and the port.
#[derive(Debug)]
pub(crate) struct Listener {
    name: String,
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<io::Result<()>>>,
}

impl Listener {
    pub(crate) fn start(
        kind: &str,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), kind, serve)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        kind: &str,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        // Linux cuts thread names at 15 bytes.
        let name = format!("{kind}-{}", address.port());
        let acceptor = thread::Builder::new().name(name.clone()).spawn({
            let stopping = Arc::clone(&stopping);
            move || accept(&listener, &stopping, &serve)
        })?;
        Ok(Self { name, address, stopping, acceptor: Some(acceptor) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and waits for the end of all connections, whose threads the caller has
    /// woken.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Connecting is the only way to end a blocking accept of std.
        let knocked =
            TcpStream::connect(self.address).and_then(|stream| stream.shutdown(Shutdown::Both));
        let Some(acceptor) = self.acceptor.take() else { return };
        if knocked.is_err() && !acceptor.is_finished() {
            // Joining would block for ever.
            return report(&format!("cannot stop {}: connecting to its port failed", self.name));
        }
        match acceptor.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report(&format!("{} stopped listening: {error}", self.name)),
            Err(_) => report(&format!("a thread of {} panicked", self.name)),
        }
    }
}

/// Accepts connections. Returns after a stop, when every connection has been served.
fn accept(
    listener: &TcpListener,
    stopping: &AtomicBool,
    serve: &(impl Fn(TcpStream) + Sync),
) -> io::Result<()> {
    let name = thread::current().name().unwrap_or_default().to_owned();
    thread::scope(|scope| {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            if stopping.load(Ordering::SeqCst) {
                return Ok(());
            }
            thread::Builder::new().name(name.clone()).spawn_scoped(scope, || serve(stream))?;
        }
    })
}

/// Panics, unless the test is panicking already: a second panic would abort the process.
fn report(problem: &str) {
    assert!(thread::panicking(), "{problem}");
}

#[cfg(all(test, target_os = "linux"))]
pub(crate) use self::tests::threads;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    /// Number of threads with this name. The kernel lists a thread a little longer than it runs.
    pub(crate) fn threads(name: &str) -> usize {
        let tasks = procfs::process::Process::myself().unwrap().tasks().unwrap();
        let names = tasks.filter_map(|task| task.ok()?.stat().ok().map(|stat| stat.comm));
        names.filter(|comm| comm == name).count()
    }
}
