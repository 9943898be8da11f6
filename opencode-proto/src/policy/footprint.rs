//! Files that a tool call would read and write, as the permission request and the arguments name
//! them.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::ServerPaths;
use crate::{PermissionRequest, RawJson, SessionId};

#[cfg(test)]
mod tests;

/// Files of one permission request. Absolute paths, before any link or `..` is followed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) reads: Vec<PathBuf>,
    pub(super) writes: Vec<PathBuf>,
    /// Files of a request that another one follows, which shows whether they are read or written.
    pub(super) either: Vec<PathBuf>,
    /// Files that a subagent's prompt mentions. OpenCode reads those that exist.
    pub(super) mentions: Vec<PathBuf>,
}

/// Arguments of a tool call, as far as a policy looks at them.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) struct CallArguments {
    /// File of `read`.
    #[serde(default, rename = "filePath")]
    file_path: Option<String>,
    /// Command line of `bash`.
    #[serde(default)]
    pub(super) command: Option<String>,
    /// Prompt of `task`.
    #[serde(default)]
    prompt: Option<String>,
    /// Session that a `task` call resumes instead of creating a new one.
    #[serde(default)]
    task_id: Option<String>,
}

/// Whether a policy needs the arguments of the tool call: the request does not name everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Arguments,
    RequestOnly,
}

impl Needs {
    pub(super) fn of(request: &PermissionRequest) -> Self {
        match &*request.permission {
            "read" if is_resource(request) => Self::RequestOnly,
            "read" | "task" => Self::Arguments,
            _ => Self::RequestOnly,
        }
    }
}

impl CallArguments {
    /// Reads the arguments. Arguments of another form than OpenCode's are `None`.
    pub(super) fn read(input: &RawJson) -> Option<Self> {
        input.decode().ok()
    }

    pub(super) fn resumed_session(&self) -> Option<SessionId> {
        self.task_id.as_deref().map(SessionId::from)
    }
}

impl Footprint {
    /// Returns the files of a request; `None` when they cannot be determined.
    pub(super) fn of(
        request: &PermissionRequest,
        arguments: &CallArguments,
        paths: &ServerPaths,
    ) -> Option<Self> {
        let (directory, worktree) = (Path::new(&paths.directory), Path::new(&paths.worktree));
        let patterns = || request.patterns.iter().map(|pattern| worktree.join(pattern));
        let mut footprint = Self::default();
        match &*request.permission {
            "edit" => footprint.writes = written(request, patterns())?,
            "external_directory" => footprint.either = external(request)?,
            "glob" | "grep" | "list" => {
                let SearchMetadata { path } = metadata(request)?;
                footprint.reads.push(directory.join(path.unwrap_or_default()));
            }
            "lsp" => {
                let LspTarget { file_path } = metadata(request)?;
                // A search for symbols names no file, and finds them in the whole repository.
                let whole = if worktree == Path::new("/") { directory } else { worktree };
                let path = file_path.map_or_else(|| whole.into(), |path| directory.join(path));
                footprint.reads.push(path);
            }
            "read" if is_resource(request) => {}
            "read" => {
                // The pattern has lost the `..`, which the operating system would have followed.
                let path = directory.join(arguments.file_path.as_deref()?);
                if patterns().any(|pattern| lexical(&pattern) != lexical(&path)) {
                    return None;
                }
                footprint.reads.push(path);
            }
            "task" => footprint.mentions = mentions(arguments.prompt.as_deref()?, paths)?,
            _ => {}
        }
        Some(footprint)
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self { reads, writes, either, mentions } = self;
        [reads, writes, either, mentions].iter().all(|paths| paths.is_empty())
    }
}

#[derive(Default, Deserialize)]
struct SearchMetadata {
    #[serde(default)]
    path: Option<String>,
}

#[derive(Default, Deserialize)]
struct LspTarget {
    #[serde(default, rename = "filePath")]
    file_path: Option<String>,
}

#[derive(Default, Deserialize)]
struct EditTarget {
    #[serde(default)]
    filepath: Option<PathBuf>,
    #[serde(default)]
    files: Option<Vec<PatchTarget>>,
}

#[derive(Deserialize)]
struct PatchTarget {
    #[serde(rename = "filePath")]
    file_path: PathBuf,
    #[serde(default, rename = "movePath")]
    move_path: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
struct ExternalMetadata {
    #[serde(default)]
    filepath: Option<PathBuf>,
    #[serde(default)]
    directories: Option<Vec<PathBuf>>,
}

#[derive(Default, Deserialize)]
struct ResourceMetadata<'a> {
    #[serde(borrow, default)]
    server: Option<&'a RawValue>,
}

/// Reads the metadata of a request. Metadata of another form than OpenCode's is `None`.
fn metadata<'a, T: Default + Deserialize<'a>>(request: &'a PermissionRequest) -> Option<T> {
    let Some(metadata) = &request.metadata else { return Some(T::default()) };
    Some(metadata.decode::<Option<T>>().ok()?.unwrap_or_default())
}

/// Returns whether the request is for a resource of an MCP server, which is not a file.
fn is_resource(request: &PermissionRequest) -> bool {
    metadata(request).is_some_and(|ResourceMetadata { server }| server.is_some())
        && request.patterns.iter().all(|pattern| pattern.starts_with("mcp:"))
}

/// `edit` and `write` name one file as it was given. `apply_patch` names all files, and where it
/// moves them.
fn written(
    request: &PermissionRequest,
    patterns: impl Iterator<Item = PathBuf>,
) -> Option<Vec<PathBuf>> {
    let EditTarget { filepath, files } = metadata(request)?;
    let mut paths: Vec<PathBuf> = patterns.collect();
    match files {
        Some(files) => {
            for PatchTarget { file_path, move_path } in files {
                paths.push(file_path);
                paths.extend(move_path);
            }
        }
        None => paths.push(filepath?),
    }
    paths.iter().all(|path| path.is_absolute()).then_some(paths)
}

fn external(request: &PermissionRequest) -> Option<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = match metadata(request)? {
        ExternalMetadata { filepath: Some(path), .. } => vec![path],
        ExternalMetadata { directories: Some(directories), .. } => directories,
        ExternalMetadata { filepath: None, directories: None } => {
            let directory = |pattern: &String| pattern.strip_suffix("/*").map(PathBuf::from);
            request.patterns.iter().map(directory).collect::<Option<_>>()?
        }
    };
    paths.iter().all(|path| path.is_absolute()).then_some(paths)
}

/// Returns the files that OpenCode puts into a subagent's prompt without asking: the text behind
/// each `@` that follows no letter.
fn mentions(prompt: &str, paths: &ServerPaths) -> Option<Vec<PathBuf>> {
    let mut mentioned = Vec::new();
    for (at, _) in prompt.match_indices('@') {
        let before = prompt[..at].chars().next_back();
        if before.is_some_and(|char| char.is_ascii_alphanumeric() || "_`".contains(char)) {
            continue;
        }
        let mention = mention(&prompt[at + 1..]);
        if !mention.is_empty() {
            let path = match mention.strip_prefix("~/") {
                Some(rest) => Path::new(paths.home.as_deref()?).join(rest),
                None => Path::new(&paths.worktree).join(mention),
            };
            mentioned.push(path);
        }
    }
    Some(mentioned)
}

/// Returns the start of a text, up to the end of a mention. A dot belongs to a mention at the start
/// and in front of more text.
fn mention(text: &str) -> &str {
    let ends = |char: char| is_js_space(char) || "`,.".contains(char);
    let run = |text: &str| text.find(ends).unwrap_or(text.len());
    let start = usize::from(text.starts_with('.'));
    let mut end = start + run(&text[start..]);
    while let Some(rest) = text[end..].strip_prefix('.') {
        match run(rest) {
            0 => break,
            length => end += 1 + length,
        }
    }
    &text[..end]
}

/// Returns whether `\s` of JavaScript matches, by which OpenCode splits mentions.
fn is_js_space(char: char) -> bool {
    (char.is_whitespace() && char != '\u{85}') || char == '\u{feff}'
}

/// Returns the path with every `..` applied to the text: the name in front is removed.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir | Component::Prefix(_) | Component::RootDir => {}
        }
    }
    plain
}
