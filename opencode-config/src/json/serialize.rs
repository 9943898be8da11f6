//! JSON values to and from any format that serde knows.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Json, JsonNumber, JsonObject};

/// The key of the one entry by which `serde_json/arbitrary_precision` hands over a number. This
/// crate does not enable that feature, but other crates of a program can.
const NUMBER_KEY: &str = "$serde_json::private::Number";

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

/// Formats other than JSON get the number itself wherever the spelling is the usual one.
impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_usual = |usual: String| usual == self.as_str();
        if let Some(number) = self.as_u64().filter(|number| is_usual(number.to_string())) {
            return serializer.serialize_u64(number);
        }
        if let Some(number) = self.as_i64().filter(|number| is_usual(number.to_string())) {
            return serializer.serialize_i64(number);
        }
        let number = self.as_f64();
        if serde_json::to_string(&number).is_ok_and(is_usual) {
            return serializer.serialize_f64(number);
        }
        RawValue::from_string(self.as_str().to_owned())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// Numbers come as the format hands them over, so that `serde_json` may spell fractions anew. Text
/// that is read with [`str::parse`] keeps numbers as they are.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        let Json::Object(object) = value else {
            return Err(de::Error::invalid_type(Unexpected::Other(value.kind()), &"an object"));
        };
        Ok(object)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        Json::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.is_empty() && key == NUMBER_KEY {
                let text: String = map.next_value()?;
                return text.parse().map(Json::Number).map_err(de::Error::custom);
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Json::Object(entries.into_iter().collect()))
    }
}
