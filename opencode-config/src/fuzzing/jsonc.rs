//! Config files, read a second time in a plain way.

use crate::{CONFIG_FILE_SIZE_MAX, Json, JsonNumber, JsonObject, JsoncError, parse_jsonc};

/// Nesting that the parser allows.
const DEPTH_MAX: usize = 512;

/// Start of the keys by which `serde_json` passes numbers and raw text, also to this crate.
const PRIVATE_KEY: &str = "$serde_json::private";

pub(super) fn check(file: &[u8], read: &Result<JsonObject, JsoncError>) {
    let Ok(written) = std::str::from_utf8(file) else {
        assert!(matches!(read, Err(JsoncError::NotUtf8 { .. })), "{read:?}");
        return;
    };
    if let Err(error) = read {
        check_error(written, error);
    }
    if !written.contains(PRIVATE_KEY) {
        check_meaning(written, read);
    }
    if let Ok(config) = read {
        assert!(file.len() <= CONFIG_FILE_SIZE_MAX);
        assert!(config.values().map(depth).max().unwrap_or_default() < DEPTH_MAX);
        check_again(config);
    }
}

/// Checks that an error names a position inside the text, and quotes nothing of the text.
fn check_error(written: &str, error: &JsoncError) {
    let (line, column) = match error {
        JsoncError::Syntax { reason, line, column } => {
            let is_plain =
                |character: char| character.is_ascii_alphabetic() || " .,-".contains(character);
            assert!(reason.chars().all(is_plain), "the error quotes the text: {reason}");
            (*line, *column)
        }
        JsoncError::TooDeep { line, column } => (*line, *column),
        JsoncError::NotAnObject { .. } => return,
        JsoncError::Empty | JsoncError::NotUtf8 { .. } | JsoncError::TooLarge { .. } => {
            panic!("{error:?}")
        }
    };
    let text = written.strip_prefix('\u{feff}').unwrap_or(written);
    let text = text.replace("\r\n", " \n").replace('\r', "\n");
    let there = line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
    let there = there.unwrap_or_else(|| panic!("{error:?} is after the end"));
    assert!((1..=there.chars().count() + 1).contains(&column), "{error:?} is outside of its line");
}

/// Checks that a text that is JSON without comments and last commas is read as that JSON.
fn check_meaning(written: &str, read: &Result<JsonObject, JsoncError>) {
    let json = undressed(written.strip_prefix('\u{feff}').unwrap_or(written));
    let Ok(expected) = serde_json::from_str::<JsonObject>(&json) else { return };
    let config = read.as_ref().unwrap_or_else(|error| panic!("{error} in {written}"));
    assert!(is_same_object(config, &expected), "{config:?} of {json}");
}

/// Checks that a config is read again as the same when it is written, plainly or with comments and
/// last commas everywhere.
fn check_again(config: &JsonObject) {
    let plain = config.to_string();
    let mut dressed = String::new();
    dress(&config.clone().into(), &mut dressed);
    for again in [&plain, &dressed] {
        let read = parse_jsonc(again.as_bytes()).unwrap_or_else(|error| panic!("{error}: {again}"));
        assert_eq!(read.to_string(), plain, "written as {again}");
    }
}

fn depth(value: &Json) -> usize {
    let inside = match value {
        Json::Array(items) => items.iter().map(depth).max(),
        Json::Object(object) => object.values().map(depth).max(),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => return 0,
    };
    inside.unwrap_or_default() + 1
}

/// Compares values with their keys in order, and numbers roughly: `serde_json` reads some fractions
/// one bit off.
fn is_same(value: &Json, other: &Json) -> bool {
    match (value, other) {
        (Json::Array(items), Json::Array(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(item, other)| is_same(item, other))
        }
        (Json::Object(object), Json::Object(other)) => is_same_object(object, other),
        (Json::Number(number), Json::Number(other)) => is_same_number(number, other),
        (value, other) => value == other,
    }
}

fn is_same_number(number: &JsonNumber, other: &JsonNumber) -> bool {
    let is_whole = |number: &JsonNumber| number.as_u64().is_some() || number.as_i64().is_some();
    if is_whole(number) && is_whole(other) {
        return number == other;
    }
    let (number, other) = (number.as_f64(), other.as_f64());
    number == other || ((number - other) / other).abs() < 1e-14
}

fn is_same_object(object: &JsonObject, other: &JsonObject) -> bool {
    object.keys().eq(other.keys())
        && object.values().zip(other.values()).all(|(value, other)| is_same(value, other))
}

/// JSONC without comments and without the commas before closing brackets.
fn undressed(jsonc: &str) -> String {
    let mut plain = String::with_capacity(jsonc.len());
    let mut rest = jsonc;
    while let Some(character) = rest.chars().next() {
        let size = match character {
            '"' => string_size(rest),
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find(['\n', '\r']).unwrap_or(rest.len())..];
                plain.push(' ');
                continue;
            }
            '/' if rest.starts_with("/*") && rest[2..].contains("*/") => {
                rest = &rest[rest[2..].find("*/").unwrap_or_default() + 4..];
                plain.push(' ');
                continue;
            }
            ']' | '}' => {
                let before = plain.trim_end();
                // A comma without an item before it may not be left out.
                let item = before.strip_suffix(',').map(str::trim_end);
                if let Some(item) = item.filter(|item| !item.ends_with(['[', '{', ',', ':'])) {
                    plain.truncate(item.len());
                }
                1
            }
            _ => character.len_utf8(),
        };
        plain.push_str(&rest[..size]);
        rest = &rest[size..];
    }
    plain
}

/// Returns the size of the string at the start of `text`, or of the whole text if no quotation mark
/// ends the string.
fn string_size(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            _ => is_escaped = byte == b'\\' && !is_escaped,
        }
    }
    text.len()
}

/// Writes a value with comments wherever one may be, and with commas after last items.
fn dress(value: &Json, jsonc: &mut String) {
    const COMMENT: &str = "/*,]}\"*/";
    const LINE: &str = "// \"{[,\n";
    jsonc.push_str(COMMENT);
    match value {
        Json::Array(items) => {
            jsonc.push('[');
            for item in items {
                dress(item, jsonc);
                jsonc.push(',');
            }
            jsonc.push_str(LINE);
            jsonc.push(']');
        }
        Json::Object(object) => {
            jsonc.push('{');
            for (key, value) in object {
                jsonc.push_str(LINE);
                jsonc.push_str(&Json::from(key).to_string());
                jsonc.push_str(COMMENT);
                jsonc.push(':');
                dress(value, jsonc);
                jsonc.push(',');
            }
            jsonc.push_str(COMMENT);
            jsonc.push('}');
        }
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => {
            jsonc.push_str(&value.to_string());
        }
    }
    jsonc.push_str(LINE);
}
