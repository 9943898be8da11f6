//! Arguments of OpenCode's tools.

use super::fields::tool_value;
use crate::SessionId;
use crate::server_event::{Question, Todo};

/// Arguments of the tool `apply_patch`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyPatchInput {
    /// The patch, in the form that starts with `*** Begin Patch`.
    pub patch_text: String,
}

/// Arguments of the tool `bash`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BashInput {
    /// The command line to run.
    pub command: String,
    /// Limit on the run time, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Directory in which the command runs, in place of the session's.
    pub workdir: Option<String>,
    /// Description for people (before 1.17).
    pub description: Option<String>,
}

/// Arguments of the tool `edit`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditInput {
    /// The file to change.
    pub file_path: String,
    /// The text that is replaced.
    pub old_string: String,
    /// The text that replaces the old one.
    pub new_string: String,
    /// Every occurrence is replaced, not only one.
    pub is_for_all: bool,
}

/// Arguments of the tool `glob`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobInput {
    /// Pattern that the files match.
    pub pattern: String,
    /// Directory of the search, in place of the session's.
    pub path: Option<String>,
}

/// Arguments of the tool `grep`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrepInput {
    /// Regular expression for the content.
    pub pattern: String,
    /// Directory or file of the search, in place of the session's directory.
    pub path: Option<String>,
    /// Pattern of the files to search.
    pub include: Option<String>,
}

/// Arguments of the tool `invalid`: a call that the model got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidInput {
    /// The tool that the model named.
    pub tool: String,
    /// The mistake in the call.
    pub error: String,
}

/// Arguments of the tool `lsp`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LspInput {
    /// The operation, for example `goToDefinition`.
    pub operation: String,
    /// The file in question. Permission requests for `workspaceSymbol` name none.
    pub file_path: Option<String>,
    /// Number of the line, from 1.
    pub line: Option<u64>,
    /// Number of the character in the line, from 1.
    pub character: Option<u64>,
    /// Text to search for, of `workspaceSymbol`.
    pub query: Option<String>,
}

/// Arguments of the tool `question`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuestionInput {
    /// The questions to the user.
    pub questions: Vec<Question>,
}

/// Arguments of the tool `read`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadInput {
    /// The file or directory to read.
    pub file_path: String,
    /// Number of the first line, from 1.
    pub offset: Option<u64>,
    /// Number of lines at most.
    pub limit: Option<u64>,
}

/// Arguments of the tool `skill`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkillInput {
    /// Name of the skill to load.
    pub name: String,
}

/// Arguments of the tool `task`, which prompts a subagent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInput {
    /// The task in a few words.
    pub description: String,
    /// The prompt for the subagent.
    pub prompt: String,
    /// Name of the agent that works on the task.
    pub subagent_type: String,
    /// Session of a subagent that continues, in place of a new one.
    pub task_id: Option<SessionId>,
    /// The slash command behind the call.
    pub command: Option<String>,
    /// The call does not wait for the subagent.
    pub is_background: bool,
}

/// Arguments of the tool `todowrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TodoWriteInput {
    /// The whole list, which replaces the old one.
    pub todos: Vec<Todo>,
}

/// Arguments of the tool `webfetch`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebFetchInput {
    /// Address of the page.
    pub url: String,
    /// Form of the output: `text`, `markdown` or `html`.
    pub format: Option<String>,
    /// Limit on the loading time, in seconds.
    pub timeout_s: Option<f64>,
}

/// Arguments of the tool `websearch`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebSearchInput {
    /// The text to search for.
    pub query: String,
    /// Number of results at most.
    pub num_results: Option<f64>,
    /// Use of live pages: `fallback` or `preferred`.
    pub livecrawl: Option<String>,
    /// Depth of the search: `auto`, `fast` or `deep`.
    pub search_type: Option<String>,
    /// Limit on the length of the result, in characters.
    pub context_max_characters: Option<f64>,
}

/// Arguments of the tool `write`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteInput {
    /// The file to write.
    pub file_path: String,
    /// The whole content of the file.
    pub content: String,
}

tool_value!(ApplyPatchInput { patch_text: "patchText" });
tool_value!(BashInput {
    command: "command",
    timeout_ms: "timeout",
    workdir: "workdir",
    description: "description",
});
tool_value!(EditInput {
    file_path: "filePath",
    old_string: "oldString",
    new_string: "newString",
    is_for_all: "replaceAll",
});
tool_value!(GlobInput { pattern: "pattern", path: "path" });
tool_value!(GrepInput { pattern: "pattern", path: "path", include: "include" });
tool_value!(InvalidInput { tool: "tool", error: "error" });
tool_value!(LspInput {
    operation: "operation",
    file_path: "filePath",
    line: "line",
    character: "character",
    query: "query",
});
tool_value!(QuestionInput { questions: "questions" });
tool_value!(ReadInput { file_path: "filePath", offset: "offset", limit: "limit" });
tool_value!(SkillInput { name: "name" });
tool_value!(TaskInput {
    description: "description",
    prompt: "prompt",
    subagent_type: "subagent_type",
    task_id: "task_id",
    command: "command",
    is_background: "background",
});
tool_value!(TodoWriteInput { todos: "todos" });
tool_value!(WebFetchInput { url: "url", format: "format", timeout_s: "timeout" });
tool_value!(WebSearchInput {
    query: "query",
    num_results: "numResults",
    livecrawl: "livecrawl",
    search_type: "type",
    context_max_characters: "contextMaxCharacters",
});
tool_value!(WriteInput { file_path: "filePath", content: "content" });
