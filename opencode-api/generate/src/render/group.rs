//! Groups: short methods over one way of sending, by OpenCode's own names.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use super::operation::{SOCKETS, summary};
use super::writing::doc;
use super::{Body, OperationDef, full_text};
use crate::document::Reply;
use crate::types::RustType;
use crate::{homes, naming};

/// Groups by module: the method of the caller, and the file.
const GROUPS: [(&str, &str, &str); 46] = [
    ("agent", "agents", "settings"),
    ("auth", "auth", "settings"),
    ("command", "commands", "settings"),
    ("config", "config", "settings"),
    ("experimental", "experimental", "server"),
    ("file", "files", "project"),
    ("find", "find", "project"),
    ("formatter", "formatter", "settings"),
    ("global", "global", "server"),
    ("instance", "instance", "project"),
    ("log", "log", "server"),
    ("lsp", "lsp", "settings"),
    ("mcp", "mcp", "settings"),
    ("message", "messages", "session"),
    ("next/agent", "agents", "next"),
    ("next/command", "commands", "next"),
    ("next/credential", "credentials", "next"),
    ("next/fs", "fs", "next"),
    ("next/integration", "integrations", "next"),
    ("next/message", "messages", "next_session"),
    ("next/model", "models", "next"),
    ("next/permission", "permissions", "next_session"),
    ("next/project_copy", "project_copies", "next"),
    ("next/provider", "providers", "next"),
    ("next/pty", "ptys", "next"),
    ("next/question", "questions", "next_session"),
    ("next/reference", "references", "next"),
    ("next/server", "server", "next"),
    ("next/session", "sessions", "next_session"),
    ("next/skill", "skills", "next"),
    ("path", "path", "project"),
    ("permission", "permissions", "session"),
    ("project", "projects", "project"),
    ("provider", "providers", "settings"),
    ("pty", "ptys", "terminal"),
    ("question", "questions", "session"),
    ("session", "sessions", "session"),
    ("skill", "skills", "settings"),
    ("sync", "sync", "server"),
    ("tool", "tools", "settings"),
    ("tui", "tui", "terminal"),
    ("vcs", "vcs", "project"),
    ("workspace", "workspaces", "project"),
    ("worktree", "worktrees", "project"),
    ("event", "", ""),
    ("next/event", "", ""),
];

/// Names of methods where the name of the operation does not fit the group.
const METHODS: [(&str, &str); 18] = [
    ("app.agents", "list"),
    ("app.log", "write"),
    ("app.skills", "list"),
    ("session.deleteMessage", "delete"),
    ("session.message", "get"),
    ("session.messages", "list"),
    ("v2.health.get", "health"),
    ("v2.location.get", "location"),
    ("v2.session.context", "context"),
    ("v2.session.message", "get"),
    ("v2.session.messages", "list"),
    ("v2.session.permission.create", "create"),
    ("v2.session.permission.get", "get"),
    ("v2.session.permission.list", "list"),
    ("v2.session.permission.reply", "reply"),
    ("v2.session.question.list", "list"),
    ("v2.session.question.reject", "reject"),
    ("v2.session.question.reply", "reply"),
];

/// A group with the methods.
struct Group<'a> {
    module: &'static str,
    accessor: &'static str,
    methods: BTreeMap<String, &'a OperationDef<'a>>,
}

/// Files of groups, and the short method of each operation that has one.
pub(super) struct Groups {
    pub(super) files: BTreeMap<String, String>,
    pub(super) methods: Vec<(String, String)>,
}

/// Renders the groups.
pub(super) fn render(
    operations: &[OperationDef<'_>],
    homes: &BTreeMap<String, String>,
) -> Result<Groups, Box<dyn Error>> {
    let mut files: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
    let mut methods = Vec::new();
    for (module, accessor, file) in GROUPS.into_iter().filter(|(.., file)| !file.is_empty()) {
        let mut group = Group { module, accessor, methods: BTreeMap::new() };
        for operation in operations {
            let id = &operation.operation.id;
            if homes::group(homes::of_operation(id)) != module || is_endless(operation) {
                continue;
            }
            let name = method(id, module);
            let next = if module.starts_with("next/") { "next()." } else { "" };
            methods.push((id.clone(), format!("{next}{accessor}().{name}")));
            if group.methods.insert(name.clone(), operation).is_some() {
                return Err(format!("two methods {accessor}().{name}").into());
            }
        }
        files.entry(file).or_default().push(group);
    }
    let named: BTreeSet<&str> = methods.iter().map(|(id, _)| id.as_str()).collect();
    let missing = operations.iter().find(|operation| {
        !is_endless(operation) && !named.contains(operation.operation.id.as_str())
    });
    if let Some(missing) = missing {
        return Err(format!("{} has no group", missing.operation.id).into());
    }
    let mut rendered = BTreeMap::new();
    rendered.insert("groups.rs".to_owned(), root(&files));
    for (file, groups) in &files {
        rendered.insert(format!("groups/{file}.rs"), text(groups, homes));
    }
    methods.sort();
    Ok(Groups { files: rendered, methods })
}

/// Returns whether the reply to the operation has no end.
fn is_endless(def: &OperationDef<'_>) -> bool {
    let operation = def.operation;
    matches!(operation.reply, Reply::Events) || SOCKETS.contains(&&*operation.id)
}

/// `diff_raw`, of `vcs.diff.raw`.
fn method(id: &str, module: &str) -> String {
    if let Some((_, name)) = METHODS.iter().find(|(known, _)| *known == id) {
        return (*name).to_owned();
    }
    let id = id.strip_prefix("v2.").unwrap_or(id);
    let id = id.strip_prefix("experimental.").unwrap_or(id);
    let module = module.strip_prefix("next/").unwrap_or(module);
    let words = naming::words(id);
    let own = naming::words(module);
    let rest = words.strip_prefix(&own[..]).filter(|rest| !rest.is_empty()).unwrap_or(&words);
    rest.join("_")
}

fn type_of(module: &str) -> String {
    let next = if module.starts_with("next/") { "Next" } else { "" };
    format!("{next}{}Group", naming::pascal(module.strip_prefix("next/").unwrap_or(module)))
}

/// The traits with the methods that return groups.
fn root(files: &BTreeMap<&str, Vec<Group<'_>>>) -> String {
    let mut text = "//! Short methods for all operations whose reply has an end, by OpenCode's \
                    groups.\n\n"
        .to_owned();
    for file in files.keys() {
        text += &format!("mod {file};\n");
    }
    text += "\nuse opencode_proto::api::Caller;\n\n";
    for (file, groups) in files {
        let names: Vec<_> = groups.iter().map(|group| type_of(group.module)).collect();
        text += &format!("pub use {file}::{{{}}};\n", names.join(", "));
    }
    text += "pub use crate::group::NextGroups;\n\n";
    let mut all: Vec<&Group<'_>> = files.values().flatten().collect();
    all.sort_by_key(|group| group.accessor);
    let accessors = |is_next: bool| {
        let groups = all.iter().filter(move |group| group.module.starts_with("next/") == is_next);
        groups.map(|group| (group.accessor, group.module, type_of(group.module)))
    };
    text += &doc("///", 0, ABOUT);
    text += "pub trait Groups: Caller + Sized {\n";
    for (accessor, module, name) in accessors(false) {
        text += &doc("///", 4, &format!("Returns the operations of the group `{module}`."));
        text += &format!("fn {accessor}(&self) -> {name}<'_, Self> {{ {name}::new(self) }}\n\n");
    }
    text += "    /// Returns the groups below `/api`.\n";
    text += "fn next(&self) -> NextGroups<'_, Self> { NextGroups::new(self) }\n}\n\n";
    text += "impl<C: Caller> Groups for C {}\n\nimpl<'a, C: Caller> NextGroups<'a, C> {\n";
    for (accessor, module, name) in accessors(true) {
        let group = module.strip_prefix("next/").unwrap_or(module);
        text += &doc("///", 4, &format!("Returns the operations of the group `{group}`."));
        text += &format!(
            "pub fn {accessor}(&self) -> {name}<'a, C> {{ {name}::new(self.caller()) }}\n\n"
        );
    }
    text + "}\n"
}

const ABOUT: &str = "Short methods for all operations, on everything that carries out operations: \
                     `server.vcs().diff(..)`.\n\n\
                     A method takes the required values of the operation. For optional values, call \
                     the operation itself: `server.call(&FindFiles::new(\"main\").with_limit(10))`. \
                     A server of the async API returns futures, one of the blocking API returns the \
                     output.\n\n\
                     ```no_run\n\
                     # async fn example(server: opencode_tokio::Server) -> Result<(), opencode_tokio::CallError> {\n\
                     use opencode_api::Groups;\n\n\
                     let providers = server.providers().list().await?;\n\
                     println!(\"{:?}\", providers.connected);\n\
                     # Ok(())\n\
                     # }\n\
                     ```";

/// The groups of one file.
fn text(groups: &[Group<'_>], homes: &BTreeMap<String, String>) -> String {
    let names: Vec<_> = groups.iter().map(|group| format!("`{}`", group.accessor)).collect();
    let mut text = doc("//!", 0, &format!("Groups {}.", names.join(", ")));
    text += "\nuse opencode_proto::api::Caller;\n\nuse crate::group::group;\n\n";
    for group in groups {
        let name = type_of(group.module);
        let path = group.module.replace('/', "::");
        let about = format!("Operations of the group [`{path}`](crate::{path}).");
        text += &format!("group! {{\n{}    {name}\n}}\n\n", doc("///", 4, &about));
        text += &format!("impl<C: Caller> {name}<'_, C> {{\n");
        for (method, def) in &group.methods {
            text += &function(method, def, &path, homes);
        }
        text += "}\n\n";
    }
    text
}

fn function(
    method: &str,
    def: &OperationDef<'_>,
    path: &str,
    homes: &BTreeMap<String, String>,
) -> String {
    let operation = format!("crate::{path}::{}", def.name);
    let (act, request) = summary(def);
    let about = format!("{act} with the operation [`{}`]({operation}), `{request}`.", def.name);
    let (mut parameters, mut arguments) = (Vec::new(), Vec::new());
    for argument in def.required() {
        let rust = full_text(&argument.rust, homes);
        parameters.push(match &argument.rust {
            RustType::Id(_) | RustType::Text => format!("{}: impl Into<{rust}>", argument.name),
            _ => format!("{}: {rust}", argument.name),
        });
        arguments.push(argument.name.clone());
    }
    if let Body::Whole(rust) = &def.body {
        parameters.push(format!("body: {}", full_text(rust, homes)));
        arguments.push("body".to_owned());
    }
    format!(
        "{}pub fn {method}(&self, {}) -> C::Called<{operation}> {{\nself.carry_out({operation}::new({}))\n}}\n\n",
        doc("///", 4, &about),
        parameters.join(", "),
        arguments.join(", "),
    )
}
