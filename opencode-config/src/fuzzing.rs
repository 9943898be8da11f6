//! Bodies of fuzz targets, kept where `cargo test` runs them too. Not part of the API.

use serde_json::Value;

use crate::isolation::sanitized;
use crate::parse_jsonc;

#[cfg(test)]
mod tests;

/// Reads any bytes as a config file: what can be read is the same after writing and reading it
/// again, and reducing it to its providers neither panics nor adds keys.
///
/// # Panics
///
/// When one of that does not hold.
pub fn jsonc(data: &[u8]) {
    let Ok(config) = parse_jsonc(data) else { return };
    let text = Value::Object(config.clone()).to_string();
    let again = parse_jsonc(text.as_bytes());
    assert_eq!(again.as_ref(), Ok(&config), "written as {text}");
    let reduced = sanitized(config.clone(), "/home/user/.config/opencode");
    assert!(reduced.keys().all(|key| config.contains_key(key)), "{reduced:?}");
    let twice = sanitized(reduced.clone(), "/somewhere/else");
    assert_eq!(twice, reduced, "an anchored config is anchored");
}
