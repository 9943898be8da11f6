//! What providers take for the arguments of a tool: an object with properties, and nothing else on top.

use opencode_config::{Json, JsonObject};
use opencode_proto::RawJson;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The property that holds an answer that is no object itself.
pub(super) const ANSWER: &str = "answer";

/// Whether the model gives the answer itself, or an object around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    Bare,
    Wrapped,
}

/// What may stand on top beside `type` and `properties`. Providers refuse choices there.
const CHOICES: [&str; 9] =
    ["$ref", "allOf", "anyOf", "const", "enum", "if", "not", "oneOf", "then"];
/// Where schemas keep what they refer to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The schema to send for this one.
pub(super) fn wrap(mut schema: Json) -> (Json, Wrapping) {
    if let Json::Object(schema) = &mut schema {
        // OpenCode drops it as well: providers do not know it.
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

/// The answer within what the model gave.
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

/// Points references to the schema itself to where it is now.
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
