use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Json {
    text.parse().unwrap()
}

#[test]
fn keys_keep_their_order_and_numbers_their_spelling() {
    let text = r#"{"z":1,"a":[-0,1.50,1e400,18446744073709551616],"m":{"b":null,"a":true}}"#;
    let value = read(text);
    assert_eq!(value.to_string(), text);
    assert_eq!(format!("{value:?}"), text);
    assert_eq!(serde_json::to_string(&value).unwrap(), text);
}

#[test]
fn numbers_are_read_exactly() {
    for text in ["0.1", "4.35", "1.7976931348623157e308", "2.2250738585072011e-308", "0.00014"] {
        let number: JsonNumber = text.parse().unwrap();
        assert_eq!(number.as_f64().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        assert_eq!((number.as_i64(), number.as_u64()), (None, None));
    }
    let negative = JsonNumber::from(-3);
    assert_eq!((negative.as_i64(), negative.as_u64()), (Some(-3), None));
    assert_eq!("1e400".parse::<JsonNumber>().unwrap().as_f64(), f64::INFINITY);
}

#[test]
fn numbers_follow_the_grammar_of_json() {
    for text in ["0", "-0", "10", "1.0", "-1.5e3", "1E+2", "0e-1"] {
        assert_eq!(text.parse::<JsonNumber>().unwrap().as_str(), text);
    }
    for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "NaN", "inf", "1 ", "1_0"] {
        let error = text.parse::<JsonNumber>().unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read `{text}` as a JSON number"));
    }
}

#[test]
fn numbers_that_json_does_not_have_are_null() {
    assert_eq!(Json::from(f64::NAN), Json::Null);
    assert_eq!(Json::from(f64::INFINITY), Json::Null);
    assert_eq!(Json::from(1e-7).to_string(), "1e-7");
    assert_eq!(Json::from(1.0).to_string(), "1.0");
}

#[test]
fn a_key_that_is_set_again_keeps_its_place() {
    let mut object = JsonObject::new().with("b", 1).with("a", 2);
    assert_eq!(object.insert("b", 3), Some(1.into()));
    assert_eq!(object.insert("c", 4), None);
    assert_eq!(object.to_string(), r#"{"b":3,"a":2,"c":4}"#);
    assert_eq!(object.remove("a"), Some(2.into()));
    assert_eq!(object.remove("a"), None);
    assert_eq!(object.keys().collect::<Vec<_>>(), ["b", "c"]);
    let twice: JsonObject = [("x", 1), ("y", 2), ("x", 3)].into_iter().collect();
    assert_eq!(twice.to_string(), r#"{"x":3,"y":2}"#);
}

#[test]
fn another_order_of_keys_is_another_object() {
    assert_ne!(read(r#"{"a":1,"b":2}"#), read(r#"{"b":2,"a":1}"#));
    assert_ne!(read("1"), read("1.0"));
    assert_eq!(read(r#"{"a": "é"}"#), read(r#"{"a":"\u00e9"}"#));
}

#[test]
fn serde_json_values_are_converted() {
    let value = serde_json::json!({"a": [1, -2, 1.5, "x", null, true], "b": {"c": []}});
    let converted = Json::from(value.clone());
    assert_eq!(serde_json::to_value(&converted).unwrap(), value);
    assert_eq!(converted.to_string(), value.to_string());
    assert_eq!(serde_json::from_value::<Json>(value).unwrap(), converted);
}

#[test]
fn values_are_read_through_serde() {
    let text = r#"{"z":1,"a":[-1,2.5,"x",null,false],"m":{}}"#;
    assert_eq!(serde_json::from_str::<Json>(text).unwrap(), read(text));
    assert_eq!(serde_json::from_str::<JsonObject>(text).unwrap().to_string(), text);
    let error = serde_json::from_str::<JsonObject>("[1]").unwrap_err();
    assert_eq!(error.to_string(), "invalid type: an array, expected an object");
}

#[test]
fn numbers_of_arbitrary_precision_are_numbers() {
    let handed_over = format!(r#"{{"a":{{"{}":"1.50"}}}}"#, "$serde_json::private::Number");
    let value: Json = serde_json::from_str(&handed_over).unwrap();
    assert_eq!(value.to_string(), r#"{"a":1.50}"#);
}

#[test]
fn parts_are_reached_by_their_kind() {
    let mut value = read(r#"{"text": "x", "on": true, "n": 2, "list": [1], "none": null}"#);
    assert_eq!(value.get("text").and_then(Json::as_str), Some("x"));
    assert_eq!(value.get("on").and_then(Json::as_bool), Some(true));
    assert_eq!(value.get("n").and_then(Json::as_number), Some(&2.into()));
    assert_eq!(value.get("list").and_then(Json::as_array), Some(&[1.into()][..]));
    assert_eq!(value.get("none"), Some(&Json::Null));
    for wrong in ["missing", "none"] {
        assert_eq!(value.get(wrong).and_then(Json::as_object), None);
    }
    let list = value.as_object_mut().and_then(|object| object.get_mut("list"));
    list.and_then(Json::as_array_mut).unwrap().push("end".into());
    assert_eq!(value.get("list").unwrap().to_string(), r#"[1,"end"]"#);
    assert_eq!(value.get("text").unwrap().get("text"), None);
}

proptest! {
    #[test]
    fn finite_numbers_read_back_exactly(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = Json::from(number).to_string();
        let again = text.parse::<JsonNumber>().unwrap();
        prop_assert_eq!(again.as_f64().to_bits(), bits);
        prop_assert_eq!(serde_json::to_string(&Json::from(number)).unwrap(), text);
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
        let written = Json::from(text.as_str()).to_string();
        prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap());
        let again = read(&written);
        prop_assert_eq!(again.as_str(), Some(text.as_str()));
    }
}
