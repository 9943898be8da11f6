//! Fields of tool data, read with the path of a mistake.
//!
//! Models write tool arguments, so that a text can hold anything a model can write, lone surrogates
//! included. Derived code of serde refuses those, and does not name the field.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::SessionId;
use crate::api::FileDiff;
use crate::json::{RawJson, string};
use crate::run_event::DecodeError;
use crate::server_event::{Choice, Question, QuestionOption, Todo};

/// A value of the wrong shape: the path, and the reason.
#[derive(Debug)]
pub(super) struct Misshape {
    path: String,
    reason: String,
}

impl Misshape {
    fn new(expected: &str, found: &RawValue) -> Self {
        let found = match found.get().as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        Self { path: String::new(), reason: format!("expected {expected}, found {found}") }
    }

    fn missing() -> Self {
        Self { path: String::new(), reason: "the field is missing".to_owned() }
    }

    fn within(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }

    pub(super) fn into_error(self, subject: &str) -> DecodeError {
        let separator = if self.path.is_empty() { "" } else { ": " };
        DecodeError::new(format!("{subject}: {}{separator}{}", self.path, self.reason))
    }
}

/// A type with a form in the data of a tool.
pub(super) trait ToolValue: Sized {
    fn read(raw: &RawValue) -> Result<Self, Misshape>;

    /// Returns the value of a field that is absent.
    fn absent() -> Result<Self, Misshape> {
        Err(Misshape::missing())
    }
}

/// Fields of an object, in the form they arrived in.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Result<Self, Misshape> {
        let fields = serde_json::from_str(raw.get());
        fields.map(Self).map_err(|_| Misshape::new("an object", raw))
    }

    pub(super) fn get<T: ToolValue>(&self, name: &str) -> Result<T, Misshape> {
        let value = self.0.get(name).map_or_else(T::absent, |raw| T::read(raw));
        value.map_err(|error| error.within(name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Implements `ToolValue` for a struct: each field, and OpenCode's name.
macro_rules! tool_value {
    ($name:ident { $($field:ident: $wire:literal),* $(,)? }) => {
        impl $crate::tool::fields::ToolValue for $name {
            fn read(
                raw: &serde_json::value::RawValue,
            ) -> Result<Self, $crate::tool::fields::Misshape> {
                let fields = $crate::tool::fields::Fields::of(raw)?;
                Ok(Self { $($field: fields.get($wire)?),* })
            }
        }
    };
}

pub(super) use tool_value;

/// Reads a value of the type that the caller expects.
pub(super) fn read<T: ToolValue>(raw: &RawValue) -> Result<T, Misshape> {
    T::read(raw)
}

/// Returns the JSON of data, of which a tool without any has none.
pub(super) fn raw_value(data: Option<&RawJson>) -> &RawValue {
    data.map_or_else(|| serde_json::from_str("{}").expect("`{}` is JSON"), RawJson::as_value)
}

/// Returns the data of a tool without any.
pub(super) fn no_fields() -> RawJson {
    RawJson::whole("{}".into())
}

impl ToolValue for String {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        string(raw).ok_or_else(|| Misshape::new("a string", raw))
    }
}

impl ToolValue for SessionId {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        String::read(raw).map(Self::from)
    }
}

impl ToolValue for Box<str> {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        String::read(raw).map(Self::from)
    }
}

/// OpenCode leaves a truth value out that is not true.
impl ToolValue for bool {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        raw.get().parse().map_err(|_| Misshape::new("a boolean", raw))
    }

    fn absent() -> Result<Self, Misshape> {
        Ok(false)
    }
}

impl ToolValue for f64 {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let number = raw.get().starts_with(|char: char| char == '-' || char.is_ascii_digit());
        let read = number.then(|| raw.get().parse().ok()).flatten();
        read.ok_or_else(|| Misshape::new("a number", raw))
    }
}

/// The largest integer that JavaScript counts to: 2^53.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

impl ToolValue for u64 {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        // `1e3` and `2.0` are integers of JavaScript too.
        let float = || f64::read(raw).ok().filter(|number| number.fract() == 0.0);
        let small = || float().filter(|number| (0.0..=INTEGER_MAX).contains(number));
        let read = raw.get().parse().ok().or_else(|| small().map(|number| number as Self));
        read.ok_or_else(|| Misshape::new("an integer from 0", raw))
    }
}

impl ToolValue for i64 {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let float = || f64::read(raw).ok().filter(|number| number.fract() == 0.0);
        let small = || float().filter(|number| number.abs() <= INTEGER_MAX);
        let read = raw.get().parse().ok().or_else(|| small().map(|number| number as Self));
        read.ok_or_else(|| Misshape::new("an integer", raw))
    }
}

impl ToolValue for RawJson {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        Ok(Self::whole(raw.get().to_owned().into()))
    }
}

/// `null` counts as absent.
impl<T: ToolValue> ToolValue for Option<T> {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        if raw.get() == "null" { Ok(None) } else { T::read(raw).map(Some) }
    }

    fn absent() -> Result<Self, Misshape> {
        Ok(None)
    }
}

impl<T: ToolValue> ToolValue for Vec<T> {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let items: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| Misshape::new("an array", raw))?;
        let read = |(index, item): (usize, &RawValue)| {
            T::read(item).map_err(|error| error.within(&format!("[{index}]")))
        };
        items.into_iter().enumerate().map(read).collect()
    }
}

impl ToolValue for FileDiff {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        Self::copied(raw).map_err(|_| Misshape::new("the change of a file", raw))
    }
}

tool_value!(Todo { content: "content", status: "status", priority: "priority" });
tool_value!(QuestionOption { label: "label", description: "description" });
tool_value!(Question {
    question: "question",
    header: "header",
    options: "options",
    choice: "multiple",
});

impl ToolValue for Choice {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        bool::read(raw).map(|is_many| if is_many { Self::Many } else { Self::One })
    }

    fn absent() -> Result<Self, Misshape> {
        Ok(Self::One)
    }
}
