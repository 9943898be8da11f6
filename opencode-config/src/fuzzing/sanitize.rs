//! What is kept of a user's config.

use serde_json::{Map, Value};

use super::text;
use crate::isolation::sanitized;

const KEPT: [&str; 4] = ["$schema", "provider", "disabled_providers", "enabled_providers"];

/// The keys about providers are kept, in order, as they are but for references to files, which lead where they led.
pub(super) fn check(config: &Map<String, Value>) {
    let reduced = sanitized(config.clone(), "/home/user/.config/opencode");
    let kept: Map<String, Value> =
        config.iter().filter(|(key, _)| KEPT.contains(&key.as_str())).map(pair).collect();
    assert!(reduced.keys().eq(kept.keys()), "{reduced:?} of {config:?}");
    let mut references = Vec::new();
    gather(&Value::Object(reduced.clone()), &mut references);
    for reference in references {
        let is_anchored = ["/", "~/", "{env:"].iter().any(|start| reference.starts_with(start));
        assert!(is_anchored, "{reference} depends on where it is read");
    }
    if !text(&kept).contains("{file:") {
        assert_eq!(text(&reduced), text(&kept));
    }
    let twice = sanitized(reduced.clone(), "/somewhere/else");
    assert_eq!(text(&twice), text(&reduced), "what is anchored stays so");
}

fn pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// The paths of all `{file:path}`.
fn gather(value: &Value, references: &mut Vec<String>) {
    let mut look = |mut text: &str| {
        while let Some((_, after)) = text.split_once("{file:") {
            text = after;
            // A reference has everything up to the next bracket for its path, also another reference.
            if let Some((path, after)) = after.split_once('}').filter(|(path, _)| !path.is_empty())
            {
                references.push(path.to_owned());
                text = after;
            }
        }
    };
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, references)),
        Value::Object(object) => {
            object.keys().for_each(|key| look(key));
            object.values().for_each(|value| gather(value, references));
        }
        Value::String(text) => look(text),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}
