//! Comparison of JSON values, with numbers compared by value, not by notation.

use std::cmp::Ordering;

use serde_json::{Number, Value};

pub(super) fn is_equal(one: &Value, other: &Value) -> bool {
    if let (Value::Number(one), Value::Number(other)) = (one, other) {
        return compare(one, other) == Some(Ordering::Equal);
    }
    if let (Value::Array(one), Value::Array(other)) = (one, other) {
        return one.len() == other.len()
            && one.iter().zip(other).all(|(one, other)| is_equal(one, other));
    }
    if let (Value::Object(one), Value::Object(other)) = (one, other) {
        let same = |(name, value)| other.get(name).is_some_and(|other| is_equal(value, other));
        return one.len() == other.len() && one.iter().all(same);
    }
    one == other
}

pub(super) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Returns true for an integer, including `1.0`.
pub(super) fn is_integer(number: &Number) -> bool {
    whole(number).is_some() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else { return false };
    // 0.3 counts as a multiple of 0.1, despite the rounding of binary fractions.
    let ratio = number / of;
    (ratio - ratio.round()).abs() < 1e-9
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}
