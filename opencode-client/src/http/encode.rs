//! Text in the forms that headers want.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What JavaScript's `encodeURIComponent` encodes: the server decodes with `decodeURIComponent`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Any text as the value of a header, percent-encoded.
pub(super) fn component(text: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(text, COMPONENT).to_string();
    HeaderValue::try_from(encoded).expect("what is left is plain ASCII")
}

/// The `authorization` header of Basic authentication, marked as a secret.
pub(super) fn basic(username: &[u8], password: &[u8]) -> HeaderValue {
    let pair = BASE64_STANDARD.encode([username, b":", password].concat());
    let mut header = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is plain ASCII");
    header.set_sensitive(true);
    header
}
