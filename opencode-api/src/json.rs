//! Types as JSON values: read with the path of a mistake, written without losing a field.
//!
//! Derived code of serde for hundreds of types with flattened fields takes minutes to compile.
//! Here a type names the fields once, and functions that are compiled once do the work.

mod fields;
mod macros;
mod malformed;
mod ordered_map;

use opencode_config::{Json, JsonNumber, JsonObject};
use opencode_proto::{CallId, MessageId, PartId, PermissionId, QuestionId, SessionId};
use serde::de::{Deserialize, Deserializer, Error};

pub(crate) use fields::{Entries, Fields, has_keys, is_tagged};
pub(crate) use macros::{
    hidden_debug, json_enum, json_events, json_form, json_serde, json_struct, json_union,
    json_variants,
};
pub(crate) use malformed::Malformed;
pub use ordered_map::OrderedMap;

/// A type with a form in JSON.
pub(crate) trait JsonType: Sized {
    /// `null` is a value of the type.
    const IS_NULLABLE: bool = false;

    /// Reads a value of the type.
    fn read(json: Json) -> Result<Self, Malformed>;

    /// Writes the value.
    fn write(&self) -> Json;
}

/// Reads a value of the type from any format of serde.
pub(crate) fn deserialize<'de, T: JsonType, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::read(Json::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a value of the type and writes the value again, for tests.
pub(crate) fn recode<T: JsonType>(json: Json) -> Result<Json, String> {
    T::read(json).map(|value| value.write()).map_err(|error| error.to_string())
}

impl JsonType for Json {
    const IS_NULLABLE: bool = true;

    fn read(json: Json) -> Result<Self, Malformed> {
        Ok(json)
    }

    fn write(&self) -> Json {
        self.clone()
    }
}

impl JsonType for JsonObject {
    fn read(json: Json) -> Result<Self, Malformed> {
        let Json::Object(object) = json else { return Err(Malformed::new("an object", &json)) };
        Ok(object)
    }

    fn write(&self) -> Json {
        Json::Object(self.clone())
    }
}

impl JsonType for String {
    fn read(json: Json) -> Result<Self, Malformed> {
        let Json::String(text) = json else { return Err(Malformed::new("a string", &json)) };
        Ok(text)
    }

    fn write(&self) -> Json {
        Json::String(self.clone())
    }
}

impl JsonType for bool {
    fn read(json: Json) -> Result<Self, Malformed> {
        json.as_bool().ok_or_else(|| Malformed::new("a boolean", &json))
    }

    fn write(&self) -> Json {
        Json::Bool(*self)
    }
}

/// The largest integer that JavaScript counts to: 2^53.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

impl JsonType for u64 {
    fn read(json: Json) -> Result<Self, Malformed> {
        let number = json.as_number();
        let integer = number.and_then(JsonNumber::as_u64).or_else(|| {
            // `1e3` and `2.0` are integers of JavaScript too.
            let number = number?.as_f64();
            let is_integer = number.fract() == 0.0 && (0.0..=INTEGER_MAX).contains(&number);
            is_integer.then_some(number as Self)
        });
        integer.ok_or_else(|| Malformed::new("an integer from 0", &json))
    }

    fn write(&self) -> Json {
        Json::from(*self)
    }
}

impl JsonType for i64 {
    fn read(json: Json) -> Result<Self, Malformed> {
        let number = json.as_number();
        let integer = number.and_then(JsonNumber::as_i64).or_else(|| {
            let number = number?.as_f64();
            let is_integer = number.fract() == 0.0 && number.abs() <= INTEGER_MAX;
            is_integer.then_some(number as Self)
        });
        integer.ok_or_else(|| Malformed::new("an integer", &json))
    }

    fn write(&self) -> Json {
        Json::from(*self)
    }
}

/// Numbers without a fraction are written as integers, like in JavaScript. OpenCode writes numbers
/// that are not finite as strings.
impl JsonType for f64 {
    fn read(json: Json) -> Result<Self, Malformed> {
        match json.as_str() {
            Some("NaN") => return Ok(Self::NAN),
            Some("Infinity") => return Ok(Self::INFINITY),
            Some("-Infinity") => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let number = json.as_number().ok_or_else(|| Malformed::new("a number", &json))?;
        Ok(number.as_f64())
    }

    fn write(&self) -> Json {
        if self.is_nan() {
            Json::from("NaN")
        } else if self.is_infinite() {
            Json::from(if *self > 0.0 { "Infinity" } else { "-Infinity" })
        } else if self.fract() == 0.0 && self.abs() <= INTEGER_MAX {
            Json::from(*self as i64)
        } else {
            Json::from(*self)
        }
    }
}

impl<T: JsonType> JsonType for Box<T> {
    const IS_NULLABLE: bool = T::IS_NULLABLE;

    fn read(json: Json) -> Result<Self, Malformed> {
        T::read(json).map(Self::new)
    }

    fn write(&self) -> Json {
        T::write(self)
    }
}

/// `null` is `None`. A field that can be absent as well is an `Option<Option<T>>`.
impl<T: JsonType> JsonType for Option<T> {
    const IS_NULLABLE: bool = true;

    fn read(json: Json) -> Result<Self, Malformed> {
        if json == Json::Null { Ok(None) } else { T::read(json).map(Some) }
    }

    fn write(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::write)
    }
}

impl<T: JsonType> JsonType for Vec<T> {
    fn read(json: Json) -> Result<Self, Malformed> {
        let Json::Array(items) = json else { return Err(Malformed::new("an array", &json)) };
        let read = |(index, item)| T::read(item).map_err(|error| error.at_index(index));
        items.into_iter().enumerate().map(read).collect()
    }

    fn write(&self) -> Json {
        Json::Array(self.iter().map(T::write).collect())
    }
}

impl<T: JsonType> JsonType for OrderedMap<T> {
    fn read(json: Json) -> Result<Self, Malformed> {
        let read = |(key, value): (String, Json)| match T::read(value) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(error.at_field(&key)),
        };
        JsonObject::read(json)?.into_iter().map(read).collect()
    }

    fn write(&self) -> Json {
        Json::Object(self.iter().map(|(key, value)| (key, value.write())).collect())
    }
}

macro_rules! json_ids {
    ($($id:ident)*) => {
        $(
            impl JsonType for $id {
                fn read(json: Json) -> Result<Self, Malformed> {
                    String::read(json).map(Self::from)
                }

                fn write(&self) -> Json {
                    Json::from(self.as_str())
                }
            }
        )*
    };
}

json_ids!(CallId MessageId PartId PermissionId QuestionId SessionId);
