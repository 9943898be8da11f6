//! JSON as it came over the wire: shared slices, decoded on demand.
//!
//! Half of what OpenCode prints is tool input, output and metadata that most programs never look at. It stays
//! a [`RawJson`] or a [`RawText`]: a slice of the chunk it arrived in, decoded when somebody asks.

mod unescape;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use unescape::unescape;

/// One JSON value of any shape, kept as the text it arrived as.
///
/// Cloning shares the bytes. A value taken from a stream is a slice of the chunk it came in and keeps that chunk
/// alive; [`detach`](Self::detach) copies it out.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    ///
    /// The position and kind of the first mistake.
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, serde_json::Error> {
        let bytes = text.into();
        serde_json::from_slice::<&RawValue>(&bytes)?;
        Ok(Self(bytes))
    }

    /// Decodes into a type of the caller's.
    ///
    /// # Errors
    ///
    /// Where the value does not have the shape of `T`. Strings with lone surrogates, which JavaScript can print,
    /// are an error here as everywhere in `serde_json`.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("raw JSON is checked when it is made")
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The JSON as something that can be written.
    pub(crate) fn as_value(&self) -> &RawValue {
        self.decode().expect("raw JSON is checked when it is made")
    }

    /// `raw` must be a slice of `line`.
    pub(crate) fn slice(line: &Bytes, raw: &RawValue) -> Self {
        Self(line.slice_ref(raw.get().as_bytes()))
    }

    /// `line` must be one valid JSON value.
    pub(crate) fn whole(line: Bytes) -> Self {
        Self(line)
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A JSON string, kept escaped until it is read.
///
/// Cloning shares the bytes, as for [`RawJson`].
#[derive(Clone)]
pub struct RawText(Literal);

#[derive(Clone)]
enum Literal {
    /// The inside of a JSON string literal: no quotes, escapes in place.
    Escaped(Bytes),
    Plain(Bytes),
}

impl RawText {
    /// This text.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(Literal::Plain(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// The text. Borrowed when nothing in it was escaped.
    ///
    /// Never fails: a lone surrogate, which JavaScript can print and UTF-8 cannot hold, reads as U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        match &self.0 {
            Literal::Escaped(bytes) => unescape(utf8(bytes)),
            Literal::Plain(bytes) => Cow::Borrowed(utf8(bytes)),
        }
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Literal::Escaped(bytes) | Literal::Plain(bytes) => bytes.is_empty(),
        }
    }

    /// A copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self(match &self.0 {
            Literal::Escaped(bytes) => Literal::Escaped(Bytes::copy_from_slice(bytes)),
            Literal::Plain(bytes) => Literal::Plain(Bytes::copy_from_slice(bytes)),
        })
    }

    /// The string that `raw`, a slice of `line`, is; `None` when it is another kind of value.
    pub(crate) fn slice(line: &Bytes, raw: &RawValue) -> Option<Self> {
        let inside = inside(raw)?;
        Some(Self(Literal::Escaped(line.slice_ref(inside.as_bytes()))))
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> Self {
        Self(Literal::Plain(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl PartialEq for RawText {
    fn eq(&self, other: &Self) -> bool {
        self.to_str() == other.to_str()
    }
}

impl Eq for RawText {}

impl PartialEq<str> for RawText {
    fn eq(&self, other: &str) -> bool {
        self.to_str() == other
    }
}

impl PartialEq<&str> for RawText {
    fn eq(&self, other: &&str) -> bool {
        self.to_str() == *other
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

impl fmt::Display for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}

/// The text of a JSON string; `None` when it is another kind of value.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    Some(unescape(inside(raw)?).into_owned())
}

/// What stands between the quotes of a JSON string.
fn inside(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

fn utf8(bytes: &Bytes) -> &str {
    str::from_utf8(bytes).expect("lines are checked before they are sliced")
}

#[cfg(test)]
mod tests;
