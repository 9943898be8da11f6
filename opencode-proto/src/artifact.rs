//! What tools wrote into files.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::CallId;
use crate::json::{RawJson, string};
use crate::part::{ToolPart, ToolState};

/// What one call of a tool did to one file.
///
/// The tools `write`, `edit` and `apply_patch` tell it; what commands of `bash` write is not known to OpenCode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// The file's path, absolute except from old versions where the model gave a relative one. Two files of the same
    /// name differ here.
    pub path: String,
    /// What was done to it.
    pub change: ArtifactChange,
    /// The call that did it.
    pub call: CallId,
}

/// What was done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactChange {
    /// It was written, and this is all of it as the model gave it. A formatter may have changed it since.
    Content(String),
    /// It was deleted.
    Deleted,
    /// It was moved here and changed.
    #[non_exhaustive]
    Moved {
        /// Where it was.
        from: String,
        /// The change, as a unified diff.
        patch: String,
    },
    /// It was changed in places, as a unified diff.
    Patch(String),
    /// It was written or changed by more than the caller wants.
    #[non_exhaustive]
    TooLarge {
        /// The size of the content or the patch, in bytes.
        size: usize,
    },
}

impl Artifact {
    /// What a tool call did to files, in order. Nothing, if it is not completed or wrote none.
    ///
    /// A content or patch of more than `size_max` bytes is left out.
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

/// The arguments of `write` and `edit`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireInput<'a> {
    #[serde(borrow)]
    file_path: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// What the tools say about what they did.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireMetadata<'a> {
    /// Of `write`.
    #[serde(borrow)]
    filepath: Option<&'a RawValue>,
    /// Of `edit`.
    #[serde(borrow)]
    diff: Option<&'a RawValue>,
    /// Of `edit`.
    #[serde(borrow)]
    filediff: Option<&'a RawValue>,
    /// Of `apply_patch`.
    #[serde(borrow)]
    files: Option<&'a RawValue>,
}

/// One file of `edit` or `apply_patch`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireFile<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    file_path: Option<&'a RawValue>,
    #[serde(borrow)]
    move_path: Option<&'a RawValue>,
    /// `add`, `update`, `move` or `delete`.
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    /// `patch` before 1.4.
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
