//! Wrapping of schemas for providers, which accept only an object with properties, without choices
//! at the top level, as the arguments of a tool.

use opencode_config::{Json, JsonObject};
use opencode_proto::RawJson;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Property that holds an answer that is not an object.
pub(super) const ANSWER: &str = "answer";

/// Position of the answer in the model's output: the whole output, or a property of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    Bare,
    Wrapped,
}

/// Choice keywords, which providers reject at the top level beside `type` and `properties`.
const CHOICES: [&str; 9] =
    ["$ref", "allOf", "anyOf", "const", "enum", "if", "not", "oneOf", "then"];
/// Keywords that hold the targets of references.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Returns the schema to send in place of this schema, and the wrapping.
pub(super) fn wrap(mut schema: Json) -> (Json, Wrapping) {
    if let Json::Object(schema) = &mut schema {
        // OpenCode drops `$schema` as well: providers do not support the keyword.
        schema.remove("$schema");
        if is_arguments(schema) {
            return (schema.clone().into(), Wrapping::Bare);
        }
    }
    let mut definitions = JsonObject::new();
    if let Json::Object(schema) = &mut schema {
        for name in DEFINITIONS {
            definitions.extend(schema.remove(name).map(|definition| (name, definition)));
        }
    }
    let mut outer = JsonObject::new()
        .with("type", "object")
        .with("properties", JsonObject::new().with(ANSWER, schema))
        .with("required", [ANSWER])
        .with("additionalProperties", false);
    outer.extend(definitions);
    let mut outer = Json::from(outer);
    follow(&mut outer);
    (outer, Wrapping::Wrapped)
}

/// Returns the answer inside the model's output.
pub(super) fn unwrap(value: &RawJson) -> Option<RawJson> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        answer: &'a RawValue,
    }
    let Wrapped { answer } = value.decode().ok()?;
    RawJson::parse(answer.get().to_owned()).ok()
}

fn is_arguments(schema: &JsonObject) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("object")
        && schema.get("properties").and_then(Json::as_object).is_some()
        && CHOICES.iter().all(|choice| !schema.contains_key(choice))
}

/// Rewrites references to the schema itself to the new position of the schema.
fn follow(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(follow),
        Json::Object(members) => {
            if let Some(Json::String(target)) = members.get_mut("$ref")
                && let Some(rest) = target.strip_prefix('#')
                && (rest.is_empty() || rest.starts_with('/'))
                && !DEFINITIONS.iter().any(|name| is_within(rest, name))
            {
                *target = format!("#/properties/{ANSWER}{rest}");
            }
            members.values_mut().for_each(follow);
        }
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => {}
    }
}

fn is_within(pointer: &str, name: &str) -> bool {
    pointer
        .strip_prefix('/')
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
