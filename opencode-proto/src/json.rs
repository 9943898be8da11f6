//! JSON in the form it arrived in: shared slices, decoded on demand.
//!
//! Half of OpenCode's output is tool input, tool output and metadata that most programs never look
//! at. Such values stay a [`RawJson`] or a [`RawText`]: a slice of the chunk that they arrived in.

pub(crate) mod exact;
mod unescape;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub(crate) use unescape::unescape;

/// One JSON value of any shape, kept as the text it arrived as.
///
/// A clone shares the bytes. A value from a stream is a slice of the chunk it came in and keeps
/// that chunk alive; [`detach`](Self::detach) copies the value out. `Serialize` writes the same
/// text again, and `Deserialize` copies the text; both need `serde_json` for that.
///
/// ```
/// use opencode_proto::RawJson;
///
/// let raw = RawJson::parse(r#"{"exit": 3}"#)?;
/// assert_eq!(raw.as_str(), r#"{"exit": 3}"#);
///
/// #[derive(serde::Deserialize)]
/// struct Metadata {
///     exit: i32,
/// }
/// assert_eq!(raw.decode::<Metadata>()?.exit, 3);
/// # Ok::<(), serde_json::Error>(())
/// ```
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

    /// Decodes the value into a type of the caller's.
    ///
    /// # Errors
    ///
    /// The place where the value does not have the shape of `T`. Strings with lone surrogates,
    /// which JavaScript can print, are an error here as everywhere in `serde_json`.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("raw JSON is UTF-8 since its construction")
    }

    /// Returns the bytes of the JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// Returns the value in the form that `serde_json` can write.
    pub(crate) fn as_value(&self) -> &RawValue {
        self.decode().expect("raw JSON is one value since its construction")
    }

    /// Slices `raw` out of `line`, whose memory `raw` must borrow.
    pub(crate) fn slice(line: &Bytes, raw: &RawValue) -> Self {
        Self(line.slice_ref(raw.get().as_bytes()))
    }

    /// Wraps `line`, which must be one valid JSON value.
    pub(crate) fn whole(line: Bytes) -> Self {
        Self(line)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(String::from(Box::<str>::from(raw)).into()))
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
/// A clone shares the bytes, as for [`RawJson`].
///
/// ```
/// use opencode_proto::{RunEvent, RunEventKind};
///
/// let line = r#"{"type":"text","part":{"text":"two\nlines"}}"#;
/// let RunEventKind::Text(part) = RunEvent::decode(line.into()).kind else { panic!() };
/// assert_eq!(part.text, "two\nlines");
/// assert_eq!(part.text.to_str().lines().count(), 2);
/// ```
#[derive(Clone)]
pub struct RawText(TextLiteral);

#[derive(Clone)]
enum TextLiteral {
    /// The inside of a JSON string literal: no quotes, escapes in place.
    Escaped(Bytes),
    Plain(Bytes),
}

impl RawText {
    /// Copies `text`.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(TextLiteral::Plain(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// Returns the text, borrowed when nothing in it is escaped.
    ///
    /// Never fails: a lone surrogate, which JavaScript can print and UTF-8 cannot hold, reads as
    /// U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        match &self.0 {
            TextLiteral::Escaped(bytes) => unescape(utf8(bytes)),
            TextLiteral::Plain(bytes) => Cow::Borrowed(utf8(bytes)),
        }
    }

    /// Returns whether the text has no characters.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            TextLiteral::Escaped(bytes) | TextLiteral::Plain(bytes) => bytes.is_empty(),
        }
    }

    /// Returns a copy that shares no memory with the stream it came from.
    pub fn detach(&self) -> Self {
        Self(match &self.0 {
            TextLiteral::Escaped(bytes) => TextLiteral::Escaped(Bytes::copy_from_slice(bytes)),
            TextLiteral::Plain(bytes) => TextLiteral::Plain(Bytes::copy_from_slice(bytes)),
        })
    }

    /// Slices the string `raw` out of `line`, whose memory `raw` must borrow; `None` when `raw` is
    /// another kind of value.
    pub(crate) fn slice(line: &Bytes, raw: &RawValue) -> Option<Self> {
        let inside = inside(raw)?;
        Some(Self(TextLiteral::Escaped(line.slice_ref(inside.as_bytes()))))
    }
}

impl Serialize for RawText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_str())
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> Self {
        Self::from_text(text)
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

/// Returns the text of a JSON string; `None` for another kind of value.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    Some(unescape(inside(raw)?).into_owned())
}

/// Returns the text between the quotes of a JSON string.
fn inside(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

fn utf8(bytes: &Bytes) -> &str {
    str::from_utf8(bytes).expect("lines are checked before they are sliced")
}

#[cfg(test)]
mod tests;
