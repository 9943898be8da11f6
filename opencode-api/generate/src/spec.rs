//! The pinned files: the document, the flags of the commands, and the first versions of routes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use opencode_config::Json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The pinned document of one version.
pub(crate) struct Pin {
    pub(crate) version: String,
    pub(crate) document: Json,
}

impl Pin {
    /// Reads the pin: the one file in the folder whose name is a version.
    pub(crate) fn read() -> Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder())? {
            let path = entry?.path();
            let version = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            if let Some(version) = version.filter(|name| name.starts_with(char::is_numeric)) {
                found.push((version.to_owned(), path.clone()));
            }
        }
        let [(version, path)] = &found[..] else {
            return Err(format!("one pin was expected in {}: {found:?}", folder().display()).into());
        };
        Ok(Self { version: version.clone(), document: fs::read_to_string(path)?.parse()? })
    }

    /// Writes a new pin in place of the old one.
    pub(crate) fn replace(version: &str, text: &str) -> Result<PathBuf> {
        let old = Self::read()?.version;
        fs::remove_file(path_of(&old))?;
        fs::write(path_of(version), text)?;
        Ok(path_of(version))
    }
}

/// The flags of the commands, by command and flag.
pub(crate) fn flags_path() -> PathBuf {
    folder().join("flags.json")
}

/// The first version of each route, by method and path.
pub(crate) fn since_path() -> PathBuf {
    folder().join("since.json")
}

/// Reads a JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Json> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.parse()?)
}

/// Writes an object with a line for each key, down to this depth.
pub(crate) fn write_lines(text: &mut String, json: &Json, depth: usize, depth_max: usize) {
    let object = json.as_object().filter(|object| depth < depth_max && !object.is_empty());
    let Some(object) = object else {
        text.push_str(&json.to_string());
        return;
    };
    text.push_str("{\n");
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            text.push_str(",\n");
        }
        text.push_str(&"  ".repeat(depth + 1));
        text.push_str(&Json::from(key).to_string());
        text.push_str(": ");
        write_lines(text, value, depth + 1, depth_max);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push('}');
}

fn folder() -> PathBuf {
    crate::crate_folder().join("spec")
}

fn path_of(version: &str) -> PathBuf {
    folder().join(format!("{version}.json"))
}
