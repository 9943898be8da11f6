//! What the fuzz target runs, and the tests over its corpus. Not part of the API.

mod jsonc;
mod laws;
mod sanitize;

use serde_json::{Map, Value};

use crate::parse_jsonc;

/// Stands between two configs. No text has this byte.
const BETWEEN: u8 = 0xff;

/// Any config reads as what it says, is reduced to what is promised, and is laid over another by rules.
///
/// `data` is up to three config files, each laid over the one before.
pub fn config(data: &[u8]) {
    let mut layers = Vec::new();
    for text in data.split(|byte| *byte == BETWEEN).take(3) {
        let read = parse_jsonc(text);
        jsonc::check(text, &read);
        if let Ok(layer) = read {
            sanitize::check(&layer);
            laws::check_alone(&layer);
            layers.push(layer);
        }
    }
    for pair in layers.windows(2) {
        laws::check_pair(&pair[0], &pair[1]);
    }
    if let [a, b, c] = &layers[..] {
        laws::check_three(a, b, c);
    }
}

/// As text, so that the order of keys is compared too.
fn text(config: &Map<String, Value>) -> String {
    Value::Object(config.clone()).to_string()
}
