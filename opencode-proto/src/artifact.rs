//! Changes of files by tools.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::CallId;
use crate::json::{RawJson, string};
use crate::part::{ToolPart, ToolState};

/// Change of one file by one tool call.
///
/// OpenCode reports the changes of the tools `write`, `edit` and `apply_patch`. Files that commands
/// of `bash` write are unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Artifact {
    /// Path of the file. Absolute, except for old versions of OpenCode with a model that gave a
    /// relative path.
    pub path: String,
    /// Kind of the change.
    pub change: ArtifactChange,
    /// The tool call.
    #[serde(rename = "callID")]
    pub call: CallId,
}

/// Kind of a change of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArtifactChange {
    /// The file was written with this content of the model. A formatter may have changed the file
    /// since.
    Content(String),
    /// The file was deleted.
    Deleted,
    /// The file was moved to the path and changed.
    #[non_exhaustive]
    Moved {
        /// Path before the move.
        from: String,
        /// The change, as a unified diff.
        patch: String,
    },
    /// The file was changed by this unified diff.
    Patch(String),
    /// The file was written or changed, by more than the limit of the caller.
    #[non_exhaustive]
    TooLarge {
        /// Size of the content or the diff, in bytes.
        size: usize,
    },
}

impl Artifact {
    /// Returns the changes of a tool call, in order. A call that is not completed has none.
    ///
    /// Contents and diffs of more than `size_max` bytes are left out.
    pub fn of(part: &ToolPart, size_max: usize) -> Vec<Self> {
        let ToolState::Completed { input, metadata, .. } = &part.state else { return Vec::new() };
        let input = read::<WireInput<'_>>(input.as_ref());
        let metadata = read::<WireMetadata<'_>>(metadata.as_ref());
        let changes = match &*part.tool {
            "apply_patch" | "patch" => metadata.patched(),
            "edit" => edited(&input, &metadata).into_iter().collect(),
            "write" => written(&input, &metadata).into_iter().collect(),
            _ => Vec::new(),
        };
        let artifact = |(path, change): (String, ArtifactChange)| Self {
            path,
            change: change.limited(size_max),
            call: part.call.clone(),
        };
        changes.into_iter().map(artifact).collect()
    }
}

impl ArtifactChange {
    fn limited(self, size_max: usize) -> Self {
        let size = match &self {
            Self::Content(text) | Self::Patch(text) | Self::Moved { patch: text, .. } => text.len(),
            Self::Deleted | Self::TooLarge { .. } => 0,
        };
        if size > size_max { Self::TooLarge { size } } else { self }
    }
}

type Change = (String, ArtifactChange);

fn written(input: &WireInput<'_>, metadata: &WireMetadata<'_>) -> Option<Change> {
    let path = text(metadata.filepath).or_else(|| text(input.file_path))?;
    Some((path, ArtifactChange::Content(text(input.content)?)))
}

fn edited(input: &WireInput<'_>, metadata: &WireMetadata<'_>) -> Option<Change> {
    let file: WireFile<'_> =
        metadata.filediff.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let path = text(file.file).or_else(|| text(input.file_path))?;
    let patch = text(metadata.diff).or_else(|| text(file.patch))?;
    Some((path, ArtifactChange::Patch(patch)))
}

impl WireMetadata<'_> {
    fn patched(&self) -> Vec<Change> {
        let files: Vec<&RawValue> =
            self.files.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let read = |raw: &RawValue| serde_json::from_str::<WireFile<'_>>(raw.get()).ok()?.change();
        files.into_iter().filter_map(read).collect()
    }
}

impl WireFile<'_> {
    fn change(&self) -> Option<Change> {
        let path = text(self.file_path)?;
        if text(self.kind).as_deref() == Some("delete") {
            return Some((path, ArtifactChange::Deleted));
        }
        let patch = text(self.patch).or_else(|| text(self.diff))?;
        Some(match text(self.move_path) {
            Some(to) => (to, ArtifactChange::Moved { from: path, patch }),
            None => (path, ArtifactChange::Patch(patch)),
        })
    }
}

/// Arguments of the tools `write` and `edit`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireInput<'a> {
    #[serde(borrow)]
    file_path: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Metadata of a completed call.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireMetadata<'a> {
    /// Path, from `write`.
    #[serde(borrow)]
    filepath: Option<&'a RawValue>,
    /// Unified diff, from `edit`.
    #[serde(borrow)]
    diff: Option<&'a RawValue>,
    /// Path and diff, from `edit`.
    #[serde(borrow)]
    filediff: Option<&'a RawValue>,
    /// Changed files, from `apply_patch`.
    #[serde(borrow)]
    files: Option<&'a RawValue>,
}

/// A changed file in the metadata of `edit` or `apply_patch`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireFile<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    file_path: Option<&'a RawValue>,
    #[serde(borrow)]
    move_path: Option<&'a RawValue>,
    /// Change: `add`, `update`, `move` or `delete`.
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    /// Name of `patch` before OpenCode 1.4.
    #[serde(borrow)]
    diff: Option<&'a RawValue>,
}

fn read<'a, T: Default + Deserialize<'a>>(json: Option<&'a RawJson>) -> T {
    json.and_then(|json| json.decode().ok()).unwrap_or_default()
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(string)
}

#[cfg(test)]
mod tests;
