//! The text of one file, and what the text needs from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::homes;
use crate::types::{RustType, names};

/// Widest line of a comment.
const WIDTH: usize = 100;

/// Content of a file without its head.
#[derive(Default)]
pub(crate) struct Writing {
    text: String,
    /// Types of this crate in the text.
    pub(crate) names: BTreeSet<String>,
    /// Types that the text defines.
    items: BTreeSet<String>,
}

impl Writing {
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes a documentation comment, wrapped.
    pub(crate) fn doc(&mut self, indent: usize, text: &str) {
        self.text.push_str(&doc("///", indent, text));
    }

    /// Notes a type that the text names.
    pub(crate) fn uses(&mut self, rust: &RustType) {
        self.names.extend(names(rust));
    }

    /// Notes a type that the text defines.
    pub(crate) fn defines(&mut self, name: &str) {
        self.items.insert(name.to_owned());
    }

    pub(crate) fn items(&self) -> Vec<String> {
        self.items.iter().cloned().collect()
    }

    /// Returns the whole file.
    pub(crate) fn file(
        &self,
        file: &str,
        children: &[(&str, Vec<String>)],
        homes: &BTreeMap<String, String>,
    ) -> String {
        let mut head = doc("//!", 0, &about(file));
        head.push('\n');
        for (child, _) in children {
            head += &format!("mod {child};\n");
        }
        head.push('\n');
        let re_exported: BTreeSet<&String> = children.iter().flat_map(|(_, items)| items).collect();
        let mut imports: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (path, name) in self.foreign_names() {
            imports.entry(path.to_owned()).or_default().push(name);
        }
        for name in self.names.iter().filter(|name| !self.items.contains(*name)) {
            if !re_exported.contains(name) {
                imports.entry(path(file, &homes[name])).or_default().push(name);
            }
        }
        let (own, others): (Vec<_>, Vec<_>) = imports
            .into_iter()
            .partition(|(path, _)| path.starts_with("crate") || path.starts_with("super"));
        for group in [others, own] {
            for (path, names) in group {
                head += &format!("use {path}::{{{}}};\n", names.join(", "));
            }
            head.push('\n');
        }
        for (child, items) in children {
            head += &format!("pub use {child}::{{{}}};\n", items.join(", "));
        }
        if file == "event" {
            head += "pub use crate::envelope::{\n    Event, EventPosition, GlobalEvent, \
                     GlobalPayload, NextEvent, StoredEvent, SyncEvent,\n};\n";
        }
        format!("{head}\n{}", self.text)
    }

    /// Names of other crates and of support code in the text.
    fn foreign_names(&self) -> Vec<(&'static str, &'static str)> {
        let code: Vec<&str> =
            self.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let words: BTreeSet<&str> =
            code.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
        let known = [
            ("bytes", "Bytes"),
            ("opencode_config", "Json"),
            ("opencode_config", "JsonObject"),
            ("opencode_proto", "CallId"),
            ("opencode_proto", "MessageId"),
            ("opencode_proto", "PartId"),
            ("opencode_proto", "PermissionId"),
            ("opencode_proto", "QuestionId"),
            ("opencode_proto", "SessionId"),
            ("crate::call", "Call"),
            ("crate::call", "in_directory"),
            ("crate::call", "in_location"),
            ("crate::call", "operation"),
            ("crate::json", "OrderedMap"),
            ("crate::json", "hidden_debug"),
            ("crate::json", "json_enum"),
            ("crate::json", "json_events"),
            ("crate::json", "json_struct"),
            ("crate::json", "json_union"),
            ("crate::json", "json_variants"),
        ];
        known.into_iter().filter(|(_, name)| words.contains(name)).collect()
    }
}

/// Returns the path to the types of `home`, for code in `file`.
fn path(file: &str, home: &str) -> String {
    let (own, other) = (homes::group(file), homes::group(home));
    if own != other {
        return format!("crate::{}", other.replace('/', "::"));
    }
    match home.strip_prefix(&format!("{own}/")) {
        Some(child) => format!("super::{}", child.replace('/', "::")),
        None => "super".to_owned(),
    }
}

fn about(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file).replace('_', " ");
    match file.split('/').next() {
        Some("shared") => "Types that several groups have in common.".to_owned(),
        Some("event") if file != "event" => format!("Events: {name}."),
        Some("next") => format!("Operations and types of the group `{name}` below `/api`."),
        Some(group) if group != file => format!("Group `{group}`: {name}."),
        _ => format!("Operations and types of the group `{name}`."),
    }
}

/// Returns a comment, wrapped.
pub(crate) fn doc(mark: &str, indent: usize, text: &str) -> String {
    let start = format!("{}{mark}", " ".repeat(indent));
    let mut comment = String::new();
    for paragraph in text.split('\n') {
        let mut line = start.clone();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line != start {
                comment += &line;
                comment.push('\n');
                line.clone_from(&start);
            }
            line.push(' ');
            line += word;
        }
        comment += &line;
        comment.push('\n');
    }
    comment
}

/// Returns items with commas, wrapped and indented by four spaces.
pub(crate) fn wrapped(items: &[String]) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for item in items {
        if !line.is_empty() && 5 + line.len() + 1 + item.len() > WIDTH {
            text += &format!("    {line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += &format!("{item},");
    }
    if !line.is_empty() {
        text += &format!("    {line}\n");
    }
    text
}

/// Returns the invocation of a macro with items, on one line if it fits.
pub(crate) fn invocation(head: &str, items: &[String]) -> String {
    let single: String = items.iter().map(|item| format!("{item}, ")).collect();
    let single = format!("{head} {{ {single}}});\n");
    if items.is_empty() {
        return format!("{head} {{}});\n");
    }
    if single.len() <= WIDTH + 1 {
        return single;
    }
    format!("{head} {{\n{}}});\n", wrapped(items))
}
