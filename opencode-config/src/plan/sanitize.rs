//! A user's config, reduced to the keys that a run needs to reach a model.

use std::path::{Component, Path, PathBuf};

use crate::{Json, JsonObject};

/// Keys of a user's config that are kept.
const KEPT_KEYS: [&str; 4] = ["$schema", "provider", "disabled_providers", "enabled_providers"];

/// Drops all keys but those about providers, and anchors `{file:…}` references in `directory`, the
/// directory of the config file.
pub(crate) fn sanitized(config: JsonObject, directory: &str) -> JsonObject {
    let kept = config.into_iter().filter(|(key, _)| KEPT_KEYS.contains(&key.as_str()));
    kept.map(|(key, value)| (key, anchored(value, directory))).collect()
}

fn anchored(value: Json, directory: &str) -> Json {
    match value {
        Json::Array(items) => {
            Json::Array(items.into_iter().map(|item| anchored(item, directory)).collect())
        }
        Json::Object(object) => object
            .into_iter()
            .map(|(key, value)| (anchor(&key, directory), anchored(value, directory)))
            .collect::<JsonObject>()
            .into(),
        Json::String(text) => anchor(&text, directory).into(),
        Json::Bool(_) | Json::Null | Json::Number(_) => value,
    }
}

/// Makes the paths in `{file:path}` absolute. OpenCode resolves relative ones against the directory
/// of the config file, and `~/` against `HOME`.
fn anchor(text: &str, directory: &str) -> String {
    const OPEN: &str = "{file:";
    let mut anchored = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        anchored.push_str(before);
        anchored.push_str(OPEN);
        rest = after;
        if let Some((path, after)) = after.split_once('}').filter(|(path, _)| !path.is_empty()) {
            // `{file:{env:DIR}/key}`: OpenCode replaces the variable first, and the value decides.
            let is_anchored = Path::new(path).is_absolute()
                || ["~/", "{env:"].iter().any(|start| path.starts_with(start));
            if is_anchored {
                anchored.push_str(path);
            } else {
                anchored.push_str(&resolve(directory, path));
            }
            anchored.push('}');
            rest = after;
        }
    }
    anchored.push_str(rest);
    anchored
}

/// Joins `path` to `directory`, without `.` and `..`, by text alone like OpenCode.
fn resolve(directory: &str, path: &str) -> String {
    let mut resolved = PathBuf::new();
    for component in Path::new(directory).join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            Component::Normal(_) | Component::Prefix(_) | Component::RootDir => {
                resolved.push(component);
            }
        }
    }
    resolved.to_string_lossy().into_owned()
}
