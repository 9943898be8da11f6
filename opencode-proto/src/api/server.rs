//! The server as a whole.

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::ModelRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, one};
use super::{ApiError, Operation, Pace, Repeat};
use crate::json::string;

/// Reads health and version of the server. `GET /global/health`, since 1.0.224.
///
/// Older servers answer as to any unknown path: see
/// [`is_unknown_route`](super::ApiError::is_unknown_route).
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{Health, Operation};
///
/// let reply = Response::new(r#"{"healthy":true,"version":"1.18.33"}"#.into());
/// let health = Health::new().decode(reply)?;
/// assert!(health.healthy && &*health.version == "1.18.33");
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health;

/// Health and version of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerHealth {
    /// The server's own judgement of the health.
    pub healthy: bool,
    /// Version of the server, for example `1.18.33`.
    pub version: Box<str>,
}

impl Health {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["global", "health"])
    }
}

impl Operation for Health {
    type Output = ServerHealth;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<ServerHealth, ApiError> {
        #[derive(Deserialize)]
        struct WireHealth {
            healthy: bool,
            version: String,
        }
        Self::call().read(response, |body| {
            let wire: WireHealth = serde_json::from_slice(body)?;
            Ok(ServerHealth { healthy: wire.healthy, version: wire.version.into() })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Reads the version of a server of OpenCode 2, whose API is another one. `GET /api/info`; before
/// 2.0.4, `GET /api/health`.
///
/// OpenCode 1 answers both paths, but with a page, or without a version.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{NextVersion, Operation};
///
/// let reply = Response::new(r#"{"version":"2.0.12","pid":7,"urls":[]}"#.into());
/// assert_eq!(&*NextVersion::new().decode(reply)?, "2.0.12");
/// let reply = Response::new(r#"{"healthy":true}"#.into());
/// assert!(NextVersion::early().decode(reply).is_err());
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextVersion {
    endpoint: &'static str,
}

impl NextVersion {
    /// Creates the operation for 2.0.4 and later.
    pub const fn new() -> Self {
        Self { endpoint: "info" }
    }

    /// Creates the operation for earlier versions.
    pub const fn early() -> Self {
        Self { endpoint: "health" }
    }

    fn call(self) -> Call {
        Call::get(["api", self.endpoint])
    }
}

impl Default for NextVersion {
    fn default() -> Self {
        Self::new()
    }
}

impl Operation for NextVersion {
    type Output = Box<str>;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Box<str>, ApiError> {
        #[derive(Deserialize)]
        struct WireInfo {
            version: String,
        }
        self.call().read(response, |body| {
            let wire: WireInfo = serde_json::from_slice(body)?;
            Ok(wire.version.into())
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Reads the model in a directory's configuration. `GET /config`.
///
/// The result is `None` for a configuration without a readable model name; OpenCode then chooses a
/// model itself.
///
/// ```
/// use opencode_proto::api::{ConfiguredModel, Operation};
///
/// let request = ConfiguredModel::new().request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/config");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfiguredModel;

impl ConfiguredModel {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["config"])
    }
}

impl Operation for ConfiguredModel {
    type Output = Option<ModelRef>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Option<ModelRef>, ApiError> {
        #[derive(Deserialize)]
        struct WireConfig<'a> {
            #[serde(borrow, default)]
            model: Option<&'a RawValue>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let wire: WireConfig<'_> = serde_json::from_str(raw.get())?;
                Ok(wire.model.and_then(string).and_then(|model| ModelRef::new(model).ok()))
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

/// Reads the shell of the `bash` tool in a directory's configuration. `GET /config`.
///
/// The result is `None` for a configuration without a shell; OpenCode then takes the user's.
///
/// ```
/// use opencode_proto::api::{ConfiguredShell, Operation};
///
/// let request = ConfiguredShell::new().request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/config");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfiguredShell;

impl ConfiguredShell {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["config"])
    }
}

impl Operation for ConfiguredShell {
    type Output = Option<String>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Option<String>, ApiError> {
        #[derive(Deserialize)]
        struct WireShellConfig<'a> {
            #[serde(borrow, default)]
            shell: Option<&'a RawValue>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let wire: WireShellConfig<'_> = serde_json::from_str(raw.get())?;
                Ok(wire.shell.and_then(string))
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
