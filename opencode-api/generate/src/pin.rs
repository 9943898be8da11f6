//! The pinned copy of a document: the shape alone, without prose.

use opencode_config::{Json, JsonObject};

use crate::spec::write_lines;

/// Keys whose text is prose. As names of fields or of schemas they stay.
const PROSE: [&str; 7] =
    ["description", "example", "examples", "externalDocs", "summary", "title", "x-codeSamples"];

/// Keys of a document whose own keys are names.
const NAMED: [&str; 6] =
    ["paths", "patternProperties", "properties", "responses", "schemas", "securitySchemes"];

/// Returns the text of the pinned document, with one line for each schema and operation.
pub(crate) fn pinned(document: &Json) -> String {
    let document = stripped(document, false);
    let mut text = String::new();
    write_lines(&mut text, &document, 0, LINES_DEPTH);
    text.push('\n');
    text
}

fn stripped(json: &Json, are_keys_names: bool) -> Json {
    match json {
        Json::Object(object) => {
            let keep = |key: &str, value: &Json| {
                are_keys_names || !(PROSE.contains(&key) || key == "tags" && value.is_list())
            };
            let entries = object.iter().filter(|(key, value)| keep(key, value));
            let strip = |(key, value): (&str, &Json)| {
                let names = !are_keys_names && NAMED.contains(&key);
                (key.to_owned(), stripped(value, names))
            };
            Json::Object(entries.map(strip).collect::<JsonObject>())
        }
        Json::Array(items) => Json::Array(items.iter().map(|item| stripped(item, false)).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json.clone(),
    }
}

trait IsList {
    fn is_list(&self) -> bool;
}

impl IsList for Json {
    fn is_list(&self) -> bool {
        self.as_array().is_some()
    }
}

/// Depth down to which each key has a line of its own.
const LINES_DEPTH: usize = 3;

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn prose_is_dropped_and_fields_with_such_names_stay() {
        let document = r#"{"info": {"title": "x", "version": "1"}, "components": {"schemas": {"A": {
            "type": "object", "description": "prose", "properties": {"title": {"type": "string"}}}}}}"#;

        let text = pinned(&document.parse().unwrap());

        assert!(!text.contains("prose") && text.contains(r#""properties":{"title":"#), "{text}");
        assert_eq!(pinned(&text.parse().unwrap()), text);
    }
}
