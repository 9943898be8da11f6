use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

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
        // Proxies put an object or a text there.
        let proxy: WireErrorData<'_> =
            wire.error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
        let message = [data.message, wire.message, wire.error, proxy.message]
            .into_iter()
            .flatten()
            .filter_map(string)
            .find(|message| !message.is_empty());
        // An error with a tag can have a name too, which is that of an MCP server.
        let name = [wire.tag, wire.name].into_iter().flatten().find_map(string);
        Self {
            message: message
                .or_else(plain)
                .or_else(|| name.clone())
                .unwrap_or_else(status_text)
                .into(),
            name,
            field: first([data.kind, wire.kind, data.field, wire.field]),
            reference: first([data.reference, wire.reference]),
        }
    }
}

fn first<const N: usize>(texts: [Option<&RawValue>; N]) -> Option<Box<str>> {
    texts.into_iter().flatten().find_map(string).map(Into::into)
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
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    field: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
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
    #[serde(borrow)]
    field: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
}

pub(super) fn is_content(response: &Response<Bytes>, media_type: &str) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let (value, _parameters) = value.split_once(';').unwrap_or((value, ""));
        value.trim().eq_ignore_ascii_case(media_type)
    })
}
