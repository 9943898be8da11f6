//! Numbers by their spelling.

use std::fmt;
use std::str::FromStr;

/// A number of a JSON document, in the spelling of the source.
///
/// JSON limits neither the size nor the digits of a number. A `JsonNumber` is the text, which is
/// read as a number of Rust when the number is needed:
///
/// ```
/// use opencode_config::JsonNumber;
///
/// let cost: JsonNumber = "0.10".parse()?;
/// assert_eq!(cost.to_string(), "0.10");
/// assert_eq!(cost.as_f64(), 0.1);
///
/// let limit: JsonNumber = "18446744073709551615".parse()?;
/// assert_eq!((limit.as_u64(), limit.as_i64()), (Some(u64::MAX), None));
/// # Ok::<(), opencode_config::JsonNumberError>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct JsonNumber {
    text: String,
}

impl JsonNumber {
    /// Returns a number with the shortest spelling that reads back as `number`, or `None` when
    /// `number` is not finite.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self { text: format!("{number:?}") })
    }

    /// Returns the spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the nearest `f64`, which is infinite for numbers beyond the range of the type.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.text.parse().expect("every number of JSON is one of Rust")
    }

    /// Returns the number when it is spelled as an integer that an `i64` can hold.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// Returns the number when it is spelled as an integer that a `u64` can hold.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.text.parse().ok()
    }
}

/// A text that is not spelled like a JSON number.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot read `{text}` as a JSON number")]
pub struct JsonNumberError {
    text: String,
}

impl FromStr for JsonNumber {
    type Err = JsonNumberError;

    fn from_str(text: &str) -> Result<Self, JsonNumberError> {
        let text = text.to_owned();
        if is_number(&text) { Ok(Self { text }) } else { Err(JsonNumberError { text }) }
    }
}

/// Whether `text` follows the grammar of RFC 8259, section 6.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

impl fmt::Display for JsonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for JsonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(
            impl From<$integer> for JsonNumber {
                fn from(number: $integer) -> Self {
                    Self { text: number.to_string() }
                }
            }
        )*
    };
}

from_integers!(i32 i64 u8 u16 u32 u64 usize);

impl From<serde_json::Number> for JsonNumber {
    fn from(number: serde_json::Number) -> Self {
        Self { text: number.to_string() }
    }
}
