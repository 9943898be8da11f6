//! The server itself.

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::ModelRef;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Call, one};
use super::{ApiError, Operation, Pace, Repeat};
use crate::json::string;

/// Asks whether the server works, and which version it is. `GET /global/health`, since 1.0.224.
///
/// Older servers answer as to any unknown path: [`ApiErrorKind::UnknownRoute`](super::ApiErrorKind::UnknownRoute).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerHealth {
    /// Whether it thinks that it works.
    pub healthy: bool,
    /// Its version, for example `1.18.33`.
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
            #[serde(default)]
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

/// Reads the model that a directory's configuration names. `GET /config`.
///
/// `None`: it names none, or nothing that is a model; OpenCode then chooses one itself.
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
