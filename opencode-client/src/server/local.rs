//! A server that this library started: the process, and everything to be removed with the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use opencode_proto::{ServeOutcome, ServeSettings, SessionId, Version};

use crate::process::cleanup::CleanupError;
use crate::process::cleanup::CleanupGuard;
use crate::process::drop_order::DropOrder;
use crate::process::launch::StartedProcess;
use crate::process::warning::Warning;
use crate::runtime::Runtime;
use crate::runtime::latch::{Latch, SetOnDrop};
use crate::runtime::wait::{First, race};

use super::life::Life;
use super::output::ServerOutput;
use super::pump::Watch;

/// The process of a started server. A drop ends the process and everything that the server's tools
/// started, and removes the private files, before the drop returns.
pub(super) struct Local {
    /// The cleanup guard drops first, so the process has exited when the watch is dropped.
    process: DropOrder<Mutex<Option<CleanupGuard>>, Watch>,
    removed: Latch<Option<Arc<CleanupError>>>,
    is_aborting: AtomicBool,
    aborted: Latch<Vec<SessionId>>,
    output: ServerOutput,
    started: Instant,
    process_id: u32,
    command: String,
    version: Option<Version>,
    warnings: Arc<Mutex<Vec<Warning>>>,
}

impl Local {
    pub(super) fn watch(
        runtime: &Arc<dyn Runtime>,
        started: StartedProcess,
        settings: ServeSettings,
        output: ServerOutput,
    ) -> Self {
        let StartedProcess { process, invocation, warnings, .. } = started;
        let (cleanup, process) = process.into_parts();
        let process_id = process.id;
        let warnings = Arc::new(Mutex::new(warnings));
        let tree = cleanup.tree().expect("a started process has a process tree");
        Self {
            process: DropOrder::new(
                Mutex::new(Some(cleanup)),
                Watch::spawn(
                    runtime,
                    process,
                    invocation.version.as_ref(),
                    tree,
                    settings,
                    output.clone(),
                    Arc::clone(&warnings),
                ),
            ),
            removed: Latch::default(),
            is_aborting: AtomicBool::new(false),
            aborted: Latch::default(),
            output,
            started: runtime.now(),
            process_id,
            command: invocation.command_line(),
            version: invocation.version,
            warnings,
        }
    }

    pub(super) fn output(&self) -> &ServerOutput {
        &self.output
    }

    pub(super) fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Returns the start time of the process.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// Returns the version of the program, as far as it was known before the start.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds warnings.
    pub(super) fn warn(&self, warnings: &[Warning]) {
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend_from_slice(warnings);
    }

    pub(super) fn life(&self) -> &Arc<Life> {
        self.process.second().life()
    }

    /// Waits until the server listens, and returns the URL, or the outcome if the process exits
    /// first.
    pub(super) async fn ready(&self) -> Result<Arc<String>, Arc<ServeOutcome>> {
        match race(self.life().ended.wait(), self.life().ready.wait()).await {
            First::One(outcome) => Err(outcome),
            First::Other(url) => Ok(url),
        }
    }

    /// Runs the abort of the first caller, and returns the aborted sessions to all callers.
    pub(super) async fn abort(
        &self,
        abort: impl Future<Output = Vec<SessionId>>,
    ) -> Arc<Vec<SessionId>> {
        if !self.is_aborting.swap(true, Ordering::Relaxed) {
            let _told = SetOnDrop(&self.aborted, Vec::new);
            self.aborted.set(abort.await);
        }
        self.aborted.wait().await
    }

    /// Asks the process to end, and waits for the exit.
    pub(super) async fn end(&self) -> Arc<ServeOutcome> {
        self.process.second().stop();
        self.life().ended.wait().await
    }

    /// Ends the process without an abort of sessions, and removes everything that remains.
    pub(super) async fn abandon(&self) -> Result<(), Arc<CleanupError>> {
        self.process.second().stop();
        self.remove().await
    }

    /// Ends the processes that still run and removes the private files. The result is the same for
    /// all callers.
    pub(super) async fn remove(&self) -> Result<(), Arc<CleanupError>> {
        let cleanup = self.process.first().lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(cleanup) = cleanup {
            // Other callers wait for this latch, also when this call is cancelled: the drop has
            // removed everything then.
            let _told = SetOnDrop(&self.removed, || None);
            self.removed.set(cleanup.remove().await.err().map(Arc::new));
        }
        match &*self.removed.wait().await {
            None => Ok(()),
            Some(error) => Err(Arc::clone(error)),
        }
    }
}
