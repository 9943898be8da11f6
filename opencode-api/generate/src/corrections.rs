//! Places where the document is wrong about the wire, or too loose to be of use.

use std::error::Error;

use opencode_config::{Json, JsonObject};

/// A schema to replace: where, by what, and why.
struct Correction {
    /// Path to the schema, of keys with `>` between them.
    path: &'static str,
    schema: &'static str,
}

const CORRECTIONS: [Correction; 3] = [
    // The last rule that matches decides, so the order of the keys has a meaning that fields of a
    // struct cannot keep. Besides, every tool of a plugin can have a key.
    Correction {
        path: "components>schemas>PermissionConfig",
        schema: r##"{"anyOf": [
            {"$ref": "#/components/schemas/PermissionActionConfig"},
            {"type": "object",
             "additionalProperties": {"$ref": "#/components/schemas/PermissionRuleConfig"}}
        ]}"##,
    },
    // The keys are ids of sessions; the document has a pattern in place of a schema.
    Correction {
        path: "paths>/api/session/active>get>responses>200>content>application/json>schema",
        schema: r##"{"type": "object", "required": ["data"], "properties": {"data": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/SessionActive"}}}}"##,
    },
    // A duplicate that the server's own generator made.
    Correction {
        path: "components>schemas>OutputFormat1",
        schema: r##"{"$ref": "#/components/schemas/OutputFormat"}"##,
    },
];

/// Event types that the server sends and that the document lacks, with the schema of properties.
pub(crate) const EVENTS: [(&str, &str); 1] = [
    // Sent every ten seconds on both streams, without an id.
    ("server.heartbeat", r#"{"type": "object", "properties": {}}"#),
];

/// Parameters of paths that the document lacks, by operation.
pub(crate) const PATH_PARAMETERS: [(&str, &str); 1] = [("v2.fs.read", "path")];

/// Headers that the server insists on and that the document lacks, by operation.
pub(crate) const HEADERS: [(&str, &str, &str); 2] = [
    // Against requests that a foreign page makes a browser send.
    ("pty.connectToken", "x-opencode-ticket", "1"),
    ("v2.pty.connectToken", "x-opencode-ticket", "1"),
];

/// Corrects a document.
pub(crate) fn apply(document: &mut Json) -> Result<(), Box<dyn Error>> {
    for Correction { path, schema } in CORRECTIONS {
        let mut place = &mut *document;
        for key in path.split('>') {
            let object = place.as_object_mut();
            place = object
                .and_then(|object| object.get_mut(key))
                .ok_or_else(|| format!("the correction of {path} finds no `{key}`"))?;
        }
        *place = schema.parse()?;
    }
    let schemas = document.as_object_mut().and_then(|root| root.get_mut("components"));
    let schemas = schemas.and_then(Json::as_object_mut).and_then(|part| part.get_mut("schemas"));
    let schemas = schemas.and_then(Json::as_object_mut).ok_or("the document has no schemas")?;
    let number: Json = r#"{"type": "number"}"#.parse()?;
    let reference: Json = r##"{"$ref": "#/components/schemas/EventTimestamp"}"##.parse()?;
    replace_timestamps(schemas, &number, &reference);
    schemas.insert("EventTimestamp", TIMESTAMP.parse::<Json>()?);
    Ok(())
}

/// Time of an event of the second generation: milliseconds on `/api/event` and in `sync` events, and
/// a date in ISO 8601 on `/event` and `/global/event`. The document has the number alone.
const TIMESTAMP: &str = r#"{"anyOf": [{"type": "number"}, {"type": "string"}]}"#;

/// Replaces the schemas of all fields `timestamp` that are numbers.
fn replace_timestamps(object: &mut JsonObject, number: &Json, by: &Json) {
    let keys: Vec<String> = object.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        let Some(schema) = object.get_mut(&key) else { continue };
        if key == "timestamp" && schema == number {
            *schema = by.clone();
            continue;
        }
        match schema {
            Json::Object(inner) => replace_timestamps(inner, number, by),
            Json::Array(schemas) => {
                let objects = schemas.iter_mut().filter_map(Json::as_object_mut);
                objects.for_each(|inner| replace_timestamps(inner, number, by));
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}
