//! Escapes of JSON string literals.

use std::borrow::Cow;

use memchr::memchr;

/// Resolves the escapes inside a JSON string literal.
///
/// A lone surrogate or a broken escape becomes U+FFFD; nothing else is lost.
pub(crate) fn unescape(escaped: &str) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', escaped.as_bytes()) else {
        return Cow::Borrowed(escaped);
    };
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped;
    let mut escape = Some(first);
    while let Some(at) = escape {
        text.push_str(&rest[..at]);
        rest = push_escape(&mut text, &rest[at + 1..]);
        escape = memchr(b'\\', rest.as_bytes());
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Pushes the character whose escape `rest` begins with, without the backslash. Returns the text
/// after that escape.
fn push_escape<'a>(text: &mut String, rest: &'a str) -> &'a str {
    let Some(kind) = rest.chars().next() else {
        text.push(char::REPLACEMENT_CHARACTER);
        return rest;
    };
    let after = &rest[kind.len_utf8()..];
    let plain = match kind {
        '"' | '\\' | '/' => kind,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return push_unicode(text, after),
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.push(plain);
    after
}

fn push_unicode<'a>(text: &mut String, rest: &'a str) -> &'a str {
    let Some((unit, after)) = code_unit(rest) else {
        text.push(char::REPLACEMENT_CHARACTER);
        return rest;
    };
    if let Some(plain) = char::from_u32(u32::from(unit)) {
        text.push(plain);
        return after;
    }
    let pair = after.strip_prefix("\\u").and_then(code_unit).and_then(|(low, after)| {
        let decoded = char::decode_utf16([unit, low]).next()?.ok()?;
        Some((decoded, after))
    });
    let (decoded, after) = pair.unwrap_or((char::REPLACEMENT_CHARACTER, after));
    text.push(decoded);
    after
}

fn code_unit(rest: &str) -> Option<(u16, &str)> {
    let digits = rest.get(..4)?;
    // from_str_radix would also take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u16::from_str_radix(digits, 16).ok()?, &rest[4..]))
}
