//! What went wrong inside OpenCode, as it reports it.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::Lenient;

/// An error of the agent: the model's provider, the configuration, or OpenCode itself.
///
/// Mirrors `{name, data: {message, ...}}`, and understands the other shapes that were seen: `{type, message}` of
/// OpenCode 2, `{code, ...}` of a lost connection, and a plain string.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentError {
    /// Which error it is.
    pub name: ErrorName,
    /// What it says, in OpenCode's or the provider's words.
    pub message: String,
    /// The provider's HTTP status, for [`ErrorName::API`].
    pub status: Option<u16>,
    /// Whether OpenCode thinks that trying again could help, for [`ErrorName::API`].
    pub retryable: Option<bool>,
    /// Where the server's log has the cause of an error that is told without one (`err_…`).
    pub reference: Option<String>,
    /// That cause, when the log was at hand.
    pub cause: Option<String>,
    /// The error as it came, with everything else it says.
    pub raw: RawJson,
}

/// The name of an [`AgentError`]. An open set: compare with the constants.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorName(Box<str>);

impl ErrorName {
    /// The provider answered with an error.
    pub const API: &str = "APIError";
    /// The provider's filter refused the answer.
    pub const CONTENT_FILTER: &str = "ContentFilterError";
    /// The conversation does not fit into the model's context. OpenCode compacts it and goes on where it can.
    pub const CONTEXT_OVERFLOW: &str = "ContextOverflowError";
    /// The turn was aborted.
    pub const MESSAGE_ABORTED: &str = "MessageAbortedError";
    /// The answer reached the limit on its length.
    pub const OUTPUT_LENGTH: &str = "MessageOutputLengthError";
    /// The provider's credentials are missing or wrong.
    pub const PROVIDER_AUTH: &str = "ProviderAuthError";
    /// The model gave no answer of the form that was asked for.
    pub const STRUCTURED_OUTPUT: &str = "StructuredOutputError";
    /// Anything else.
    pub const UNKNOWN: &str = "UnknownError";

    /// The name as OpenCode writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ErrorName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl PartialEq<str> for ErrorName {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for ErrorName {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Debug for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AgentError {
    /// Reads any of the shapes. Never fails: what has no shape at all is an [`ErrorName::UNKNOWN`] with the JSON text
    /// as its message.
    pub(crate) fn decode(raw: RawJson) -> Self {
        let text = raw.as_str();
        let value = serde_json::from_str::<&RawValue>(text).ok();
        if let Some(message) = value.and_then(string) {
            return Self::new(ErrorName::UNKNOWN, message, raw);
        }
        let Ok(wire) = serde_json::from_str::<WireError<'_>>(text) else {
            return Self::new(ErrorName::UNKNOWN, text.to_owned(), raw);
        };
        let data: WireData<'_> =
            wire.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
        let name =
            [wire.name, wire.tag, wire.kind, wire.code].into_iter().flatten().find_map(string);
        let message = [data.message, wire.message].into_iter().flatten().find_map(string);
        let mut error = Self::new(
            name.as_deref().unwrap_or(ErrorName::UNKNOWN),
            message.unwrap_or_else(|| text.to_owned()),
            raw.clone(),
        );
        error.status = data.status_code.and_then(|status| u16::try_from(status.count()).ok());
        error.retryable = data.is_retryable.and_then(|raw| raw.get().parse().ok());
        error.reference = data.reference.and_then(string);
        error
    }

    /// An error that is told by these words only.
    pub(crate) fn new(name: &str, message: String, raw: RawJson) -> Self {
        Self {
            name: name.into(),
            message,
            status: None,
            retryable: None,
            reference: None,
            cause: None,
            raw,
        }
    }

    /// Returns whether the turn was aborted ([`ErrorName::MESSAGE_ABORTED`]).
    pub fn is_aborted(&self) -> bool {
        self.name == ErrorName::MESSAGE_ABORTED
    }

    /// Returns whether the provider's credentials are missing or wrong:
    /// [`ErrorName::PROVIDER_AUTH`], or status 401 or 403 of the provider.
    pub fn is_auth(&self) -> bool {
        self.name == ErrorName::PROVIDER_AUTH || matches!(self.status, Some(401 | 403))
    }

    /// Returns whether the conversation does not fit into the model's context
    /// ([`ErrorName::CONTEXT_OVERFLOW`]).
    pub fn is_context_overflow(&self) -> bool {
        self.name == ErrorName::CONTEXT_OVERFLOW
    }

    /// Returns whether OpenCode does not know the model of the prompt.
    ///
    /// OpenCode 1.18.33 reports this as [`ErrorName::UNKNOWN`] with the message
    /// `Model not found: provider/model.`, which a run of a process prints in its log only (see
    /// [`cause`](Self::cause)). A model that only the provider does not know is an
    /// [`ErrorName::API`].
    pub fn is_model_not_found(&self) -> bool {
        let names_it = |text: &str| {
            text.contains("ModelNotFoundError")
                || text.to_ascii_lowercase().contains("model not found")
        };
        self.name != ErrorName::API
            && (names_it(self.name.as_str())
                || names_it(&self.message)
                || self.cause.as_deref().is_some_and(names_it))
    }

    /// Returns whether the provider refused the request for its rate or quota (status 429).
    pub fn is_rate_limited(&self) -> bool {
        self.status == Some(429)
    }

    /// A copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self { raw: self.raw.detach(), ..self.clone() }
    }
}

impl fmt::Debug for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `raw` can hold a provider's whole response; it is there for programs, not for logs.
        f.debug_struct("AgentError")
            .field("name", &self.name)
            .field("message", &self.message)
            .field("status", &self.status)
            .field("retryable", &self.retryable)
            .field("reference", &self.reference)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        match (&self.cause, &self.reference) {
            (Some(cause), _) => write!(f, ": {cause}"),
            (None, Some(reference)) => write!(f, ": {} ({reference})", self.message),
            (None, None) => write!(f, ": {}", self.message),
        }
    }
}

impl std::error::Error for AgentError {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireError<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow, rename = "_tag")]
    tag: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireData<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(rename = "statusCode")]
    status_code: Option<Lenient>,
    #[serde(borrow, rename = "isRetryable")]
    is_retryable: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
}
