//! Floating-point numbers that read back as they were written.
//!
//! `serde_json` reads some fractions one bit off unless a program enables `float_roundtrip`, which
//! this crate must not do for the whole program. The text of a number is read by `str::parse`
//! instead.
//!
//! `serde_json::value::RawValue` gives the text too, but cannot be read from values that serde has
//! buffered, nor from other formats. So this module asks for the text under the name that
//! `RawValue` uses, which is not part of the API of `serde_json`. Two tests fail if a version
//! changes the name; programs would then read costs as `serde_json` reads all numbers.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// Name under which `serde_json` hands over the text of a value.
pub(crate) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads a field with `#[serde(deserialize_with)]`. Formats other than JSON, and values that serde
/// has buffered, give the number as they have it.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct NumberVisitor;

    impl<'de> Visitor<'de> for NumberVisitor {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<f64, A::Error> {
            map.next_key::<IgnoredAny>()?;
            let text: String = map.next_value()?;
            text.parse().map_err(|_| A::Error::custom("expected a number"))
        }

        fn visit_newtype_struct<T: Deserializer<'de>>(self, value: T) -> Result<f64, T::Error> {
            f64::deserialize(value)
        }
    }

    deserializer.deserialize_newtype_struct(RAW_VALUE, NumberVisitor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Bill {
        #[serde(deserialize_with = "super::deserialize")]
        cost: f64,
    }

    #[test]
    fn other_formats_hand_over_their_numbers() {
        let value = serde_json::json!({"cost": 0.5});
        assert_eq!(serde_json::from_value::<Bill>(value).unwrap(), Bill { cost: 0.5 });
        let error = serde_json::from_str::<Bill>(r#"{"cost":"much"}"#).unwrap_err();
        assert_eq!(error.to_string(), "expected a number at line 1 column 15");
    }

    #[test]
    fn the_name_is_that_of_raw_values() {
        let NameOfNewtype(name) =
            Box::<serde_json::value::RawValue>::deserialize(NameReader).unwrap_err();
        assert_eq!(name, RAW_VALUE);
    }

    /// Fails with the name of the newtype that a type asks for.
    struct NameReader;

    #[derive(Debug)]
    struct NameOfNewtype(String);

    impl fmt::Display for NameOfNewtype {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for NameOfNewtype {}

    impl Error for NameOfNewtype {
        fn custom<T: fmt::Display>(message: T) -> Self {
            Self(message.to_string())
        }
    }

    impl<'de> Deserializer<'de> for NameReader {
        type Error = NameOfNewtype;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NameOfNewtype> {
            Err(NameOfNewtype("not a newtype".to_owned()))
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            name: &'static str,
            _: V,
        ) -> Result<V::Value, NameOfNewtype> {
            Err(NameOfNewtype(name.to_owned()))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_exactly(bits in any::<u64>()) {
            let cost = f64::from_bits(bits);
            prop_assume!(cost.is_finite());
            let text = serde_json::to_string(&Bill { cost }).unwrap();
            let again: Bill = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(again.cost.to_bits(), bits);
        }
    }
}
