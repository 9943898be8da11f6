//! Tests of each keyword: values that fit, values that do not, and the reported problems.

#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::collections::BTreeMap;

use opencode_proto::RawJson;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Validator, derive};

fn raw(value: &Value) -> RawJson {
    RawJson::parse(value.to_string()).unwrap()
}

fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let validator = Validator::new(&raw(schema)).unwrap();
    let found = validator.check(&raw(value)).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// A schema, a value that fits, a value that does not fit, and the problem reported for the latter.
struct Case(Value, Value, Value, &'static str);

#[test]
fn every_keyword() {
    let cases = [
        Case(
            json!({ "properties": { "a": false, "b": true } }),
            json!({ "b": 1 }),
            json!({ "a": 1 }),
            "`a`: nothing may be here",
        ),
        Case(json!({ "type": "integer" }), json!(1.0), json!(1.5), "1.5 is not of type integer"),
        Case(
            json!({ "type": ["string", "null"] }),
            json!(null),
            json!(1),
            "1 is not of type string or null",
        ),
        Case(json!({ "enum": ["a", 1] }), json!(1.0), json!("b"), r#""b" is none of "a", 1"#),
        Case(json!({ "const": { "a": 1 } }), json!({ "a": 1.0 }), json!(2), r#"2 is not {"a":1}"#),
        Case(json!({ "minimum": 1 }), json!(1), json!(0.5), "0.5 is less than 1"),
        Case(json!({ "maximum": 5 }), json!(5), json!(6), "6 is more than 5"),
        Case(json!({ "exclusiveMinimum": 1 }), json!(2), json!(1), "1 is not more than 1"),
        Case(json!({ "exclusiveMaximum": 5 }), json!(4.9), json!(5), "5 is not less than 5"),
        Case(json!({ "multipleOf": 0.1 }), json!(0.3), json!(0.35), "0.35 is no multiple of 0.1"),
        Case(
            json!({ "maximum": u64::MAX - 1 }),
            json!(u64::MAX - 1),
            json!(u64::MAX),
            "18446744073709551615 is more than 18446744073709551614",
        ),
        Case(
            json!({ "minLength": 2 }),
            json!("äö"),
            json!("ä"),
            "this has 1 characters and needs 2",
        ),
        Case(
            json!({ "maxLength": 2 }),
            json!("äö"),
            json!("abc"),
            "this has 3 characters and may have 2",
        ),
        Case(
            json!({ "pattern": "^[A-Z]{3}$" }),
            json!("MIT"),
            json!("mit"),
            r#""mit" does not match ^[A-Z]{3}$"#,
        ),
        Case(
            json!({ "items": { "type": "null" } }),
            json!([null]),
            json!([null, 1]),
            "`[1]`: 1 is not of type null",
        ),
        Case(
            json!({ "prefixItems": [{ "type": "null" }], "items": false }),
            json!([null]),
            json!([null, 1]),
            "`[1]`: nothing may be here",
        ),
        Case(json!({ "minItems": 1 }), json!([1]), json!([]), "this has 0 items and needs 1"),
        Case(
            json!({ "maxItems": 1 }),
            json!([1]),
            json!([1, 2]),
            "this has 2 items and may have 1",
        ),
        Case(
            json!({ "uniqueItems": true }),
            json!([1, 2]),
            json!([1, 2, 1.0]),
            "`[2]`: this item is there twice",
        ),
        Case(
            json!({ "contains": { "const": 1 }, "maxContains": 1 }),
            json!([1, 2]),
            json!([1, 1]),
            r#"2 of its items fit {"const":1}"#,
        ),
        Case(json!({ "contains": false }), json!({}), json!([]), "0 of its items fit false"),
        Case(json!({ "required": ["a"] }), json!({ "a": 1 }), json!({}), "`a`: this is missing"),
        Case(
            json!({ "dependentRequired": { "a": ["b"] } }),
            json!({ "b": 1 }),
            json!({ "a": 1 }),
            "`b`: this is missing",
        ),
        Case(
            json!({ "properties": { "a": {} }, "patternProperties": { "^x": {} }, "additionalProperties": false }),
            json!({ "a": 1, "xy": 2 }),
            json!({ "a": 1, "b": 2 }),
            "`b`: there is no such property",
        ),
        Case(
            json!({ "additionalProperties": { "type": "string" } }),
            json!({ "a": "" }),
            json!({ "a": { "b": 1 } }),
            r#"`a`: {"b":1} is not of type string"#,
        ),
        Case(
            json!({ "patternProperties": { "^x": { "type": "string" } } }),
            json!({ "a": 1 }),
            json!({ "x": 1 }),
            "`x`: 1 is not of type string",
        ),
        Case(
            json!({ "propertyNames": { "maxLength": 1 } }),
            json!({ "a": 1 }),
            json!({ "ab": 1 }),
            "`ab`: this has 2 characters and may have 1",
        ),
        Case(
            json!({ "minProperties": 1 }),
            json!({ "a": 1 }),
            json!({}),
            "this has 0 properties and needs 1",
        ),
        Case(
            json!({ "maxProperties": 0 }),
            json!({}),
            json!({ "a": 1 }),
            "this has 1 properties and may have 0",
        ),
        Case(
            json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }),
            json!(1),
            json!(3),
            "3 is more than 2",
        ),
        Case(
            json!({ "anyOf": [{ "const": 1 }, { "const": 2 }] }),
            json!(2),
            json!(3),
            "this fits none of its forms: 3 is not 1; or 3 is not 2",
        ),
        Case(
            json!({ "anyOf": [{ "items": { "type": "string" } }, { "type": "null" }] }),
            json!(null),
            json!(["a", 1]),
            "`[1]`: 1 is not of type string",
        ),
        Case(
            json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 2 }] }),
            json!(3),
            json!(2),
            "this fits 2 of its forms at once",
        ),
        Case(json!({ "not": { "const": 1 } }), json!(2), json!(1), "1 is excluded"),
        Case(
            json!({ "if": { "const": 1 }, "then": false, "else": true }),
            json!(2),
            json!(1),
            "nothing may be here",
        ),
        Case(
            json!({ "if": { "const": 1 }, "else": { "const": 2 } }),
            json!(1),
            json!(3),
            "3 is not 2",
        ),
        Case(
            json!({ "$ref": "#/$defs/a~1b", "$defs": { "a/b": { "type": "null" } } }),
            json!(null),
            json!(1),
            "1 is not of type null",
        ),
        Case(
            json!({ "items": { "$ref": "#" }, "maxItems": 1 }),
            json!([[[]]]),
            json!([[[1, 2]]]),
            "`[0][0]`: this has 2 items and may have 1",
        ),
    ];
    for Case(schema, fits, unfit, said) in cases {
        assert_eq!(problems(&schema, &fits), [""; 0], "{schema}");
        assert_eq!(problems(&schema, &unfit), [said], "{schema}");
    }
}

#[test]
fn a_schema_in_circles_ends() {
    let schema = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } });
    assert_eq!(problems(&schema, &json!(1)), ["its schema goes in circles"]);
}

#[test]
fn everything_that_is_wrong_is_told() {
    let schema = json!({
        "properties": { "a": { "minimum": 1, "multipleOf": 2 }, "b": { "type": "null" } },
        "required": ["c"],
    });
    let expected = [
        "`c`: this is missing",
        "`a`: -1 is less than 1",
        "`a`: -1 is no multiple of 2",
        "`b`: true is not of type null",
    ];
    assert_eq!(problems(&schema, &json!({ "a": -1, "b": true })), expected);
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let refused = |schema: Value| Validator::new(&raw(&schema)).unwrap_err().problem.to_string();
    let unknown = json!({ "properties": { "a": { "items": { "unevaluatedItems": false } } } });
    assert_eq!(refused(unknown), "`properties.a.items`: `unevaluatedItems` cannot be checked");
    assert!(
        refused(json!({ "allOf": [{ "pattern": "(?=x)" }] }))
            .starts_with("`allOf[0]`: the pattern")
    );
    assert!(refused(json!({ "patternProperties": { "[": {} } })).contains("cannot be read"));
    assert_eq!(refused(json!({ "$ref": "#/$defs/x" })), r##""#/$defs/x" leads nowhere"##);
    assert_eq!(refused(json!({ "$ref": "other.json" })), r#""other.json" leads nowhere"#);
    assert_eq!(
        refused(json!({ "items": [{}] })),
        "`items`: a schema is an object, `true` or `false`"
    );
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Node {
    #[schemars(range(min = 1))]
    weight: u32,
    next: Option<Box<Self>>,
    children: BTreeMap<String, Leaf>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Leaf {
    size: f64,
}

#[test]
fn derived_schemas_say_everything_in_place_and_no_foreign_formats() {
    let schema = derive::<Node>();
    let text = schema.to_string();
    for foreign in ["$schema", "$defs", "format", "uint32", "double"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
    assert_eq!(schema["properties"]["weight"], json!({ "type": "integer", "minimum": 1 }));
    let wrong =
        json!({ "weight": 0, "next": { "weight": 1, "children": { "a": {} } }, "children": {} });
    // Problems come in the order of the schema, which depends on the features that a program
    // enables for dependencies.
    let mut problems = problems(&schema, &wrong);
    problems.sort();
    assert_eq!(problems, ["`next.children.a.size`: this is missing", "`weight`: 0 is less than 1"]);
}
