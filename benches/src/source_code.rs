use crate::random::Random;

/// Something like source code, as the inside of a JSON string: a backslash in every 17 bytes or so, and almost one byte
/// in a hundred that is not ASCII.
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
