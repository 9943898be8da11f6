//! Values that are worth less than the event around them: a value of an unexpected shape is left
//! out.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

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
}

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Lenient;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Lenient, E> {
                Ok(Lenient::Float(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Lenient, E> {
                Ok(Lenient::Float(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Lenient, E> {
                Ok(Lenient::Whole(number))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Lenient, E> {
                Ok(Lenient::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Lenient, E> {
                Ok(Lenient::default())
            }

            fn visit_unit<E>(self) -> Result<Lenient, E> {
                Ok(Lenient::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lenient, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Lenient::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lenient, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lenient::default())
            }
        }

        deserializer.deserialize_any(NumberVisitor)
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
