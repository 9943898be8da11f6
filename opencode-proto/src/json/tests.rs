use proptest::prelude::*;

use super::*;

#[test]
fn plain_text_is_borrowed() {
    assert!(matches!(unescape("plain ä"), Cow::Borrowed("plain ä")));
}

#[test]
fn every_escape_is_resolved() {
    assert_eq!(unescape(r#"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00."#), "\"\\/\u{8}\u{c}\n\r\tä😀.");
}

#[test]
fn a_lone_surrogate_reads_as_the_replacement_character() {
    assert_eq!(unescape(r"a\ud83db"), "a\u{fffd}b");
    assert_eq!(unescape(r"a\ude00b"), "a\u{fffd}b");
    assert_eq!(unescape(r"\ud83d\u0041"), "\u{fffd}A");
    assert_eq!(unescape(r"\ud83d"), "\u{fffd}");
}

#[test]
fn broken_escapes_lose_nothing_around_them() {
    assert_eq!(unescape(r"a\qb"), "a\u{fffd}b");
    assert_eq!(unescape(r"a\u12"), "a\u{fffd}12");
    assert_eq!(unescape(r"a\u+123"), "a\u{fffd}+123");
    assert_eq!(unescape("a\\"), "a\u{fffd}");
    assert_eq!(unescape(r"\uä"), "\u{fffd}ä");
}

#[test]
fn raw_json_accepts_exactly_one_value() {
    assert!(RawJson::parse("{}").is_ok());
    assert!(RawJson::parse("{} {}").is_err());
    assert!(RawJson::parse("{").is_err());
    assert!(RawJson::parse(&b"\"\xff\""[..]).is_err());
}

#[test]
fn detached_json_shares_no_memory() {
    let line = Bytes::from_static(b"{\"a\":[1,2]}");
    let raw = RawJson::whole(line.clone());
    assert_eq!(raw.detach(), raw);
    assert_ne!(raw.detach().as_bytes().as_ptr(), line.as_ptr());
}

#[test]
fn raw_values_serialize_as_they_arrived() {
    let raw = RawJson::parse(r#"{"b" : [1.0, "\ud83d"], "a":{}}"#).unwrap();
    assert_eq!(serde_json::to_string(&raw).unwrap(), raw.as_str());
    let text = RawText(TextLiteral::Escaped(r"a\u00e4\n\ud83d".into()));
    assert_eq!(serde_json::to_string(&text).unwrap(), "\"aä\\n\u{fffd}\"");
}

proptest! {
    /// Strings that serde_json writes are read as serde_json reads them.
    #[test]
    fn unescape_agrees_with_serde_json(text in any::<String>()) {
        let literal = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(unescape(&literal[1..literal.len() - 1]), text);
    }

    #[test]
    fn unescape_takes_any_text(text in any::<String>()) {
        let _ = unescape(&text);
    }

    #[test]
    fn unescape_agrees_on_utf16_escapes(units in prop::collection::vec(any::<u16>(), 0..20)) {
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        prop_assert_eq!(unescape(&escaped), String::from_utf16_lossy(&units));
    }
}
