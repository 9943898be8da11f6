//! The reduction of a user's config.

use crate::plan::sanitized;
use crate::{Json, JsonObject};

const KEPT: [&str; 4] = ["$schema", "provider", "disabled_providers", "enabled_providers"];

/// Checks that the keys about providers are kept as they are, in order, except that references to
/// files lead to the same files from anywhere.
pub(super) fn check(config: &JsonObject) {
    let reduced = sanitized(config.clone(), "/home/user/.config/opencode");
    let kept = config.iter().filter(|(key, _)| KEPT.contains(key));
    let kept: JsonObject = kept.map(|(key, value)| (key, value.clone())).collect();
    assert!(reduced.keys().eq(kept.keys()), "{reduced:?} of {config:?}");
    let mut references = Vec::new();
    gather(&reduced.clone().into(), &mut references);
    for reference in references {
        let is_anchored = ["/", "~/", "{env:"].iter().any(|start| reference.starts_with(start));
        assert!(is_anchored, "{reference} is not anchored");
    }
    if !kept.to_string().contains("{file:") {
        assert_eq!(reduced, kept);
    }
    let twice = sanitized(reduced.clone(), "/somewhere/else");
    assert_eq!(twice, reduced, "anchored references stay as they are");
}

/// Collects the paths of all `{file:path}`.
fn gather(value: &Json, references: &mut Vec<String>) {
    let mut look = |mut text: &str| {
        while let Some((_, after)) = text.split_once("{file:") {
            text = after;
            // The path is everything up to the next bracket, even another reference.
            if let Some((path, after)) = after.split_once('}').filter(|(path, _)| !path.is_empty())
            {
                references.push(path.to_owned());
                text = after;
            }
        }
    };
    match value {
        Json::Array(items) => items.iter().for_each(|item| gather(item, references)),
        Json::Object(object) => {
            object.keys().for_each(&mut look);
            object.values().for_each(|value| gather(value, references));
        }
        Json::String(text) => look(text),
        Json::Bool(_) | Json::Null | Json::Number(_) => {}
    }
}
