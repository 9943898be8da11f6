//! Places where the document is wrong about the wire, or too loose to be of use.

use std::error::Error;

use opencode_config::Json;

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
    Ok(())
}
