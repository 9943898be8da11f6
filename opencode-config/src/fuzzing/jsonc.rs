//! Config files, read a second time in a plain way.

use serde_json::{Map, Value};

use super::text;
use crate::{CONFIG_FILE_SIZE_MAX, JsoncError, parse_jsonc};

/// What the parser lets nest.
const DEPTH_MAX: usize = 512;

/// A key by which `serde_json` tells itself something. Who writes it into a config gets what they get.
const PRIVATE_KEY: &str = "$serde_json::private";

pub(super) fn check(file: &[u8], read: &Result<Map<String, Value>, JsoncError>) {
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

/// Errors say where, inside the text, and nothing of what it says.
fn check_error(written: &str, error: &JsoncError) {
    let (line, column) = match error {
        JsoncError::Syntax { reason, line, column } => {
            let is_plain =
                |character: char| character.is_ascii_alphabetic() || " .,-".contains(character);
            assert!(reason.chars().all(is_plain), "it quotes the text: {reason}");
            (*line, *column)
        }
        JsoncError::TooDeep { line, column } => (*line, *column),
        JsoncError::NotAnObject { .. } => return,
        JsoncError::NotUtf8 { .. } | JsoncError::TooLarge { .. } => panic!("{error:?}"),
    };
    let text = written.strip_prefix('\u{feff}').unwrap_or(written);
    let text = text.replace("\r\n", " \n").replace('\r', "\n");
    let there = line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
    let there = there.unwrap_or_else(|| panic!("{error:?} is after the end"));
    assert!((1..=there.chars().count() + 1).contains(&column), "{error:?} is outside of its line");
}

/// What is JSON without its comments and last commas is read as that.
fn check_meaning(written: &str, read: &Result<Map<String, Value>, JsoncError>) {
    let json = undressed(written.strip_prefix('\u{feff}').unwrap_or(written));
    let Ok(expected) = serde_json::from_str::<Map<String, Value>>(&json) else { return };
    let config = read.as_ref().unwrap_or_else(|error| panic!("{error} in {written}"));
    assert!(is_same_object(config, &expected), "{config:?} of {json}");
}

/// It stays what it is when it is written, plainly or with comments and last commas everywhere.
fn check_again(config: &Map<String, Value>) {
    let plain = text(config);
    let mut dressed = String::new();
    dress(&Value::Object(config.clone()), &mut dressed);
    for again in [&plain, &dressed] {
        let read = parse_jsonc(again.as_bytes()).unwrap_or_else(|error| panic!("{error}: {again}"));
        assert_eq!(text(&read), plain, "written as {again}");
    }
}

fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(object) => object.values().map(depth).max(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => return 0,
    };
    inside.unwrap_or_default() + 1
}

/// Keys in the same order, and numbers alike: `serde_json` reads some fractions one bit off, and `-0` as one.
fn is_same(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Array(items), Value::Array(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(item, other)| is_same(item, other))
        }
        (Value::Object(object), Value::Object(other)) => is_same_object(object, other),
        (Value::Number(number), Value::Number(other)) if other.is_f64() => {
            let (Some(number), Some(other)) = (number.as_f64(), other.as_f64()) else {
                return false;
            };
            number == other || ((number - other) / other).abs() < 1e-14
        }
        (value, other) => value == other,
    }
}

fn is_same_object(object: &Map<String, Value>, other: &Map<String, Value>) -> bool {
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
                // A comma without an item before it is none that may be left out.
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

/// Up to and with the quotation mark that ends it, or all of it.
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
fn dress(value: &Value, jsonc: &mut String) {
    const COMMENT: &str = "/*,]}\"*/";
    const LINE: &str = "// \"{[,\n";
    jsonc.push_str(COMMENT);
    match value {
        Value::Array(items) => {
            jsonc.push('[');
            for item in items {
                dress(item, jsonc);
                jsonc.push(',');
            }
            jsonc.push_str(LINE);
            jsonc.push(']');
        }
        Value::Object(object) => {
            jsonc.push('{');
            for (key, value) in object {
                jsonc.push_str(LINE);
                jsonc.push_str(&Value::from(key.as_str()).to_string());
                jsonc.push_str(COMMENT);
                jsonc.push(':');
                dress(value, jsonc);
                jsonc.push(',');
            }
            jsonc.push_str(COMMENT);
            jsonc.push('}');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            jsonc.push_str(&value.to_string());
        }
    }
    jsonc.push_str(LINE);
}
