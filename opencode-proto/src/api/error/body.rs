use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::is_content;
use crate::json::string;

/// Content of an error's body, in any shape.
pub(super) struct ErrorBody {
    pub(super) name: Option<String>,
    pub(super) message: Box<str>,
    pub(super) field: Option<Box<str>>,
    pub(super) reference: Option<Box<str>>,
}

impl ErrorBody {
    pub(super) fn read(response: &Response<Bytes>) -> Self {
        let text = String::from_utf8_lossy(response.body());
        let wire: WireErrorBody<'_> = serde_json::from_str(&text).unwrap_or_default();
        let data: WireErrorData<'_> =
            wire.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
        let plain = || {
            let text = text.trim();
            (is_content(response, "text/plain") && !text.is_empty()).then(|| text.to_owned())
        };
        let status_text = || match response.status().canonical_reason() {
            Some(reason) => reason.to_owned(),
            None => format!("status {}", response.status().as_u16()),
        };
        let message = [data.message, wire.message, wire.error]
            .into_iter()
            .flatten()
            .find_map(string)
            .filter(|message| !message.is_empty());
        let name = [wire.name, wire.tag].into_iter().flatten().find_map(string);
        Self {
            message: message
                .or_else(plain)
                .or_else(|| name.clone())
                .unwrap_or_else(status_text)
                .into(),
            name,
            field: data.kind.and_then(string).map(Into::into),
            reference: data.reference.and_then(string).map(Into::into),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireErrorBody<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow, rename = "_tag")]
    tag: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    /// The message of proxies.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireErrorData<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
}
