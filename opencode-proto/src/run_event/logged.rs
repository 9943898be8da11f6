//! Lines that are not events, in the form of an event log.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::string;

/// Wraps the line into a JSON object that can be read again.
pub(super) fn wrap(event_type: &str, kind: &str, size: Option<u64>, raw: &[u8]) -> Bytes {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        r#type: &'a str,
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        raw: Cow<'a, str>,
    }
    let raw = String::from_utf8_lossy(raw);
    let wrapped = Wrapped { r#type: event_type, kind, size, raw };
    serde_json::to_vec(&wrapped).expect("strings are JSON").into()
}

/// Returns the line that an event log holds as `line`.
pub(super) fn unwrap(line: &str) -> Bytes {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
    }
    let wrapped: Wrapped<'_> = serde_json::from_str(line).unwrap_or_default();
    wrapped.raw.and_then(string).unwrap_or_default().into()
}
