//! Values that are worth less than the event around them: a value of an unexpected shape is left
//! out.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::json::exact::RAW_VALUE;

/// A number. Anything else reads as zero.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lenient {
    Float(f64),
    Whole(u64),
}

impl Default for Lenient {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl Lenient {
    /// Returns the number as a count: whole, and not below zero.
    pub(crate) fn count(self) -> u64 {
        match self {
            // A cast of a float saturates, and NaN is zero.
            Self::Float(number) => number as u64,
            Self::Whole(number) => number,
        }
    }

    /// Returns the number as an amount of money: not below zero, not infinite.
    pub(crate) fn amount(self) -> f64 {
        match self {
            // `max` may return either zero; the sum with 0.0 is never the negative zero.
            Self::Float(number) if number.is_finite() => number.max(0.0) + 0.0,
            Self::Float(_) => 0.0,
            Self::Whole(number) => number as f64,
        }
    }
}

/// The text of the number is read, since `serde_json` hands over numbers in different ways that
/// depend on the features that a program enables.
impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Lenient;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lenient, A::Error> {
                map.next_key::<IgnoredAny>()?;
                map.next_value::<LenientText>().map(|LenientText(number)| number)
            }
        }

        // The text of a value that is not borrowed, as from a reader, has to do as well.
        deserializer.deserialize_newtype_struct(RAW_VALUE, RawVisitor)
    }
}

/// A number that is read from the text of a JSON value.
struct LenientText(Lenient);

impl<'de> Deserialize<'de> for LenientText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = LenientText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a JSON value")
            }

            fn visit_str<E>(self, text: &str) -> Result<LenientText, E> {
                let float = || text.parse().map_or_else(|_| Lenient::default(), Lenient::Float);
                Ok(LenientText(text.parse().map_or_else(|_| float(), Lenient::Whole)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// An object of this shape. Any other value reads as `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IfObject<T>(pub(crate) Option<T>);

impl<T> Default for IfObject<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for IfObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Some)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_unit<E>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
        }

        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Lenient {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_of_readers_and_values_are_read_alike() {
        let from_reader: Lenient = serde_json::from_reader(&b"1.9"[..]).unwrap();
        let from_value: Lenient = serde_json::from_value(serde_json::json!(1.9)).unwrap();
        assert_eq!((from_reader.count(), from_value.amount()), (1, 1.9));
    }

    #[test]
    fn counts_are_whole_and_not_below_zero() {
        for (json, count) in
            [("7", 7), ("18446744073709551615", u64::MAX), ("1.9", 1), ("2e3", 2000)]
        {
            assert_eq!(read(json).count(), count, "{json}");
        }
        for other in ["-1", "null", "true", r#""5""#, r#"{"a":1}"#, "[1]"] {
            assert_eq!(read(other).count(), 0, "{other}");
        }
    }

    #[test]
    fn amounts_are_exact_and_not_below_zero() {
        for (json, amount) in
            [("0.00014", 0.00014), ("0.00026399999999999997", 0.00026399999999999997)]
        {
            assert_eq!(read(json).amount().to_bits(), f64::to_bits(amount), "{json}");
        }
        assert_eq!(read("3").amount(), 3.0);
        for other in ["-1", "1e999", "null", "true", r#""5""#, r#"{"a":1}"#, "[1]", "-0.0"] {
            assert_eq!(read(other).amount().to_bits(), 0, "{other}");
        }
    }
}
