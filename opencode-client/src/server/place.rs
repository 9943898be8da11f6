//! Directories on the machine of a server.

use std::path::{Path, PathBuf};

use opencode_proto::api::DeleteSession;
use opencode_proto::{
    CallScope, DirectoryAction, DirectoryCheck, DirectoryError, RequestedDirectory, SessionInfo,
};

use super::Server;
use super::core::ServerInner;
use super::files::ServerMachine;
use crate::http::CallError;
use crate::process::host::{NoDirectory, directory_error, existing};
use crate::runtime::blocking::unblock;

/// Directory on the machine of a server, in which OpenCode can work.
pub(crate) struct Place {
    /// `None` for the directory in which an attached server was started.
    pub(crate) path: Option<PathBuf>,
    pub(crate) requested: RequestedDirectory,
}

impl Server {
    /// Finds a directory on the server's machine; `None` stands for the directory of this handle.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn place(&self, path: Option<&Path>) -> Result<Place, NoDirectory> {
        let path = path.or_else(|| self.directory().map(Path::new));
        self.inner.place(path).await
    }
}

impl ServerInner {
    async fn place(&self, path: Option<&Path>) -> Result<Place, NoDirectory> {
        let Some(path) = path else {
            return Ok(Place { path: None, requested: RequestedDirectory::of_server() });
        };
        match self.machine() {
            ServerMachine::Here => {
                let path = path.to_owned();
                let found = unblock(&self.host.runtime, move || existing(Some(&path))).await?;
                Ok(Place { path: Some(found.path), requested: found.requested })
            }
            ServerMachine::Elsewhere => {
                let fail = |error| NoDirectory::of(path, error);
                let name = path.to_str().ok_or_else(|| fail(DirectoryError::NotUtf8))?;
                let requested = self.check_directory(name).await.map_err(fail)?;
                Ok(Place { path: Some(path.to_owned()), requested })
            }
        }
    }

    /// Asks the server for a directory that may be on another machine.
    async fn check_directory(&self, name: &str) -> Result<RequestedDirectory, DirectoryError> {
        let mut check = DirectoryCheck::new(name);
        loop {
            match check.poll_action() {
                DirectoryAction::Call(call) => {
                    let (id, scope) = (call.id, call.scope);
                    let directory = (scope == CallScope::Directory).then_some(name);
                    let reply = self.http.answer(*call, directory).await;
                    check.handle_reply(id, reply);
                }
                DirectoryAction::FindRealName => {
                    let path = PathBuf::from(name);
                    let real = unblock(&self.host.runtime, move || path.canonicalize().ok()).await;
                    check.handle_real_name(real.and_then(|real| real.to_str().map(str::to_owned)));
                }
                DirectoryAction::Finished(result) => return result,
                DirectoryAction::Wait => unreachable!("every input was passed on"),
            }
        }
    }

    /// Checks the directory of a session that was just created, and deletes a session that works
    /// elsewhere.
    pub(crate) async fn check_created(
        &self,
        requested: &RequestedDirectory,
        session: &SessionInfo,
    ) -> Result<(), CallError> {
        let Err(error) = requested.check_created(session) else { return Ok(()) };
        let deleted = self.http.call(&DeleteSession::new(session.id.clone()), None).await;
        if let Err(error) = deleted {
            tracing::warn!(session = %session.id, %error, "session was left in another directory");
        }
        Err(wrong_directory(requested, session, error))
    }
}

/// Returns the error of a session that works, or would work, in another directory.
pub(crate) fn wrong_directory(
    requested: &RequestedDirectory,
    session: &SessionInfo,
    error: DirectoryError,
) -> CallError {
    let directory = requested.requested().or(session.directory.as_deref()).unwrap_or_default();
    CallError::Directory { directory: directory.into(), source: directory_error(error) }
}

impl From<NoDirectory> for CallError {
    fn from(NoDirectory { path, source }: NoDirectory) -> Self {
        Self::Directory { directory: path, source }
    }
}
