//! Data of OpenCode's own tools, decoded on demand.
//!
//! A part and a permission request keep the data of a tool as JSON. Most programs never look, so
//! that decoding waits until a program does. The shapes are those of 1.18.33 and of versions since
//! 1.1.65.

mod fields;
mod input;
mod metadata;
mod permission;

use serde_json::value::RawValue;

use crate::json::RawJson;
use crate::part::{ToolPart, ToolState};
use crate::run_event::DecodeError;

use fields::{Fields, Misshape, no_fields, raw_value, read};
pub use input::{
    ApplyPatchInput, BashInput, EditInput, GlobInput, GrepInput, InvalidInput, LspInput,
    QuestionInput, ReadInput, SkillInput, TaskInput, TodoWriteInput, WebFetchInput, WebSearchInput,
    WriteInput,
};
pub use metadata::{
    ApplyPatchMetadata, BashMetadata, EditMetadata, GlobMetadata, GrepMetadata, PatchedFile,
    QuestionMetadata, ReadDisplay, ReadMetadata, SkillMetadata, TaskMetadata, TaskModel,
    TodoWriteMetadata, WebSearchMetadata, WriteMetadata,
};
pub use permission::{ExternalDirectory, PermissionDetails, ProposedEdit};

/// Arguments of a tool call, by the tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolInput {
    /// A patch of several files (`apply_patch`).
    ApplyPatch(ApplyPatchInput),
    /// A command line to run (`bash`).
    Bash(BashInput),
    /// A change of a file (`edit`).
    Edit(EditInput),
    /// A search for files (`glob`).
    Glob(GlobInput),
    /// A search in files (`grep`).
    Grep(GrepInput),
    /// A call that the model got wrong (`invalid`).
    Invalid(InvalidInput),
    /// A question to a language server (`lsp`).
    Lsp(LspInput),
    /// A tool that is not OpenCode's own: of a plugin, of an MCP server, or of a newer version.
    Other(RawJson),
    /// Questions to the user (`question`).
    Question(QuestionInput),
    /// A file or directory to read (`read`).
    Read(ReadInput),
    /// A skill to load (`skill`).
    Skill(SkillInput),
    /// A prompt to a subagent (`task`).
    Task(TaskInput),
    /// The to-do list of the session (`todowrite`).
    TodoWrite(TodoWriteInput),
    /// The model is still writing the arguments, or the call ended before they were written.
    Unwritten,
    /// A web page to load (`webfetch`).
    WebFetch(WebFetchInput),
    /// A search of the web (`websearch`).
    WebSearch(WebSearchInput),
    /// A file to write (`write`).
    Write(WriteInput),
}

/// Data about a tool call for programs, by the tool. Absent in part while the tool runs, and after
/// errors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolMetadata {
    /// Data of `apply_patch`: the changes.
    ApplyPatch(ApplyPatchMetadata),
    /// Data of `bash`: output and exit code.
    Bash(BashMetadata),
    /// Data of `edit`: the change.
    Edit(EditMetadata),
    /// Data of `glob`: the number of files.
    Glob(GlobMetadata),
    /// Data of `grep`: the number of matches.
    Grep(GrepMetadata),
    /// A tool without data of its own (`invalid`, `lsp`, `webfetch`), or one that is not OpenCode's
    /// own. A JSON object.
    Other(RawJson),
    /// Data of `question`: the answers.
    Question(QuestionMetadata),
    /// Data of `read`: the lines.
    Read(ReadMetadata),
    /// Data of `skill`: the directory.
    Skill(SkillMetadata),
    /// Data of `task`: the session of the subagent.
    Task(TaskMetadata),
    /// Data of `todowrite`: the list.
    TodoWrite(TodoWriteMetadata),
    /// Data of `websearch`: the search engine.
    WebSearch(WebSearchMetadata),
    /// Data of `write`: the file.
    Write(WriteMetadata),
}

impl ToolInput {
    /// Decodes the arguments of a call of this tool.
    ///
    /// # Errors
    ///
    /// The tool is one of OpenCode's own, and the arguments have another shape than OpenCode's. The
    /// error names the field.
    pub fn decode(tool: &str, input: &RawJson) -> Result<Self, DecodeError> {
        let value = raw_value(Some(input));
        Self::read(tool, value).map_err(|error| error.into_error(&format!("arguments of `{tool}`")))
    }

    fn read(tool: &str, raw: &RawValue) -> Result<Self, Misshape> {
        Ok(match tool {
            "apply_patch" => Self::ApplyPatch(read(raw)?),
            "bash" => Self::Bash(read(raw)?),
            "edit" => Self::Edit(read(raw)?),
            "glob" => Self::Glob(read(raw)?),
            "grep" => Self::Grep(read(raw)?),
            "invalid" => Self::Invalid(read(raw)?),
            "lsp" => Self::Lsp(read(raw)?),
            "question" => Self::Question(read(raw)?),
            "read" => Self::Read(read(raw)?),
            "skill" => Self::Skill(read(raw)?),
            "task" => Self::Task(read(raw)?),
            "todowrite" => Self::TodoWrite(read(raw)?),
            "webfetch" => Self::WebFetch(read(raw)?),
            "websearch" => Self::WebSearch(read(raw)?),
            "write" => Self::Write(read(raw)?),
            _ => Self::Other(read(raw)?),
        })
    }
}

impl ToolMetadata {
    /// Decodes the data about a call of this tool.
    ///
    /// # Errors
    ///
    /// The tool is one of OpenCode's own, and the data have another shape than OpenCode's. The
    /// error names the field.
    pub fn decode(tool: &str, metadata: &RawJson) -> Result<Self, DecodeError> {
        let value = raw_value(Some(metadata));
        Self::read(tool, value).map_err(|error| error.into_error(&format!("metadata of `{tool}`")))
    }

    fn read(tool: &str, raw: &RawValue) -> Result<Self, Misshape> {
        Ok(match tool {
            "apply_patch" => Self::ApplyPatch(read(raw)?),
            "bash" => Self::Bash(read(raw)?),
            "edit" => Self::Edit(read(raw)?),
            "glob" => Self::Glob(read(raw)?),
            "grep" => Self::Grep(read(raw)?),
            "question" => Self::Question(read(raw)?),
            "read" => Self::Read(read(raw)?),
            "skill" => Self::Skill(read(raw)?),
            "task" => Self::Task(read(raw)?),
            "todowrite" => Self::TodoWrite(read(raw)?),
            "websearch" => Self::WebSearch(read(raw)?),
            "write" => Self::Write(read(raw)?),
            _ => Self::Other(read(raw)?),
        })
    }
}

impl ToolPart {
    /// Decodes the arguments of the call. [`ToolState::input`] has them as JSON.
    ///
    /// ```
    /// use opencode_proto::{RunEvent, RunEventKind, ToolInput};
    ///
    /// let line = r#"{"type":"tool_use","part":{"tool":"read","callID":"call_1","state":
    ///     {"status":"completed","input":{"filePath":"/srv/a.txt","limit":20},"output":""}}}"#;
    /// let RunEventKind::ToolUse(part) = RunEvent::decode(line.into()).kind else { panic!() };
    /// let ToolInput::Read(read) = part.decode_input()? else { panic!() };
    /// assert_eq!((&*read.file_path, read.limit), ("/srv/a.txt", Some(20)));
    /// # Ok::<(), opencode_proto::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`ToolInput::decode`].
    pub fn decode_input(&self) -> Result<ToolInput, DecodeError> {
        let input = self.state.input();
        let is_empty = Fields::of(raw_value(input)).is_ok_and(|fields| fields.is_empty());
        match (&self.state, input) {
            // OpenCode announces a call before the model has written the arguments, and an abort
            // may come first.
            (ToolState::Error { .. } | ToolState::Pending { .. }, _) if is_empty => {
                Ok(ToolInput::Unwritten)
            }
            (_, Some(input)) => ToolInput::decode(&self.tool, input),
            (_, None) => ToolInput::decode(&self.tool, &no_fields()),
        }
    }

    /// Decodes the data about the call. [`ToolState::metadata`] has them as JSON.
    ///
    /// ```
    /// use opencode_proto::{RunEvent, RunEventKind, ToolMetadata};
    ///
    /// let line = r#"{"type":"tool_use","part":{"tool":"bash","callID":"call_1","state":
    ///     {"status":"completed","input":{"command":"x"},"output":"","metadata":{"exit":1}}}}"#;
    /// let RunEventKind::ToolUse(part) = RunEvent::decode(line.into()).kind else { panic!() };
    /// let ToolMetadata::Bash(bash) = part.decode_metadata()? else { panic!() };
    /// assert_eq!(bash.exit, Some(1));
    /// # Ok::<(), opencode_proto::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`ToolMetadata::decode`].
    pub fn decode_metadata(&self) -> Result<ToolMetadata, DecodeError> {
        match self.state.metadata() {
            Some(metadata) => ToolMetadata::decode(&self.tool, metadata),
            None => ToolMetadata::decode(&self.tool, &no_fields()),
        }
    }
}

#[cfg(test)]
mod tests;
