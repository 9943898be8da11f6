use crate::random::Random;

/// Generates text that resembles source code, escaped for a JSON string: about one byte in 17 is a
/// backslash, and almost one in a hundred is not ASCII.
pub(crate) fn source_code(random: &mut Random, size: usize) -> String {
    const WORDS: [&str; 20] = [
        "let", "self", "value", "return", "match", "if", "pub fn", "struct", "stream", "Result",
        "chunk", "bytes", "for", "name", "Option", "state", "message", "=>", "const", "await",
    ];
    let mut code = String::with_capacity(size + 16);
    while code.len() < size {
        code.push_str(random.one_of(&WORDS));
        match random.below(1000) {
            0..220 => code.push_str("\\n    "),
            220..290 => code.push_str("\\n"),
            290..410 => code.push_str("\\\""),
            410..435 => code.push_str("\\t"),
            435..466 => code.push_str(random.one_of(&["ä", "é", "→", "ü"])),
            _ => code.push(' '),
        }
    }
    code
}
