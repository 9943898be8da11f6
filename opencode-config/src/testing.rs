//! Support for the tests of this crate.

/// JSON as in `serde_json::json!`, but with the keys in order, and without Rust expressions.
macro_rules! json {
    ($($tokens:tt)+) => {
        stringify!($($tokens)+).parse::<crate::Json>().expect("JSON")
    };
}
