//! Passing the config of a run by environment.

use crate::{JsonObject, RunConfigError};

pub(crate) const CONTENT: &str = "OPENCODE_CONFIG_CONTENT";

/// Linux refuses to start a process when one string of the environment, name and NUL included, is
/// longer than this (`MAX_ARG_STRLEN`).
const STRING_SIZE_MAX: usize = 128 * 1024;

/// All strings of an environment together may have about 1 MB on macOS and 2 MB on Linux.
pub(crate) const CONFIG_SIZE_MAX: usize = 768 * 1024;

/// Bytes of config per additional variable, well below the limit together with the name.
const PART_SIZE_MAX: usize = 120 * 1024;

/// A longer text is not the name of a variable but follows a bracket that was never closed.
const NAME_SIZE_MAX: usize = 256;

/// Text up to this size gets no separate variable.
const INLINE_SIZE_MAX: usize = 256;

/// The variables that carry `document`.
///
/// Usually `OPENCODE_CONFIG_CONTENT` alone. A document that does not fit in one string is cut up:
/// OpenCode replaces `{env:NAME}` in that variable, as text and before parsing, so
/// `{env:…_0}{env:…_1}` is the whole document again, with the precedence and the relative
/// references of the one variable. (A private `OPENCODE_CONFIG_DIR` would rank as high, but it also
/// takes the place of the user's directory of that name and of their global `AGENTS.md`, and moves
/// relative references.)
pub(crate) fn variables(document: &JsonObject) -> Result<Vec<(String, String)>, RunConfigError> {
    let text = document.to_string();
    if text.len() > CONFIG_SIZE_MAX {
        return Err(too_large(&text));
    }
    if fits(CONTENT, &text) {
        return Ok(vec![(CONTENT.to_owned(), text)]);
    }
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut whole = String::new();
    for segment in segments(&text) {
        match segment {
            // OpenCode does not search the parts again, so references stay in the variable itself.
            ContentSegment::Reference(reference) => whole.push_str(reference),
            ContentSegment::Text(text) if text.len() <= INLINE_SIZE_MAX => whole.push_str(text),
            ContentSegment::Text(text) => {
                for piece in pieces(text, PART_SIZE_MAX) {
                    let name = format!("{CONTENT}_{}", parts.len());
                    whole.push_str(&format!("{{env:{name}}}"));
                    parts.push((name, piece.to_owned()));
                }
            }
        }
    }
    if !fits(CONTENT, &whole) {
        return Err(too_large(&text));
    }
    parts.push((CONTENT.to_owned(), whole));
    Ok(parts)
}

/// Whether a variable carries config, or a part of one.
pub(crate) fn is_content(name: &str) -> bool {
    name.strip_prefix(CONTENT).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('_').is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
    })
}

fn fits(name: &str, value: &str) -> bool {
    name.len() + "=".len() + value.len() + "\0".len() <= STRING_SIZE_MAX
}

fn too_large(text: &str) -> RunConfigError {
    RunConfigError::ConfigTooLarge { size: text.len(), size_max: CONFIG_SIZE_MAX }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ContentSegment<'a> {
    /// A reference `{env:NAME}`, which OpenCode replaces.
    Reference(&'a str),
    Text(&'a str),
}

fn segments(text: &str) -> Vec<ContentSegment<'_>> {
    const OPEN: &str = "{env:";
    let mut segments = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find(OPEN) {
        let open = from + found;
        let name = open + OPEN.len();
        match text[name..].find('}') {
            Some(length) if (1..=NAME_SIZE_MAX).contains(&length) => {
                let end = name + length + 1;
                segments.push(ContentSegment::Text(&text[start..open]));
                segments.push(ContentSegment::Reference(&text[open..end]));
                (start, from) = (end, end);
            }
            Some(_) | None => from = name,
        }
    }
    segments.push(ContentSegment::Text(&text[start..]));
    segments
}

fn pieces(mut text: &str, size_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > size_max {
        let mut end = size_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

#[cfg(test)]
mod tests;
