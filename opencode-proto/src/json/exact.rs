//! Floating-point numbers that read back as they were written.
//!
//! `serde_json` reads some fractions one bit off unless a program enables `float_roundtrip`, which
//! this crate must not do for the whole program. The text of a number is read by `str::parse`
//! instead.

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
