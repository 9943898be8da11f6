//! Data about a call that OpenCode's tools give to programs.

use serde_json::value::RawValue;

use super::fields::{Fields, Misshape, ToolValue, tool_value};
use crate::SessionId;
use crate::api::FileDiff;
use crate::json::RawJson;
use crate::server_event::Todo;

/// Metadata of the tool `apply_patch`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApplyPatchMetadata {
    /// All changes, as one unified diff.
    pub diff: Option<String>,
    /// The files that the patch changes.
    pub files: Vec<PatchedFile>,
    /// Mistakes that language servers found, by file: a JSON object.
    pub diagnostics: Option<RawJson>,
}

/// One file that `apply_patch` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatchedFile {
    /// Absolute path of the file.
    pub file_path: String,
    /// Path after the change, relative to the root of the repository.
    pub relative_path: Option<String>,
    /// `add`, `update`, `move` or `delete`.
    pub change: String,
    /// The change, as a unified diff (since 1.4).
    pub patch: Option<String>,
    /// Number of lines that are added.
    pub additions: u64,
    /// Number of lines that are removed.
    pub deletions: u64,
    /// Path to which the file is moved.
    pub move_path: Option<String>,
}

/// Metadata of the tool `bash`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BashMetadata {
    /// Output so far, or the end of the output once the command has ended.
    pub output: Option<String>,
    /// Exit code; `None` while the command runs, and for a command that was ended.
    pub exit: Option<i64>,
    /// The model was shown only a part of the output.
    pub is_truncated: bool,
    /// File with the whole output, if the output was too long.
    pub output_path: Option<String>,
    /// The call ended by an abort.
    pub is_interrupted: bool,
}

/// Metadata of the tool `edit`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EditMetadata {
    /// The change, as a unified diff.
    pub diff: Option<String>,
    /// The change with the file and the counts of lines.
    pub file: Option<FileDiff>,
    /// Mistakes that language servers found, by file: a JSON object.
    pub diagnostics: Option<RawJson>,
}

/// Metadata of the tool `glob`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobMetadata {
    /// Number of files in the output.
    pub count: Option<u64>,
    /// There are more files than in the output.
    pub is_truncated: bool,
}

/// Metadata of the tool `grep`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrepMetadata {
    /// Number of matches in the output.
    pub matches: Option<u64>,
    /// There are more matches than in the output.
    pub is_truncated: bool,
}

/// Metadata of the tool `question`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuestionMetadata {
    /// The answers, a list for each question; `None` until they are given.
    pub answers: Option<Vec<Vec<String>>>,
}

/// Metadata of the tool `read`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadMetadata {
    /// The first lines of the output.
    pub preview: Option<String>,
    /// The output ends before the file or directory does.
    pub is_truncated: bool,
    /// Instruction files that were read with the file.
    pub loaded: Option<Vec<String>>,
    /// The lines or entries in the output (since 1.17).
    pub display: Option<ReadDisplay>,
}

/// Lines of a file, or entries of a directory, that `read` showed to the model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReadDisplay {
    /// Entries of a directory, all or some.
    #[non_exhaustive]
    Directory {
        /// Path of the directory.
        path: String,
        /// Names, with a slash after those of directories.
        entries: Vec<String>,
        /// Place of the first entry, from 1.
        offset: u64,
        /// Number of entries in the directory.
        total_entries: u64,
    },
    /// Lines of a file, all or some.
    #[non_exhaustive]
    File {
        /// Path of the file.
        path: String,
        /// The lines, without numbers.
        text: String,
        /// Number of the first line, from 1.
        line_start: u64,
        /// Number of the last line.
        line_end: u64,
        /// Number of lines in the file.
        total_lines: u64,
    },
    /// Something that this version of the crate does not know.
    Other(RawJson),
}

/// Metadata of the tool `skill`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkillMetadata {
    /// Name of the loaded skill.
    pub name: Option<String>,
    /// Directory with the files of the skill.
    pub directory: Option<String>,
}

/// Metadata of the tool `task`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskMetadata {
    /// Session in which the subagent works.
    pub session: Option<SessionId>,
    /// Session that contains the call.
    pub parent_session: Option<SessionId>,
    /// Model that the subagent uses.
    pub model: Option<TaskModel>,
    /// The subagent works on when the call has ended.
    pub is_background: bool,
    /// Id of the work in the background.
    pub job: Option<String>,
}

/// Model that a subagent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskModel {
    /// Id of the provider, for example `anthropic`.
    pub provider: String,
    /// Id of the model at the provider.
    pub model: String,
}

/// Metadata of the tool `todowrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TodoWriteMetadata {
    /// The whole list; `None` until the list is written.
    pub todos: Option<Vec<Todo>>,
}

/// Metadata of the tool `websearch`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSearchMetadata {
    /// Name of the search engine.
    pub provider: Option<String>,
}

/// Metadata of the tool `write`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WriteMetadata {
    /// Absolute path of the file.
    pub file_path: Option<String>,
    /// The file existed before the call.
    pub has_replaced: bool,
    /// Mistakes that language servers found, by file: a JSON object.
    pub diagnostics: Option<RawJson>,
}

impl ToolValue for ReadDisplay {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let fields = Fields::of(raw)?;
        Ok(match &*fields.get::<String>("type")? {
            "directory" => Self::Directory {
                path: fields.get("path")?,
                entries: fields.get("entries")?,
                offset: fields.get("offset")?,
                total_entries: fields.get("totalEntries")?,
            },
            "file" => Self::File {
                path: fields.get("path")?,
                text: fields.get("text")?,
                line_start: fields.get("lineStart")?,
                line_end: fields.get("lineEnd")?,
                total_lines: fields.get("totalLines")?,
            },
            _ => Self::Other(RawJson::read(raw)?),
        })
    }
}

impl ToolValue for ApplyPatchMetadata {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let fields = Fields::of(raw)?;
        Ok(Self {
            diff: fields.get("diff")?,
            files: fields.get::<Option<_>>("files")?.unwrap_or_default(),
            diagnostics: fields.get("diagnostics")?,
        })
    }
}

tool_value!(PatchedFile {
    file_path: "filePath",
    relative_path: "relativePath",
    change: "type",
    patch: "patch",
    additions: "additions",
    deletions: "deletions",
    move_path: "movePath",
});
tool_value!(BashMetadata {
    output: "output",
    exit: "exit",
    is_truncated: "truncated",
    output_path: "outputPath",
    is_interrupted: "interrupted",
});
tool_value!(EditMetadata { diff: "diff", file: "filediff", diagnostics: "diagnostics" });
tool_value!(GlobMetadata { count: "count", is_truncated: "truncated" });
tool_value!(GrepMetadata { matches: "matches", is_truncated: "truncated" });
tool_value!(QuestionMetadata { answers: "answers" });
tool_value!(ReadMetadata {
    preview: "preview",
    is_truncated: "truncated",
    loaded: "loaded",
    display: "display",
});
tool_value!(SkillMetadata { name: "name", directory: "dir" });
tool_value!(TaskMetadata {
    session: "sessionId",
    parent_session: "parentSessionId",
    model: "model",
    is_background: "background",
    job: "jobId",
});
tool_value!(TaskModel { provider: "providerID", model: "modelID" });
tool_value!(TodoWriteMetadata { todos: "todos" });
tool_value!(WebSearchMetadata { provider: "provider" });
tool_value!(WriteMetadata {
    file_path: "filepath",
    has_replaced: "exists",
    diagnostics: "diagnostics",
});
