//! Tests of the schema as sent, of the answers that fit, and of the problems reported otherwise.

#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use opencode_proto::RawJson;
use serde::Deserialize;
use serde_json::{Value, json};

use super::misfit::{Misfit, Problem};
use super::schema::AnswerSchema;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Licence {
    name: String,
    stars: u8,
}

fn raw(value: &Value) -> RawJson {
    RawJson::parse(value.to_string()).unwrap()
}

fn sent(schema: &Value) -> Value {
    AnswerSchema::of::<Value>(raw(schema)).schema().unwrap().decode().unwrap()
}

fn problems(schema: &AnswerSchema, value: &Value) -> Vec<String> {
    let misfit = schema.check(&raw(value)).unwrap_err();
    misfit.problems().iter().map(ToString::to_string).collect()
}

fn licence() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { "name": { "type": "string" }, "stars": { "type": "integer" } },
        "required": ["name", "stars"],
    })
}

#[test]
fn objects_are_sent_as_they_are() {
    let mut expected = licence();
    expected.as_object_mut().unwrap().remove("$schema");
    assert_eq!(sent(&licence()), expected);
    let ordered = r#"{"type":"object","properties":{"z":{"maximum":1.50},"a":true}}"#;
    let schema = AnswerSchema::of::<Value>(RawJson::parse(ordered).unwrap());
    assert_eq!(schema.schema().unwrap().as_str(), ordered, "in its order and spelling");
}

#[test]
fn everything_else_is_wrapped() {
    let wrapped = |inner: &Value| {
        json!({
            "type": "object",
            "properties": { "answer": inner },
            "required": ["answer"],
            "additionalProperties": false,
        })
    };
    let object = json!({ "type": "object", "properties": {}, "anyOf": [true] });
    let map = json!({ "type": "object", "additionalProperties": true });
    for schema in [json!(true), json!({}), json!({ "type": "string" }), object, map] {
        assert_eq!(sent(&schema), wrapped(&schema), "{schema}");
    }
}

#[test]
fn references_are_followed_into_the_wrapper() {
    let schema = json!({
        "type": "array",
        "items": { "anyOf": [
            { "$ref": "#" },
            { "$ref": "#/items/anyOf/2" },
            { "type": "string" },
            { "$ref": "#/$defs/a~1b" },
            { "$ref": "#/$defsish" },
            { "$ref": "other.json#/$defs/x" },
        ] },
        "$defs": { "a/b": { "type": "null" } },
    });
    let sent = sent(&schema);
    let forms = &sent["properties"]["answer"]["items"]["anyOf"];
    let targets: Vec<_> =
        [0, 1, 3, 4, 5].map(|index: usize| forms[index]["$ref"].as_str().unwrap()).into();
    assert_eq!(
        targets,
        [
            "#/properties/answer",
            "#/properties/answer/items/anyOf/2",
            "#/$defs/a~1b",
            "#/properties/answer/$defsish",
            "other.json#/$defs/x",
        ]
    );
    assert_eq!(sent["$defs"], schema["$defs"]);
    assert_eq!(sent["properties"]["answer"].get("$defs"), None);
}

#[test]
fn what_is_no_schema_is_refused() {
    let schema = AnswerSchema::of::<Value>(raw(&json!([1])));
    let error = schema.schema().unwrap_err().to_string();
    assert_eq!(error, "the schema cannot be used: a schema is an object");
}

#[test]
fn an_answer_is_read_as_its_type() {
    let schema = AnswerSchema::of::<Licence>(raw(&licence()));
    let fits = raw(&json!({ "name": "MIT", "stars": 5 }));
    assert_eq!(schema.check(&fits).unwrap(), fits);
    let message = problems(&schema, &json!({ "name": "MIT", "stars": 500 }));
    assert_eq!(message, ["`stars`: invalid value: integer `500`, expected u8"]);
    assert_eq!(problems(&schema, &json!({ "name": "MIT" })), ["missing field `stars`"]);
    assert_eq!(problems(&schema, &json!("MIT")).len(), 1);
}

#[test]
fn a_wrapped_answer_is_taken_out_and_its_paths_begin_outside() {
    let schema = AnswerSchema::of::<Vec<Licence>>(raw(&json!({ "type": "array" })));
    let fits = raw(&json!({ "answer": [{ "name": "MIT", "stars": 5 }] }));
    assert_eq!(schema.check(&fits).unwrap().as_str(), r#"[{"name":"MIT","stars":5}]"#);
    let wrong = json!({ "answer": [{ "name": "MIT", "stars": 5 }, { "name": 7 }] });
    assert_eq!(
        problems(&schema, &wrong),
        ["`answer[1].name`: invalid type: integer `7`, expected a string"]
    );
    for bare in [json!([]), json!({ "answers": [] })] {
        assert_eq!(
            problems(&schema, &bare),
            ["this is no object with the property `answer`"],
            "{bare}"
        );
    }
}

#[test]
fn checks_of_the_caller_see_the_answer_and_all_of_them_count() {
    let schema = AnswerSchema::of::<u8>(raw(&json!({ "type": "integer" })))
        .with_check(|answer| match answer.as_str() {
            "7" => Ok(()),
            other => Err(format!("{other} is not my number")),
        })
        .with_check(|_| Err("never".to_owned()));
    assert_eq!(problems(&schema, &json!({ "answer": 7 })), ["`answer`: never"]);
    let both = ["`answer`: 8 is not my number", "`answer`: never"];
    assert_eq!(problems(&schema, &json!({ "answer": 8 })), both);
    // The checks do not run on an answer that does not parse as the type.
    assert_eq!(problems(&schema, &json!({ "answer": "x" })).len(), 1);
}

#[test]
fn what_is_told_has_limits() {
    let problem = Problem::new("a", "\u{e4}".repeat(1000));
    assert_eq!(problem.message.len(), 604);
    let misfit = Misfit::unfit(raw(&json!(1)), vec![problem; 100]);
    assert_eq!(misfit.problems().len(), 16);
}
