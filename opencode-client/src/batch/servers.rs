//! The servers of a batch: how they come, and how they go.

use std::error::Error;
use std::sync::Arc;

use opencode_proto::ServerNo;

use crate::log::describe;
use crate::process::host::Host;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{First, race};
use crate::server::life::ServerExit;
use crate::server::{self, AttachRequest, ServeRequest, Server, StopError};

/// A server, or one that will be.
pub(super) struct Slot {
    /// Set when it is not needed any more.
    pub(super) dismissed: Arc<Latch<()>>,
    pub(super) server: Option<Server>,
    /// Why it failed, once that is told.
    pub(super) fault: Arc<Latch<String>>,
}

/// How to get a server.
pub(super) enum Source {
    Attach(Box<AttachRequest>),
    Serve(Box<ServeRequest>),
}

/// What became of a server.
pub(super) enum ServerDone {
    /// It takes jobs.
    Ready(ServerNo, Server),
    /// It could not be had.
    Failed(ServerNo, ServerFault),
    /// Its process has ended, whyever.
    Exited(ServerNo, String),
    /// It is gone.
    Stopped(ServerNo, Option<Box<StopError>>),
}

/// Why a server could not be had.
pub(super) struct ServerFault {
    pub(super) reason: String,
    /// Whether it may be had later.
    pub(super) is_passing: bool,
}

impl ServerFault {
    fn new(error: &dyn Error, is_passing: bool) -> Self {
        Self { reason: describe(error), is_passing }
    }
}

/// Starts or reaches a server, unless it is dismissed before.
pub(super) async fn begin(
    host: Arc<Host>,
    no: ServerNo,
    source: Source,
    dismissed: Arc<Latch<()>>,
) -> ServerDone {
    let begun = async {
        match source {
            Source::Attach(request) => server::attach(host, *request)
                .await
                .map_err(|error| ServerFault::new(&error, error.is_passing())),
            Source::Serve(request) => server::serve(host, *request)
                .await
                .map_err(|error| ServerFault::new(&error, error.is_passing())),
        }
    };
    match race(dismissed.wait(), begun).await {
        First::One(_) => ServerDone::Stopped(no, None),
        First::Other(Ok(server)) => ServerDone::Ready(no, server),
        First::Other(Err(fault)) => ServerDone::Failed(no, fault),
    }
}

/// Waits for the end of a server that was started. Does not keep it alive.
pub(super) async fn watch(no: ServerNo, exit: ServerExit) -> ServerDone {
    ServerDone::Exited(no, exit.exited().await.end.to_string())
}

pub(super) async fn stop(no: ServerNo, server: Server) -> ServerDone {
    ServerDone::Stopped(no, server.stop().await.err().map(Box::new))
}

/// How much memory a process takes, in bytes; `None` where nobody can tell. Blocks.
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
fn this_process_takes_some_memory() {
    let size = resident_size(std::process::id()).expect("this process runs");
    assert!((1 << 20..1 << 40).contains(&size), "{size} bytes");
    assert_eq!(resident_size(u32::MAX), None);
}
