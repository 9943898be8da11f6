//! JSON values that keep the order of their keys and the spelling of their numbers.

use std::fmt;

use serde_json::Value;

mod number;
mod object;
mod serialize;
#[cfg(test)]
mod tests;

pub use number::{JsonNumber, JsonNumberError};
pub use object::{JsonEntries, JsonObject};

/// A JSON value, such as a setting of OpenCode that this crate has no type for.
///
/// Unlike `serde_json::Value`, a `Json` keeps the keys of objects in the order in which they were
/// written, whatever features of `serde_json` a program enables. OpenCode needs that order: of the
/// rules in `permission`, the last one that matches decides. Numbers keep their spelling.
///
/// A value is written as text, built from parts, or converted:
///
/// ```
/// use opencode_config::{Json, JsonObject};
///
/// let read: Json = r#"{ "timeout": 1e3, /* ms */ "enabled": true }"#.parse()?;
/// let built = JsonObject::new().with("command", ["npx", "-y", "@playwright/mcp"]);
/// let converted = Json::from(serde_json::json!({ "url": "https://mcp.example/sse" }));
///
/// assert_eq!(read.to_string(), r#"{"timeout":1e3,"enabled":true}"#);
/// assert_eq!(built.to_string(), r#"{"command":["npx","-y","@playwright/mcp"]}"#);
/// assert_eq!(converted.get("url").and_then(Json::as_str), Some("https://mcp.example/sse"));
/// # Ok::<(), opencode_config::JsoncError>(())
/// ```
///
/// A `serde_json::Value` has the keys of objects in alphabetical order unless the program
/// enables `serde_json/preserve_order`, so rules whose order matters are better written as text or
/// with [`Permissions`](crate::Permissions).
///
/// Two values are equal when their text is: other orders of keys and other spellings of a number
/// make a difference. `Display` and `Debug` print compact JSON.
#[derive(Clone, Default, Eq, PartialEq)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in the spelling of the source.
    Number(JsonNumber),
    /// A string, without quotes and escapes.
    String(String),
    /// A list of values.
    Array(Vec<Self>),
    /// Values by key, in order.
    Object(JsonObject),
}

impl Json {
    /// Returns the truth value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        let Self::Bool(value) = self else { return None };
        Some(*value)
    }

    /// Returns the number of a number.
    #[must_use]
    pub fn as_number(&self) -> Option<&JsonNumber> {
        let Self::Number(number) = self else { return None };
        Some(number)
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        let Self::String(text) = self else { return None };
        Some(text)
    }

    /// Returns the items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        let Self::Array(items) = self else { return None };
        Some(items)
    }

    /// Returns the items of an array for changes.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        let Self::Array(items) = self else { return None };
        Some(items)
    }

    /// Returns the object of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&JsonObject> {
        let Self::Object(object) = self else { return None };
        Some(object)
    }

    /// Returns the object of an object for changes.
    pub fn as_object_mut(&mut self) -> Option<&mut JsonObject> {
        let Self::Object(object) = self else { return None };
        Some(object)
    }

    /// Returns the value of `key` when this is an object that has the key.
    ///
    /// ```
    /// use opencode_config::Json;
    ///
    /// let server: Json = r#"{"oauth": {"scope": "read"}}"#.parse()?;
    /// let scope = server.get("oauth").and_then(|oauth| oauth.get("scope"));
    /// assert_eq!(scope.and_then(Json::as_str), Some("read"));
    /// assert_eq!(server.get("url"), None);
    /// # Ok::<(), opencode_config::JsoncError>(())
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The kind of value, for error messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write_string(f, text),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(f, "{separator}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(object) => write!(f, "{object}"),
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes `text` as a JSON string.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<JsonNumber> for Json {
    fn from(number: JsonNumber) -> Self {
        Self::Number(number)
    }
}

impl From<JsonObject> for Json {
    fn from(object: JsonObject) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Json {
    fn from(items: [T; N]) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// A number that is not finite becomes `null`, as in JavaScript.
impl From<f64> for Json {
    fn from(number: f64) -> Self {
        JsonNumber::from_f64(number).map_or(Self::Null, Self::Number)
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(
            impl From<$integer> for Json {
                fn from(number: $integer) -> Self {
                    Self::Number(number.into())
                }
            }
        )*
    };
}

from_integers!(i32 i64 u8 u16 u32 u64 usize);

/// Keys come in the order of the `serde_json` value, which is alphabetical unless the program
/// enables `serde_json/preserve_order`.
impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number.into()),
            Value::String(text) => Self::String(text),
            Value::Array(items) => items.into(),
            Value::Object(object) => Self::Object(object.into()),
        }
    }
}

/// Keys come in the order of the `serde_json` map, like those of a `serde_json::Value`.
impl From<serde_json::Map<String, Value>> for Json {
    fn from(object: serde_json::Map<String, Value>) -> Self {
        Self::Object(object.into())
    }
}
