//! What an ask would read and write.

use std::path::{Path, PathBuf};

use opencode_proto::PermissionRequest;
use serde_json::Value;

use super::place::lexical;

#[cfg(test)]
mod tests;

/// Where a session works, as its server says.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// What relative paths of tools are relative to.
    pub(super) directory: PathBuf,
    /// What the patterns of asks, and the files that prompts mention, are relative to.
    pub(super) worktree: PathBuf,
    pub(super) home: Option<PathBuf>,
}

/// Absolute paths, links and `..` not followed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) reads: Vec<PathBuf>,
    pub(super) writes: Vec<PathBuf>,
    /// Another ask follows that says what for.
    pub(super) either: Vec<PathBuf>,
    /// Files that a prompt mentions: read if they are there.
    pub(super) mentions: Vec<PathBuf>,
}

/// Whether the arguments of the tool call are needed, since the ask does not tell all.
pub(super) fn needs_input(request: &PermissionRequest) -> bool {
    match request.permission.as_str() {
        "read" => !is_resource(request, &metadata(request)),
        "task" => true,
        _ => false,
    }
}

/// What the ask would use; `None` when that is not clear.
pub(super) fn footprint(
    request: &PermissionRequest,
    input: Option<&Value>,
    base: &Base,
) -> Option<Footprint> {
    let metadata = metadata(request);
    let patterns = || request.patterns.iter().map(|pattern| base.worktree.join(pattern));
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let mut footprint = Footprint::default();
    match request.permission.as_str() {
        "edit" => footprint.writes = written(&metadata, patterns())?,
        "external_directory" => footprint.either = external(request, &metadata)?,
        "glob" | "grep" | "list" => {
            let path = text(&metadata, "path").unwrap_or_default();
            footprint.reads.push(base.directory.join(path));
        }
        "lsp" => {
            let path = text(&metadata, "filePath");
            footprint.reads.extend(path.map(|path| base.directory.join(path)));
        }
        "read" if is_resource(request, &metadata) => {}
        "read" => {
            // The pattern has lost its `..`; the system would have followed them.
            let path = base.directory.join(text(input?, "filePath")?);
            if patterns().any(|pattern| lexical(&pattern) != lexical(&path)) {
                return None;
            }
            footprint.reads.push(path);
        }
        "task" => footprint.mentions = mentions(&text(input?, "prompt")?, base)?,
        _ => {}
    }
    Some(footprint)
}

/// The session that a `task` call goes on with in place of a new one.
pub(super) fn resumed(input: &Value) -> Option<&str> {
    input.get("task_id")?.as_str()
}

fn metadata(request: &PermissionRequest) -> Value {
    let metadata = request.metadata.as_ref().and_then(|metadata| metadata.decode().ok());
    metadata.unwrap_or_default()
}

/// Something of an MCP server, which is no file.
fn is_resource(request: &PermissionRequest, metadata: &Value) -> bool {
    metadata.get("server").is_some()
        && request.patterns.iter().all(|pattern| pattern.starts_with("mcp:"))
}

/// `edit` and `write` name one file as it was given, `apply_patch` names all, and where they move to.
fn written(metadata: &Value, patterns: impl Iterator<Item = PathBuf>) -> Option<Vec<PathBuf>> {
    let path = |value: &Value| value.as_str().map(PathBuf::from);
    let mut paths: Vec<PathBuf> = patterns.collect();
    match metadata.get("files") {
        Some(files) => {
            for file in files.as_array()? {
                paths.push(path(file.get("filePath")?)?);
                if let Some(target) = file.get("movePath") {
                    paths.push(path(target)?);
                }
            }
        }
        None => paths.push(path(metadata.get("filepath")?)?),
    }
    paths.iter().all(|path| path.is_absolute()).then_some(paths)
}

fn external(request: &PermissionRequest, metadata: &Value) -> Option<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = match (metadata.get("filepath"), metadata.get("directories")) {
        (Some(path), _) => vec![path.as_str()?.into()],
        (None, Some(directories)) => {
            let names = directories.as_array()?.iter().map(Value::as_str);
            names.map(|name| name.map(PathBuf::from)).collect::<Option<_>>()?
        }
        (None, None) => {
            let directory = |pattern: &String| pattern.strip_suffix("/*").map(PathBuf::from);
            request.patterns.iter().map(directory).collect::<Option<_>>()?
        }
    };
    paths.iter().all(|path| path.is_absolute()).then_some(paths)
}

/// The files that OpenCode puts into a subagent's prompt without asking: what follows an `@` that follows no letter.
fn mentions(prompt: &str, base: &Base) -> Option<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (at, _) in prompt.match_indices('@') {
        let before = prompt[..at].chars().next_back();
        if before.is_some_and(|char| char.is_ascii_alphanumeric() || "_`".contains(char)) {
            continue;
        }
        let mention = mention(&prompt[at + 1..]);
        if !mention.is_empty() {
            let path = match mention.strip_prefix("~/") {
                Some(rest) => base.home.as_ref()?.join(rest),
                None => base.worktree.join(mention),
            };
            paths.push(path);
        }
    }
    Some(paths)
}

/// The start of a text, up to what ends a mention. A dot belongs to it at the start and before something.
fn mention(text: &str) -> &str {
    let ends = |char: char| char.is_whitespace() || "\u{feff}`,.".contains(char);
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

/// Whether there is something at a path, or nobody can tell.
pub(super) fn may_be_there(path: &Path) -> bool {
    !matches!(path.metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}
