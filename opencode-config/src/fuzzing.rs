//! Body of the fuzz target, which the tests run over the corpus. Not part of the API.

mod jsonc;
mod laws;
mod sanitize;

use crate::parse_jsonc;

/// Separator of two configs, a byte that no text has.
const SEPARATOR: u8 = 0xff;

/// Checks that any config is read with the same meaning, is reduced to the promised keys, and is
/// laid over another by the rules.
///
/// `data` has up to three config files, each laid over the one before.
pub fn config(data: &[u8]) {
    let mut layers = Vec::new();
    for text in data.split(|byte| *byte == SEPARATOR).take(3) {
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
