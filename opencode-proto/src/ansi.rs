//! Removal of terminal escape sequences.

use std::borrow::Cow;

/// Returns `text` without terminal escape sequences (`ESC [ … letter`), which OpenCode prints to
/// pipes and files as well.
pub(crate) fn without_escapes(text: &str) -> Cow<'_, str> {
    const ESCAPE: char = '\u{1b}';
    let Some(first) = text.find(ESCAPE) else {
        return Cow::Borrowed(text);
    };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(after) = rest.strip_prefix(ESCAPE) {
        let after = match after.strip_prefix('[') {
            Some(parameters) => {
                let end = parameters.find(|c: char| ('@'..='~').contains(&c) || c.is_control());
                match end {
                    Some(end) if !parameters[end..].starts_with(char::is_control) => {
                        &parameters[end + 1..]
                    }
                    Some(end) => &parameters[end..],
                    None => "",
                }
            }
            None => after,
        };
        let next = after.find(ESCAPE).unwrap_or(after.len());
        plain.push_str(&after[..next]);
        rest = &after[next..];
    }
    Cow::Owned(plain)
}
