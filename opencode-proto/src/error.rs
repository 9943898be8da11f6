//! Errors of the agent, as OpenCode reports them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{RawJson, string};
use crate::part::Lenient;
use crate::stack_trace::without_trace;

/// An error of the agent: of the model's provider, of the configuration, or of OpenCode itself.
///
/// Mirrors `{name, data: {message, ...}}`. The other observed shapes are understood as well:
/// `{type, message}` of OpenCode 2, `{code, ...}` of a lost connection, and a plain string.
///
/// `Serialize` writes `{name, data}` for every shape, with all of `data` that OpenCode sent, and
/// with the [`cause`](Self::cause) where one was found. `Debug` is `Display`: a provider's whole
/// response stays out of logs.
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind};
///
/// let line = r#"{"type":"error","error":{"name":"APIError","data":{"message":"no key","statusCode":401}}}"#;
/// let RunEventKind::Error(error) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert!(error.is_auth());
/// let text = "APIError 401: no key; store credentials with `opencode auth login`";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentError {
    /// Name of the error.
    pub name: ErrorName,
    /// Message in the words of OpenCode or the provider.
    pub message: String,
    /// HTTP status of the provider, for [`ErrorName::API`].
    pub status: Option<u16>,
    /// OpenCode's judgement of another try, for [`ErrorName::API`]: `Some(true)` where one may
    /// help.
    pub retryable: Option<bool>,
    /// Reference (`err_…`) to the server's log, which has the cause of an error without a message
    /// of its own.
    pub reference: Option<String>,
    /// The cause from that log, if the log was at hand; else the whole message of an error whose
    /// message came with a stack trace. `Display` leaves the trace out.
    pub cause: Option<String>,
    /// The error as it arrived, with everything else in it.
    pub raw: RawJson,
}

/// Name of an [`AgentError`]. An open set: compare with the constants.
///
/// ```
/// use opencode_proto::ErrorName;
///
/// let name = ErrorName::from("ProviderAuthError");
/// assert_eq!(name, ErrorName::PROVIDER_AUTH);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ErrorName(Box<str>);

impl ErrorName {
    /// The provider answered with an error.
    pub const API: &str = "APIError";
    /// The provider's content filter refused the answer.
    pub const CONTENT_FILTER: &str = "ContentFilterError";
    /// The conversation does not fit into the model's context. OpenCode compacts the conversation
    /// and goes on where it can.
    pub const CONTEXT_OVERFLOW: &str = "ContextOverflowError";
    /// The turn was aborted.
    pub const MESSAGE_ABORTED: &str = "MessageAbortedError";
    /// The answer reached the limit on the length.
    pub const OUTPUT_LENGTH: &str = "MessageOutputLengthError";
    /// The provider's credentials are missing or wrong.
    pub const PROVIDER_AUTH: &str = "ProviderAuthError";
    /// The model gave no answer of the requested form.
    pub const STRUCTURED_OUTPUT: &str = "StructuredOutputError";
    /// Any other error.
    pub const UNKNOWN: &str = "UnknownError";

    /// Returns the name in OpenCode's spelling.
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
    /// Decodes an error of any shape. JSON of an unknown shape becomes an [`ErrorName::UNKNOWN`]
    /// with the JSON text as the message.
    pub(crate) fn decode(raw: RawJson) -> Self {
        let text = raw.as_str();
        let value = serde_json::from_str::<&RawValue>(text).ok();
        if let Some(message) = value.and_then(string) {
            return Self::new(ErrorName::UNKNOWN, message, raw);
        }
        let Ok(wire) = serde_json::from_str::<WireAgentError<'_>>(text) else {
            return Self::new(ErrorName::UNKNOWN, text.to_owned(), raw);
        };
        let data: WireAgentErrorData<'_> =
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
        let message = without_trace(&error.message);
        if message != error.message {
            error.cause = Some(std::mem::replace(&mut error.message, message));
        }
        error
    }

    /// Creates an error of this name and message alone.
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
    /// `Model not found: provider/model.`, which a run of a process prints in the log only (see
    /// [`cause`](Self::cause)). A model that only the provider does not know is an
    /// [`ErrorName::API`].
    pub fn is_model_not_found(&self) -> bool {
        let names_model = |text: &str| {
            text.contains("ModelNotFoundError")
                || text.to_ascii_lowercase().contains("model not found")
        };
        self.name != ErrorName::API
            && (names_model(self.name.as_str())
                || names_model(&self.message)
                || self.cause.as_deref().is_some_and(names_model))
    }

    /// Returns whether the error reports an abort (`MessageAbortedError`).
    pub(crate) fn is_abort(&self) -> bool {
        self.name == ErrorName::MESSAGE_ABORTED
    }

    /// Returns whether OpenCode stores errors like this one in an answer. The prompt of the answer is
    /// stored before.
    pub(crate) fn is_of_answer(&self) -> bool {
        const OF_ANSWERS: [&str; 7] = [
            ErrorName::API,
            ErrorName::CONTENT_FILTER,
            ErrorName::CONTEXT_OVERFLOW,
            ErrorName::MESSAGE_ABORTED,
            ErrorName::OUTPUT_LENGTH,
            ErrorName::PROVIDER_AUTH,
            ErrorName::STRUCTURED_OUTPUT,
        ];
        OF_ANSWERS.contains(&self.name.as_str())
    }

    /// Returns whether the other error is the same failure, reported again.
    pub(crate) fn is_same_failure(&self, other: &Self) -> bool {
        (&self.name, &self.message, &self.reference, self.status)
            == (&other.name, &other.message, &other.reference, other.status)
    }

    /// Returns whether the provider refused the request for the rate or quota (status 429).
    pub fn is_rate_limited(&self) -> bool {
        self.status == Some(429)
    }

    /// Returns the advice to the user that [`Display`](fmt::Display) appends, if the user can act.
    ///
    /// A provider without credentials has no models, so that OpenCode reports missing credentials
    /// as an unknown model.
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_auth() {
            Some("store credentials with `opencode auth login`")
        } else if self.is_model_not_found() {
            Some(
                "list the models with `opencode models`, and store credentials of their provider \
                 with `opencode auth login`",
            )
        } else {
            None
        }
    }

    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self { raw: self.raw.detach(), ..self.clone() }
    }
}

impl Serialize for AgentError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("AgentError", 2)?;
        error.serialize_field("name", &self.name)?;
        error.serialize_field("data", &ErrorData(self))?;
        error.end()
    }
}

/// The `data` of an error: OpenCode's own where it sent one, else the fields that were decoded.
struct ErrorData<'a>(&'a AgentError);

impl Serialize for ErrorData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Deserialize)]
        struct WireWithData<'a> {
            #[serde(borrow)]
            data: BTreeMap<String, &'a RawValue>,
        }
        let error = self.0;
        let mut data = serializer.serialize_map(None)?;
        match error.raw.decode::<WireWithData<'_>>() {
            Ok(wire) => {
                if !wire.data.contains_key("message") {
                    data.serialize_entry("message", &error.message)?;
                }
                for (name, value) in wire.data.iter().filter(|(name, _)| *name != "cause") {
                    data.serialize_entry(name, value)?;
                }
            }
            Err(_) => data.serialize_entry("message", &error.message)?,
        }
        if let Some(cause) = &error.cause {
            data.serialize_entry("cause", cause)?;
        }
        data.end()
    }
}

impl fmt::Debug for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        match (&self.cause, &self.reference) {
            (Some(cause), _) => write!(f, ": {}", without_trace(cause)),
            (None, Some(reference)) => write!(f, ": {} ({reference})", self.message),
            (None, None) => write!(f, ": {}", self.message),
        }?;
        self.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Error for AgentError {}

/// Writes an error and all sources on one line: the `Debug` form of errors that `main` may return.
pub(crate) fn fmt_chain(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireAgentError<'a> {
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
struct WireAgentErrorData<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(rename = "statusCode")]
    status_code: Option<Lenient>,
    #[serde(borrow, rename = "isRetryable")]
    is_retryable: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
}
