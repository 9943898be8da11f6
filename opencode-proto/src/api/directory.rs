//! Directories of the server's machine.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, one};
use super::{ApiError, Operation, Pace, Repeat};
use crate::json::string;

/// Reads the paths of a directory. `GET /path`.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{Operation, ReadPaths};
///
/// let reply = r#"{"directory":"/src/app/web","worktree":"/src/app","home":"/root"}"#;
/// let paths = ReadPaths::new().decode(Response::new(reply.into()))?;
/// assert_eq!(paths.worktree, "/src/app");
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadPaths;

/// Paths of a directory, as the server's machine names them. Mirrors `Path`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerPaths {
    /// The directory of the request.
    pub directory: String,
    /// Root of the repository, which patterns of permission requests are relative to; `/` outside
    /// repositories.
    pub worktree: String,
    /// Home of the user that runs the server. (Since 1.0.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

impl ServerPaths {
    /// Creates paths without a home.
    pub fn new(directory: impl Into<String>, worktree: impl Into<String>) -> Self {
        Self { directory: directory.into(), worktree: worktree.into(), home: None }
    }
}

impl ReadPaths {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["path"])
    }
}

impl Operation for ReadPaths {
    type Output = ServerPaths;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<ServerPaths, ApiError> {
        #[derive(Deserialize)]
        struct WirePaths<'a> {
            directory: String,
            worktree: String,
            #[serde(borrow, default)]
            home: Option<&'a RawValue>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let wire: WirePaths<'_> = serde_json::from_str(raw.get())?;
                let home = wire.home.and_then(string);
                Ok(ServerPaths { directory: wire.directory, worktree: wire.worktree, home })
            })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

/// Checks that the directory of the request exists and can be read. `GET /file`.
///
/// OpenCode takes a missing directory for an empty one, and works there. The list of the files is
/// an error of the server (status 500) then.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{CheckDirectory, Operation};
///
/// let check = CheckDirectory::new();
/// assert_eq!(check.request().uri(), "/file?path=.");
/// assert!(check.decode(Response::new("[]".into())).is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckDirectory;

impl CheckDirectory {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["file"]).query("path", Some("."))
    }
}

impl Operation for CheckDirectory {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        Self::call().read(response, |body| serde_json::from_slice::<Vec<&RawValue>>(body).map(drop))
    }

    /// The error of a missing directory looks like one that passes.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}
