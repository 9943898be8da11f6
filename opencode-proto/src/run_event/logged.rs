//! Lines that are not events, in the form of an event log.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::AttemptAbandoned;
use crate::json::string;
use crate::{MessageId, PartId, SessionId};

/// Wraps the line into a JSON object that can be read again.
pub(super) fn wrap(event_type: &str, kind: &str, size: Option<u64>, raw: &[u8]) -> Bytes {
    #[derive(Serialize)]
    struct WireWrappedLine<'a> {
        r#type: &'a str,
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        raw: Cow<'a, str>,
    }
    let raw = String::from_utf8_lossy(raw);
    let wrapped = WireWrappedLine { r#type: event_type, kind, size, raw };
    serde_json::to_vec(&wrapped).expect("strings are JSON").into()
}

/// Returns the line for an attempt whose parts are void.
pub(super) fn attempt_abandoned(
    abandoned: &AttemptAbandoned,
    session: Option<&SessionId>,
    timestamp_ms: Option<u64>,
) -> Bytes {
    #[derive(Serialize)]
    struct WireAbandonedLine<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        timestamp: Option<u64>,
        #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
        session: Option<&'a SessionId>,
        #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
        message: Option<&'a MessageId>,
        parts: &'a [PartId],
    }
    let line = WireAbandonedLine {
        r#type: "attempt_abandoned",
        timestamp: timestamp_ms,
        session,
        message: abandoned.message.as_ref(),
        parts: &abandoned.parts,
    };
    serde_json::to_vec(&line).expect("strings and numbers are JSON").into()
}

/// Returns the line that an event log holds as `line`.
pub(super) fn unwrap(line: &str) -> Bytes {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct WrappedLine<'a> {
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
    }
    let wrapped: WrappedLine<'_> = serde_json::from_str(line).unwrap_or_default();
    wrapped.raw.and_then(string).unwrap_or_default().into()
}
