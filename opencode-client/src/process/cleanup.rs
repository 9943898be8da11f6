//! Cleanup after a process: descendants and private files.

use std::sync::{Arc, Mutex, PoisonError};

use opencode_config::IsolationPlan;

use crate::process::guardian::GuardianError;
use crate::process::host::Host;
use crate::process::orphans;
use crate::process::private_dir::{PrivateDir, PrivateDirError};
use crate::process::process_tree::{Marker, SweepError, SweepLimits};
use crate::process::run_tree::RunTree;
use crate::runtime::blocking::unblock_bound;
use crate::runtime::describe::debug_as_chain;

/// Error of the cleanup after a run or a server.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CleanupError {
    /// The private directory could not be removed.
    #[error(transparent)]
    PrivateDir(#[from] PrivateDirError),
    /// A process is still alive, or the processes could not be listed or signalled.
    #[error(transparent)]
    Processes(#[from] SweepError),
    /// The cleanup after the run's own server failed.
    #[error(transparent)]
    Server(#[from] Arc<Self>),
}

debug_as_chain!(CleanupError);

/// Processes and files to remove when a run ends. A drop removes them before it returns.
pub(crate) struct CleanupGuard {
    host: Arc<Host>,
    token: String,
    tree: Option<Arc<Mutex<RunTree>>>,
    private_dir: Option<PrivateDir>,
}

impl CleanupGuard {
    /// Creates the private directory for a process that starts later, and registers the directory
    /// with the guardian. A failed registration is the inner error. Blocks.
    pub(crate) fn create(
        host: &Arc<Host>,
        marker: &Marker,
        plan: &IsolationPlan,
    ) -> Result<(Self, Result<(), GuardianError>), PrivateDirError> {
        let token = marker.token();
        let root = PrivateDir::root(&host.temp_dir, token);
        // The guardian ends real processes.
        let is_real = host.runtime.process_control().is_none();
        if is_real {
            host.swept.call_once(|| orphans::sweep(&host.temp_dir));
        }
        let guarded = match is_real {
            true => host.guardian.watch(token, Some(&root)),
            false => Ok(()),
        };
        let private_dir = PrivateDir::create(&host.temp_dir, token, plan).inspect_err(|_| {
            // Without this message, the guardian would later find nothing to remove.
            let _ = host.guardian.done(token);
        })?;
        orphans::sign(private_dir.path());
        let cleanup = Self {
            host: Arc::clone(host),
            token: token.to_owned(),
            tree: None,
            private_dir: Some(private_dir),
        };
        Ok((cleanup, guarded))
    }

    /// Adds the processes of the run.
    pub(crate) fn with_tree(mut self, tree: RunTree) -> Self {
        self.tree = Some(Arc::new(Mutex::new(tree)));
        self
    }

    pub(crate) fn tree(&self) -> Option<Arc<Mutex<RunTree>>> {
        self.tree.clone()
    }

    /// Ends the processes and removes the files, on a thread that may block. Dropping the future
    /// drops this value.
    pub(crate) async fn remove(self) -> Result<(), CleanupError> {
        let runtime = Arc::clone(&self.host.runtime);
        unblock_bound(&runtime, move || {
            let mut cleanup = self;
            cleanup.remove_now()
        })
        .await
    }

    fn remove_now(&mut self) -> Result<(), CleanupError> {
        let swept = match self.tree.take() {
            Some(tree) => {
                let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
                tree.sweep(SweepLimits::default()).map_err(CleanupError::from)
            }
            None => Ok(()),
        };
        let removed = match self.private_dir.take() {
            Some(private_dir) => private_dir.remove().map_err(CleanupError::from),
            None => return Ok(()),
        };
        if swept.is_ok()
            && removed.is_ok()
            && let Err(error) = self.host.guardian.done(&self.token)
        {
            tracing::debug!(%error, "guardian has exited");
        }
        swept.and(removed)
    }
}

impl Drop for CleanupGuard {
    fn drop(&mut self) {
        if let Some(tree) = &self.tree {
            let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = tree.kill() {
                tracing::warn!(%error, "cannot end all processes of a dropped run");
            }
        }
        if let Err(error) = self.remove_now() {
            tracing::warn!(%error, "cannot clean up after a dropped run");
        }
    }
}
