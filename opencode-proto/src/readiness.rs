//! Readiness of a server that listens.
//!
//! # Theory of operation
//!
//! ```text
//!   Health ----- healthy, and nothing else is asked for ------> ready
//!     | |                                                         ^
//!     | +-- healthy -------------------------------> Config ------+ readable
//!     |                                                |
//!     +-- unknown route --> Next (two paths) --------+ |
//!     v                       v                      v v
//!   failed: unhealthy,      failed: OpenCode 2     failed: OpenCode before 1.0.224,
//!   refused, no reply,                             or a configuration that cannot be used
//!   another version
//! ```
//!
//! A server starts without reading the configuration. The first request for a directory reads the
//! configuration, and fails when it cannot be used.

use std::collections::VecDeque;
use std::mem;

use crate::api::{ApiError, ApiErrorKind, ConfiguredModel, Health, NextVersion, Operation};
use crate::call::{ApiCall, ApiCallId, ApiReply, CallFault, CallScope, OpenCalls, read_reply};
use crate::{UnsupportedVersion, Version, parse_version};

#[cfg(test)]
mod tests;

/// Machine that finds out whether a server can be used.
///
/// Has no deadline: the driver limits the time, and watches the process of a server that it
/// started.
///
/// ```
/// use http::Response;
/// use opencode_proto::{Readiness, ReadinessAction, ReadinessCheck};
///
/// let mut readiness = Readiness::new(ReadinessCheck::Configuration);
/// let version = loop {
///     match readiness.poll_action() {
///         ReadinessAction::Call(call) => {
///             // Send the request to the server. These are the replies of one that works.
///             let reply = match call.request.uri().path() {
///                 "/global/health" => r#"{"healthy":true,"version":"1.18.33"}"#,
///                 _ => "{}",
///             };
///             readiness.handle_reply(call.id, Ok(Response::new(reply.into())));
///         }
///         // Wait for the reply.
///         ReadinessAction::Wait => {}
///         ReadinessAction::Finished(result) => break result?,
///     }
/// };
/// assert_eq!(&*version, "1.18.33");
/// # Ok::<(), opencode_proto::HealthError>(())
/// ```
#[derive(Debug)]
pub struct Readiness {
    check: ReadinessCheck,
    state: ReadinessState,
    calls: OpenCalls<()>,
    actions: VecDeque<ReadinessAction>,
}

/// Extent of a check of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadinessCheck {
    /// The server has to be healthy, and to have a configuration that it can use for the directory.
    Configuration,
    /// The server has to be healthy.
    Health,
}

#[derive(Debug)]
enum ReadinessState {
    /// The configuration is being read, on a server of this version; `None` before 1.0.224.
    Configuration(Option<Box<str>>),
    Health,
    /// A server without the endpoint for the health is asked for its version as OpenCode 2.
    Next(NextVersion),
    Over,
}

/// Next task for the driver of a [`Readiness`].
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum ReadinessAction {
    /// Send the request to the server, and pass the reply to
    /// [`handle_reply`](Readiness::handle_reply).
    Call(Box<ApiCall>),
    /// The check is over, and no action follows. Holds the version as the server reports it.
    Finished(Result<Box<str>, HealthError>),
    /// Wait for the reply.
    Wait,
}

/// Error of a server that listens and does not work.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// A harmless call failed.
    #[error(transparent)]
    Call(#[from] CallFault),
    /// The server reports that it is not healthy.
    #[error("the server reports that it is not healthy")]
    Unhealthy,
    /// The version of the server is not supported.
    #[error(transparent)]
    Version(#[from] UnsupportedVersion),
}

impl Readiness {
    /// Creates a check of a server.
    pub fn new(check: ReadinessCheck) -> Self {
        let mut calls = OpenCalls::default();
        let call = calls.begin(&Health::new(), CallScope::Directory, ());
        let actions = [ReadinessAction::Call(Box::new(call))].into();
        Self { check, state: ReadinessState::Health, calls, actions }
    }

    /// Takes the reply to [`ReadinessAction::Call`].
    pub fn handle_reply(&mut self, id: ApiCallId, reply: ApiReply) {
        if self.calls.end(id).is_none() {
            return;
        }
        match mem::replace(&mut self.state, ReadinessState::Over) {
            ReadinessState::Configuration(version) => {
                let read = read_reply(&ConfiguredModel::new(), reply).map_err(HealthError::from);
                let version = version.ok_or_else(|| UnsupportedVersion::new(None).into());
                self.finish(read.and(version));
            }
            ReadinessState::Health => match (read_reply(&Health::new(), reply), self.check) {
                (Ok(health), _) if !health.healthy => self.finish(Err(HealthError::Unhealthy)),
                (Ok(health), check) => match (unsupported(&health.version), check) {
                    (Some(error), _) => self.finish(Err(error.into())),
                    (None, ReadinessCheck::Configuration) => {
                        self.read_configuration(Some(health.version));
                    }
                    (None, ReadinessCheck::Health) => self.finish(Ok(health.version)),
                },
                // Before 1.0.224 and in OpenCode 2, the reply to this request is a page, or 404.
                (Err(CallFault::Api(error)), _)
                    if error.is_unknown_fixed_route()
                        || matches!(error.kind, ApiErrorKind::Unreadable(_)) =>
                {
                    self.read_next_version(NextVersion::new());
                }
                (Err(fault), _) => self.finish(Err(fault.into())),
            },
            ReadinessState::Next(operation) => {
                let read = read_reply(&operation, reply).map_err(HealthError::from);
                let version = match read {
                    Err(error) if error.is_final() => return self.finish(Err(error)),
                    read => read.ok(),
                };
                match version.and_then(|version| unsupported(&version)) {
                    Some(error) => self.finish(Err(error.into())),
                    None if operation == NextVersion::new() => {
                        self.read_next_version(NextVersion::early());
                    }
                    None => self.read_configuration(None),
                }
            }
            ReadinessState::Over => {}
        }
    }

    /// Returns the next action. After [`ReadinessAction::Finished`], always returns
    /// [`ReadinessAction::Wait`].
    pub fn poll_action(&mut self) -> ReadinessAction {
        self.actions.pop_front().unwrap_or(ReadinessAction::Wait)
    }

    fn read_configuration(&mut self, version: Option<Box<str>>) {
        self.state = ReadinessState::Configuration(version);
        self.call(&ConfiguredModel::new());
    }

    fn read_next_version(&mut self, operation: NextVersion) {
        self.state = ReadinessState::Next(operation);
        self.call(&operation);
    }

    fn call(&mut self, operation: &impl Operation) {
        let call = self.calls.begin(operation, CallScope::Directory, ());
        self.actions.push_back(ReadinessAction::Call(Box::new(call)));
    }

    fn finish(&mut self, result: Result<Box<str>, HealthError>) {
        self.actions.push_back(ReadinessAction::Finished(result));
    }
}

/// Returns the error of a version that is known and not supported. A server that was built from the
/// sources reports `local`, which is no version.
fn unsupported(version: &str) -> Option<UnsupportedVersion> {
    let found = parse_version(version).filter(|version| !Version::is_supported(version))?;
    Some(UnsupportedVersion::new(Some(found)))
}

impl HealthError {
    /// Returns whether the server refuses the credentials.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Call(fault) => fault.api().is_some_and(ApiError::is_auth),
            Self::Unhealthy | Self::Version(_) => false,
        }
    }

    /// Returns whether another question to the server is pointless.
    fn is_final(&self) -> bool {
        self.is_unauthorized() || matches!(self, Self::Call(CallFault::Failed(_)))
    }

    /// Returns the error of the configuration, where that is the cause.
    pub fn config_fault(&self) -> Option<String> {
        match self {
            Self::Call(fault) => fault.api()?.config_fault(),
            Self::Unhealthy | Self::Version(_) => None,
        }
    }
}
