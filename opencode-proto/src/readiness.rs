//! Readiness of a server that listens.
//!
//! # Theory of operation
//!
//! ```text
//!   Health ----- healthy, and nothing else is asked for ------> ready
//!     | |                                                         ^
//!     | +-- healthy, or too old for the question --> Config ------+ readable
//!     |                                                |
//!     v                                                v
//!   failed: unhealthy, refused, or without a reply   failed
//! ```
//!
//! A server starts without a look at its configuration. The first request for a directory reads the
//! configuration, and fails when it cannot be used.

use std::collections::VecDeque;
use std::mem;

use crate::api::{ApiErrorKind, ConfiguredModel, Health};
use crate::call::{ApiCall, ApiCallId, ApiReply, CallFault, CallScope, OpenCalls, read_reply};

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
/// assert_eq!(version.as_deref(), Some("1.18.33"));
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
    /// The configuration is being read, on a server of this version.
    Configuration(Option<Box<str>>),
    Health,
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
    /// The check is over, and no action follows. Holds the version of the server; `None` for a
    /// server before 1.0.224, which does not report the version.
    Finished(Result<Option<Box<str>>, HealthError>),
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
                let read = read_reply(&ConfiguredModel::new(), reply);
                self.finish(read.map(|_| version).map_err(HealthError::from));
            }
            ReadinessState::Health => match (read_reply(&Health::new(), reply), self.check) {
                (Ok(health), _) if !health.healthy => self.finish(Err(HealthError::Unhealthy)),
                (Ok(health), ReadinessCheck::Configuration) => {
                    self.read_configuration(Some(health.version));
                }
                (Ok(health), ReadinessCheck::Health) => self.finish(Ok(Some(health.version))),
                // Before 1.0.224, the reply to this request was a page, or anything else.
                (Err(CallFault::Api(error)), _) if error.kind != ApiErrorKind::Unauthorized => {
                    self.read_configuration(None);
                }
                (Err(fault), _) => self.finish(Err(fault.into())),
            },
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
        let call = self.calls.begin(&ConfiguredModel::new(), CallScope::Directory, ());
        self.actions.push_back(ReadinessAction::Call(Box::new(call)));
    }

    fn finish(&mut self, result: Result<Option<Box<str>>, HealthError>) {
        self.actions.push_back(ReadinessAction::Finished(result));
    }
}

impl HealthError {
    /// Returns whether the server refuses the credentials.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Call(fault) => {
                fault.api().is_some_and(|error| error.kind == ApiErrorKind::Unauthorized)
            }
            Self::Unhealthy => false,
        }
    }

    /// Returns the error of the configuration, where that is the cause.
    pub fn config_fault(&self) -> Option<String> {
        match self {
            Self::Call(fault) => fault.api()?.config_fault(),
            Self::Unhealthy => None,
        }
    }
}
