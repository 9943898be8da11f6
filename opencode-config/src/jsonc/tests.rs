use super::*;

fn parse(text: &str) -> Json {
    parse_jsonc(text.as_bytes()).unwrap().into()
}

fn error(text: impl AsRef<[u8]>) -> JsoncError {
    parse_jsonc(text.as_ref()).unwrap_err()
}

#[test]
fn comments_and_trailing_commas_are_skipped() {
    let text = r#"// header
        { /* inline */ "a": [1, 2, 3,], // tail
        "b": {"c": 1, /* x */ }, }
        // end"#;
    assert_eq!(parse(text), json!({"a": [1, 2, 3], "b": {"c": 1}}));
}

#[test]
fn strict_json_is_jsonc() {
    assert_eq!(
        parse(r#"{"a": 1, "b": [true, null, -1.5e3]}"#),
        json!({"a": 1, "b": [true, null, -1.5e3]})
    );
}

#[test]
fn strings_may_look_like_comments_and_hold_escapes() {
    let text = r#"{
        "url": "https://x.example/path", "note": "/* no */ ,}", "said": "\"hi // there\" \u00e9"
    }"#;
    assert_eq!(
        parse(text),
        json!({"url": "https://x.example/path", "note": "/* no */ ,}", "said": "\"hi // there\" é"})
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(parse("\u{feff}{\"a\": 1}"), json!({"a": 1}));
}

#[test]
fn the_order_of_keys_is_kept_and_the_last_of_two_counts() {
    let object = parse_jsonc(br#"{"z": 1, "a": 2, "m": 3, "z": 4}"#).unwrap();
    assert_eq!(object.to_string(), r#"{"z":4,"a":2,"m":3}"#);
}

#[test]
fn errors_name_the_position() {
    assert_eq!(
        error("{\n  \"a\": 1\n  \"b\": 2\n}"),
        JsoncError::Syntax { reason: "expected comma".into(), line: 2, column: 9 }
    );
    assert_eq!(error("{\"a\": }").to_string(), "unexpected close brace at line 1, column 7");
    assert!(matches!(error("this is not json"), JsoncError::Syntax { line: 1, .. }));
    assert!(matches!(error("{\"a\": 1} {}"), JsoncError::Syntax { .. }));
    assert!(matches!(error("{\"a\": 1 /* open"), JsoncError::Syntax { .. }));
}

#[test]
fn errors_do_not_quote_the_text() {
    for text in
        ["\"sk-secret\"", "{\"key\": sk-secret}", "{\"key\": \"sk-secret}", "{'key': 'sk-secret'}"]
    {
        let error = error(text);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn only_comments_and_trailing_commas_are_allowed_beyond_json() {
    for text in [
        "{a: 1}",
        "{'a': 1}",
        "{\"a\": 0x10}",
        "{\"a\": +1}",
        "{\"a\": .5}",
        "{\"a\": NaN}",
        "{\"a\": 1 \"b\": 2}",
    ] {
        assert!(matches!(error(text), JsoncError::Syntax { .. }), "{text}");
    }
}

#[test]
fn the_root_must_be_an_object() {
    for (text, found) in [
        ("[]", "an array"),
        ("1", "a number"),
        ("\"x\"", "a string"),
        ("true", "a boolean"),
        ("null", "null or empty"),
        ("", "null or empty"),
        (" // nothing\n", "null or empty"),
    ] {
        assert_eq!(error(text), JsoncError::NotAnObject { found }, "{text}");
    }
}

#[test]
fn wrong_bytes_are_an_error() {
    assert_eq!(error(b"{\"a\": \"\xff\"}"), JsoncError::NotUtf8 { offset: 7 });
}

#[test]
fn nesting_cannot_blow_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 100_000;
        let closed = format!("{{\"a\": {}{}}}", open.repeat(depth), close.repeat(depth));
        let unclosed = format!("{{\"a\": {}", open.repeat(depth));
        assert!(matches!(error(&closed), JsoncError::TooDeep { line: 1, .. }));
        assert!(matches!(error(&unclosed), JsoncError::TooDeep { line: 1, .. }));
    }
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(500), "]".repeat(500));
    assert!(parse_jsonc(deep.as_bytes()).is_ok());
}

#[test]
fn size_is_limited() {
    let large = vec![b' '; CONFIG_FILE_SIZE_MAX + 1];
    assert_eq!(
        error(&large),
        JsoncError::TooLarge { size: CONFIG_FILE_SIZE_MAX + 1, size_max: CONFIG_FILE_SIZE_MAX }
    );
}
