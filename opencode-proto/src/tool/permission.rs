//! Data about a permission request, for the people who decide.

use serde_json::value::RawValue;

use super::fields::{Fields, Misshape, ToolValue, raw_value, read, tool_value};
use super::input::{GlobInput, GrepInput, LspInput, WebFetchInput, WebSearchInput};
use super::metadata::PatchedFile;
use crate::json::RawJson;
use crate::run_event::DecodeError;
use crate::server_event::PermissionRequest;

/// Data about a permission request, by the permission.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PermissionDetails {
    /// A command line (permission `bash`).
    #[non_exhaustive]
    Bash {
        /// The command line to run.
        command: String,
    },
    /// A change of files (`edit`), by `edit`, `write` or `apply_patch`.
    Edit(ProposedEdit),
    /// Access to files outside of the project (`external_directory`).
    ExternalDirectory(ExternalDirectory),
    /// A search for files (`glob`).
    Glob(GlobInput),
    /// A search in files (`grep`).
    Grep(GrepInput),
    /// A question to a language server (`lsp`).
    Lsp(LspInput),
    /// A permission about which OpenCode gives no data, or one that this version of the crate does
    /// not know, such as those of plugins and MCP servers. The data are a JSON object.
    Other(RawJson),
    /// A call that the model makes for the third time in a row with the same arguments
    /// (`doom_loop`).
    #[non_exhaustive]
    RepeatedCall {
        /// Name of the repeated tool.
        tool: String,
        /// Arguments of the repeated call.
        input: RawJson,
    },
    /// A prompt to a subagent (permission `task`).
    #[non_exhaustive]
    Task {
        /// The task in a few words.
        description: String,
        /// Name of the agent that gets the task.
        subagent_type: String,
    },
    /// A request to a web page (`webfetch`).
    WebFetch(WebFetchInput),
    /// A search of the web (`websearch`).
    WebSearch(WebSearchInput),
}

/// A change of files that waits for a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProposedEdit {
    /// The file, an absolute path; with `apply_patch`, all files with commas between them.
    pub file_path: String,
    /// The change, as a unified diff.
    pub diff: String,
    /// The files of `apply_patch`; empty for `edit` and `write`.
    pub files: Vec<PatchedFile>,
}

/// Files outside of the project that a tool wants to use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExternalDirectory {
    /// The file that a file tool names.
    pub file_path: Option<String>,
    /// Directory that contains the file.
    pub parent_directory: Option<String>,
    /// The command line of `bash`.
    pub command: Option<String>,
    /// Directories that the command line names.
    pub directories: Option<Vec<String>>,
}

impl PermissionRequest {
    /// Decodes the data about the request. [`metadata`](Self::metadata) has them as JSON.
    ///
    /// ```
    /// use opencode_proto::{PermissionDetails, ServerEvent, ServerEventKind};
    ///
    /// let event = r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1",
    ///     "permission":"edit","patterns":["a.txt"],"always":["*"],
    ///     "metadata":{"filepath":"/srv/a.txt","diff":"-one\n+two\n"}}}"#;
    /// let ServerEventKind::PermissionAsked(ask) = ServerEvent::decode(event.into()).kind else {
    ///     panic!()
    /// };
    /// let PermissionDetails::Edit(edit) = ask.decode_metadata()? else { panic!() };
    /// assert_eq!((&*edit.file_path, &*edit.diff), ("/srv/a.txt", "-one\n+two\n"));
    /// # Ok::<(), opencode_proto::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The permission is one of OpenCode's own, and the data have another shape than OpenCode's.
    pub fn decode_metadata(&self) -> Result<PermissionDetails, DecodeError> {
        let subject = || format!("metadata of permission `{}`", self.permission);
        let raw = raw_value(self.metadata.as_ref());
        let is_empty = Fields::of(raw).is_ok_and(|fields| fields.is_empty());
        // Requests from plugins may have the name of a permission and no data.
        let permission = if is_empty { "" } else { &*self.permission };
        self.details(permission, raw).map_err(|error| error.into_error(&subject()))
    }

    /// Returns the change of files that the request is about, as a unified diff; `None` for another
    /// permission than `edit`, and for data without a diff.
    pub fn diff(&self) -> Option<String> {
        match self.decode_metadata() {
            Ok(PermissionDetails::Edit(edit)) => Some(edit.diff),
            Ok(_) | Err(_) => None,
        }
    }

    fn details(&self, permission: &str, raw: &RawValue) -> Result<PermissionDetails, Misshape> {
        Ok(match permission {
            "bash" => PermissionDetails::Bash { command: Fields::of(raw)?.get("command")? },
            "doom_loop" => {
                let fields = Fields::of(raw)?;
                PermissionDetails::RepeatedCall {
                    tool: fields.get("tool")?,
                    input: fields.get("input")?,
                }
            }
            "edit" => PermissionDetails::Edit(read(raw)?),
            "external_directory" => PermissionDetails::ExternalDirectory(read(raw)?),
            "glob" => PermissionDetails::Glob(read(raw)?),
            "grep" => PermissionDetails::Grep(read(raw)?),
            "lsp" => PermissionDetails::Lsp(read(raw)?),
            "task" => {
                let fields = Fields::of(raw)?;
                PermissionDetails::Task {
                    description: fields.get("description")?,
                    subagent_type: fields.get("subagent_type")?,
                }
            }
            "webfetch" => PermissionDetails::WebFetch(read(raw)?),
            "websearch" => PermissionDetails::WebSearch(read(raw)?),
            _ => PermissionDetails::Other(read(raw)?),
        })
    }
}

impl ToolValue for ProposedEdit {
    fn read(raw: &RawValue) -> Result<Self, Misshape> {
        let fields = Fields::of(raw)?;
        Ok(Self {
            file_path: fields.get("filepath")?,
            diff: fields.get("diff")?,
            files: fields.get::<Option<_>>("files")?.unwrap_or_default(),
        })
    }
}

tool_value!(ExternalDirectory {
    file_path: "filepath",
    parent_directory: "parentDir",
    command: "command",
    directories: "directories",
});
