//! Approvals of command lines, for the gate of a server on this machine.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opencode_config::CommandGate;
use opencode_proto::api::ConfiguredShell;

use crate::http::{CallError, Http};
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;

#[cfg(test)]
mod tests;

/// The gate of a server, which runs approved command lines only.
pub(super) struct Gate {
    /// Directory for approvals.
    approvals: PathBuf,
    runtime: Arc<dyn Runtime>,
}

impl Gate {
    /// Finds the gate of a server by the shell of the configuration; `None` for a server without a
    /// gate on this machine.
    pub(super) async fn find(
        http: &Http,
        directory: Option<&str>,
    ) -> Result<Option<Self>, CallError> {
        let shell = http.call(&ConfiguredShell::new(), directory).await?;
        let Some(approvals) = shell.and_then(|shell| CommandGate::approvals(Path::new(&shell)))
        else {
            return Ok(None);
        };
        let runtime = Arc::clone(http.runtime());
        let is_here = {
            let approvals = approvals.clone();
            unblock(&runtime, move || approvals.is_dir()).await
        };
        Ok(is_here.then_some(Self { approvals, runtime }))
    }

    /// Approves one run of a command line.
    pub(super) async fn approve(&self, line: String) {
        let (approvals, random) = (self.approvals.clone(), self.runtime.random());
        let written = unblock(&self.runtime, move || write(&approvals, &line, random)).await;
        if let Err(error) = written {
            tracing::warn!(%error, "cannot approve a command line, which will not run");
        }
    }
}

/// Writes an approval, before the server learns of the decision. Blocks.
fn write(approvals: &Path, line: &str, mut name: u64) -> io::Result<()> {
    loop {
        let path = approvals.join(format!("{name:016x}"));
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(mut file) => return writeln!(file, "{line}"),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                name = name.wrapping_add(1);
            }
            Err(error) => return Err(error),
        }
    }
}
