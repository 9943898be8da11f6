//! Permission requests, replies and file systems for the tests of this module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::files::{FileFinding, FileQuestion};
use crate::PermissionRequest;
use crate::api::{ListPermissions, Operation, Pending};
use crate::call::ApiReply;

/// A permission request as a server lists it. `metadata` is JSON.
pub(crate) fn asked(
    permission: &str,
    patterns: &[&str],
    always: &[&str],
    metadata: &str,
) -> PermissionRequest {
    let call = r#"{"messageID":"msg_1","callID":"call_1"}"#;
    listed(&ask("per_1", "ses_1", permission, patterns, always, metadata, call)).remove(0).request
}

/// One entry of the reply to `GET /permission`.
pub(crate) fn ask(
    id: &str,
    session: &str,
    permission: &str,
    patterns: &[&str],
    always: &[&str],
    metadata: &str,
    tool: &str,
) -> String {
    let strings = |strings: &[&str]| {
        let strings: Vec<String> = strings.iter().map(|string| quoted(string)).collect();
        strings.join(",")
    };
    format!(
        r#"{{"id":"{id}","sessionID":"{session}","permission":"{permission}",
            "patterns":[{}],"always":[{}],"metadata":{metadata},"tool":{tool}}}"#,
        strings(patterns),
        strings(always),
    )
}

/// Reads entries of the reply to `GET /permission`.
pub(crate) fn listed(entries: &str) -> Vec<Pending<PermissionRequest>> {
    ListPermissions::new()
        .decode(Response::new(format!("[{entries}]").into()))
        .expect("permissions")
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

pub(crate) fn reply(body: impl Into<Bytes>) -> ApiReply {
    Ok(Response::new(body.into()))
}

pub(crate) fn status(status: u16, body: &str) -> ApiReply {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Ok(Response::builder().status(status).body(body).expect("a status"))
}

/// Any instant: no time passes but the time that a test adds.
#[expect(clippy::disallowed_methods, reason = "a test needs an instant to start from")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// A file system of links and files, looked up by text.
#[derive(Default)]
pub(crate) struct Links(BTreeMap<PathBuf, FileFinding>);

impl Links {
    /// The path leads to `real`.
    pub(crate) fn with(mut self, path: &str, real: FileFinding) -> Self {
        self.0.insert(path.into(), real);
        self
    }

    /// The finding of a path. Paths without links and `..` lead to themselves, and there is no
    /// repository.
    pub(crate) fn find(&self, path: &Path) -> FileFinding {
        let plain = || match path.file_name() {
            Some(name) if name == "HEAD" => FileFinding::absent(path),
            Some(_) | None => FileFinding::found(path),
        };
        self.0.get(path).cloned().unwrap_or_else(plain)
    }

    pub(crate) fn answer(&self, question: &FileQuestion) -> Vec<FileFinding> {
        question.paths.iter().map(|path| self.find(path)).collect()
    }
}
