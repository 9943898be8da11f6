//! The servers of a batch: start, end, and memory.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use opencode_proto::ServerNo;

use super::event::BatchEvent;
use super::feed::Feed;
use crate::log::describe;
use crate::process::host::Host;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{First, race};
use crate::server::life::ServerExit;
use crate::server::{
    self, AttachRequest, RefusedConnection, ServeRequest, Server, ServerOutput, ServerOutputEvent,
    StopError,
};

/// A server of a batch, until the server is gone.
pub(super) enum BatchServer {
    /// Jobs can use the server.
    Ready {
        server: Server,
        /// Set with the reason when the server is given up.
        fault: Arc<Latch<String>>,
        /// Set when the server is stopped.
        closing: Arc<Latch<()>>,
    },
    /// The server is being started or reached. Setting the latch ends the attempt.
    Starting(Arc<Latch<()>>),
    /// The server is being stopped.
    Stopping,
}

/// Origin of a server.
pub(super) enum ServerSource {
    Attach(Box<AttachRequest>),
    Serve(Box<ServeRequest>),
}

/// Result of a task about a server.
pub(super) enum ServerDone {
    /// The process has ended, for any reason.
    Exited(ServerNo, String),
    /// The server could not be started or reached.
    Failed(ServerNo, ServerFault),
    /// The server was asked whether it works. Holds the latch of the server, and the reason for
    /// which the server is of no use.
    Probed(ServerNo, Arc<Latch<String>>, Option<String>),
    /// The server takes jobs.
    Ready(ServerNo, Server),
    /// The server is gone.
    Stopped(ServerNo, Option<Box<StopError>>),
}

/// Error of a server that could not be started or reached.
pub(super) struct ServerFault {
    pub(super) reason: String,
    pub(super) outlook: ServerOutlook,
}

/// Prospect of another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerOutlook {
    /// Another try would fail alike.
    Permanent,
    /// Another try may succeed.
    Temporary,
}

impl ServerFault {
    fn new(error: &dyn Error, may_pass: bool) -> Self {
        let outlook = if may_pass { ServerOutlook::Temporary } else { ServerOutlook::Permanent };
        Self { reason: describe(error), outlook }
    }
}

/// Starts or reaches a server, unless the latch is set before.
pub(super) async fn begin(
    host: Arc<Host>,
    no: ServerNo,
    source: ServerSource,
    dismissed: Arc<Latch<()>>,
    mut feed: Feed,
) -> ServerDone {
    let begun = async {
        match source {
            ServerSource::Attach(request) => {
                server::attach(host, *request, RefusedConnection::Fail)
                    .await
                    .map_err(|error| ServerFault::new(&error, error.is_passing()))
            }
            ServerSource::Serve(mut request) => {
                let mut output = request.output.branch();
                request.output = output.clone();
                let served = server::serve(host, *request);
                match race(report_progress(no, &mut output, &mut feed), served).await {
                    First::One(never) => match never {},
                    First::Other(served) => {
                        served.map_err(|error| ServerFault::new(&error, error.is_passing()))
                    }
                }
            }
        }
    };
    match race(dismissed.wait(), begun).await {
        First::One(_) => ServerDone::Stopped(no, None),
        First::Other(Ok(server)) => ServerDone::Ready(no, server),
        First::Other(Err(fault)) => ServerDone::Failed(no, fault),
    }
}

/// Announces the progress of a start, until the future is dropped.
async fn report_progress(no: ServerNo, output: &mut ServerOutput, feed: &mut Feed) -> Infallible {
    while let Some(event) = output.next_event().await {
        let event = match event {
            ServerOutputEvent::Installing { plugins, .. } => {
                BatchEvent::ServerInstalling { server: no, plugins }
            }
            ServerOutputEvent::Starting { elapsed, .. } => {
                BatchEvent::ServerStartProgress { server: no, elapsed }
            }
            ServerOutputEvent::Line { .. } => continue,
        };
        feed.announce(event).await;
    }
    std::future::pending().await
}

/// Waits for the end of a started server. Does not keep the server alive.
pub(super) async fn watch(no: ServerNo, exit: ServerExit) -> ServerDone {
    let outcome = exit.exited().await;
    let reason = match outcome.exit {
        Some(exit) => format!("{} ({exit})", outcome.end),
        None => outcome.end.to_string(),
    };
    ServerDone::Exited(no, reason)
}

/// Asks a server whether it works. An error reply shows that the server runs.
pub(super) async fn probe(no: ServerNo, server: Server, fault: Arc<Latch<String>>) -> ServerDone {
    let error = server.health().await.err().filter(|error| error.api().is_none());
    ServerDone::Probed(no, fault, error.map(|error| describe(&error)))
}

pub(super) async fn stop(no: ServerNo, server: Server) -> ServerDone {
    ServerDone::Stopped(no, server.stop().await.err().map(Box::new))
}

/// Returns the memory of a process in bytes; `None` on systems that do not show it. Blocks.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn resident_size(process_id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn resident_size(_: u32) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[test]
fn the_memory_of_this_process_is_known() {
    let size = resident_size(std::process::id()).expect("this process runs");
    assert!((1 << 20..1 << 40).contains(&size), "{size} bytes");
    assert_eq!(resident_size(u32::MAX), None);
}
