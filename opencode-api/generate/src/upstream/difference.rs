//! Differences between two documents, by operation, event type, schema and permission.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use opencode_config::Json;

use super::shape::compare;

/// One difference.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    pub(super) change: Change,
    /// The name for people.
    pub(super) name: String,
    /// The text by which uses are found in sources.
    pub(super) search: String,
    pub(super) details: Vec<String>,
}

/// Kind of the thing that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Operation,
    Event,
    Schema,
    Permission,
    Flag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Changed,
    Removed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Event => "event",
            Self::Schema => "schema",
            Self::Permission => "permission",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.change {
            Change::Added => '+',
            Change::Changed => '~',
            Change::Removed => '-',
        };
        write!(f, "{sign} {} {}", self.kind.as_str(), self.name)?;
        match &self.details[..] {
            [] => Ok(()),
            [detail] => write!(f, ": {detail}"),
            details => details.iter().try_for_each(|detail| write!(f, "\n    {detail}")),
        }
    }
}

/// Compares two documents in the form of pins.
pub(super) fn differences(old: &Json, new: &Json) -> Vec<Difference> {
    let mut found = Vec::new();
    compare_maps(
        Kind::Operation,
        &operations(old),
        &operations(new),
        compare_operations,
        &mut found,
    );
    compare_maps(Kind::Event, &events(old), &events(new), compare_schemas, &mut found);
    compare_maps(Kind::Schema, &schemas(old), &schemas(new), compare_schemas, &mut found);
    let (before, now) = (permissions(old), permissions(new));
    for name in before.symmetric_difference(&now) {
        let change = if now.contains(name) { Change::Added } else { Change::Removed };
        let (name, search) = ((*name).to_owned(), (*name).to_owned());
        found.push(Difference {
            kind: Kind::Permission,
            change,
            name,
            search,
            details: Vec::new(),
        });
    }
    found
}

fn compare_maps(
    kind: Kind,
    old: &BTreeMap<String, &Json>,
    new: &BTreeMap<String, &Json>,
    compare: fn(&Json, &Json) -> Vec<String>,
    found: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (change, details) = match (old.get(name), new.get(name)) {
            (Some(_), None) => (Change::Removed, Vec::new()),
            (None, Some(_)) => (Change::Added, Vec::new()),
            (Some(old), Some(new)) => match compare(old, new) {
                details if details.is_empty() => continue,
                details => (Change::Changed, details),
            },
            (None, None) => continue,
        };
        let search = name.clone();
        found.push(Difference { kind, change, name: name.clone(), search, details });
    }
}

/// Operations, by method and path.
fn operations(document: &Json) -> BTreeMap<String, &Json> {
    let mut found = BTreeMap::new();
    for (path, methods) in entries(document.get("paths")) {
        for (method, operation) in entries(Some(methods)) {
            found.insert(format!("{} {path}", method.to_uppercase()), operation);
        }
    }
    found
}

/// Unions of events, with the name of the stream.
const UNIONS: [&str; 2] = ["Event", "V2Event"];

/// Events of all streams, by type. Those of the second generation have `/api/event` with them.
fn events(document: &Json) -> BTreeMap<String, &Json> {
    let mut found = BTreeMap::new();
    for (union, name) in UNIONS.iter().flat_map(|union| variants(document, union)) {
        let Some(schema) = component(document, name) else { continue };
        let Some(event_type) = event_type(schema) else { continue };
        let suffix = if union == UNIONS[0] { "" } else { " of /api/event" };
        found.insert(format!("{event_type}{suffix}"), schema);
    }
    found
}

/// Schemas that are no events, by name.
fn schemas(document: &Json) -> BTreeMap<String, &Json> {
    let events: BTreeSet<&str> =
        UNIONS.iter().flat_map(|union| variants(document, union)).map(|(_, name)| name).collect();
    let schemas = entries(document.get("components").and_then(|of| of.get("schemas")));
    schemas
        .filter(|(name, _)| !events.contains(name) && !UNIONS.contains(name))
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// Names of permissions that a configuration can set.
fn permissions(document: &Json) -> BTreeSet<&str> {
    let schema = component(document, "PermissionConfig");
    let variants = schema.and_then(|schema| schema.get("anyOf")).and_then(Json::as_array);
    let forms = variants.into_iter().flatten().chain(schema);
    forms.flat_map(|form| entries(form.get("properties"))).map(|(name, _)| name).collect()
}

fn variants<'a>(document: &'a Json, union: &'a str) -> Vec<(&'a str, &'a str)> {
    let variants = component(document, union).and_then(|schema| schema.get("anyOf"));
    let variants = variants.and_then(Json::as_array).into_iter().flatten();
    let name = |variant: &'a Json| variant.get("$ref")?.as_str()?.rsplit('/').next();
    variants.filter_map(name).map(|name| (union, name)).collect()
}

fn event_type(schema: &Json) -> Option<&str> {
    let values = schema.get("properties")?.get("type")?.get("enum")?;
    values.as_array()?.first()?.as_str()
}

fn component<'a>(document: &'a Json, name: &str) -> Option<&'a Json> {
    document.get("components")?.get("schemas")?.get(name)
}

fn compare_schemas(old: &Json, new: &Json) -> Vec<String> {
    let mut details = Vec::new();
    compare("", old, new, &mut details);
    details
}

fn compare_operations(old: &Json, new: &Json) -> Vec<String> {
    let mut details = Vec::new();
    let id = |operation: &Json| {
        operation.get("operationId").and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    if id(old) != id(new) {
        details.push(format!("operation id `{}` is now `{}`", id(old), id(new)));
    }
    compare_parameters(old, new, &mut details);
    match (body(old), body(new)) {
        (None, Some(_)) => details.push("a body is sent now".to_owned()),
        (Some(_), None) => details.push("no body is sent any more".to_owned()),
        (Some(old), Some(new)) => compare("body", old, new, &mut details),
        (None, None) => {}
    }
    let (before, now) = (replies(old), replies(new));
    let statuses: BTreeSet<&&str> = before.keys().chain(now.keys()).collect();
    for status in statuses {
        match (before.get(*status), now.get(*status)) {
            (None, Some(_)) => details.push(format!("status {status} is new")),
            (Some(_), None) => details.push(format!("status {status} is gone")),
            (Some(old), Some(new)) => {
                compare(&format!("reply {status}"), old, new, &mut details);
            }
            (None, None) => {}
        }
    }
    details
}

fn compare_parameters(old: &Json, new: &Json, details: &mut Vec<String>) {
    let (before, now) = (parameters(old), parameters(new));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        match (before.get(name), now.get(name)) {
            (Some(_), None) => details.push(format!("{name} is gone")),
            (None, Some(new)) => {
                let required = if is_required(new) { ", and required" } else { "" };
                details.push(format!("{name} is new{required}"));
            }
            (Some(old), Some(new)) => {
                match (is_required(old), is_required(new)) {
                    (false, true) => details.push(format!("{name} is required now")),
                    (true, false) => details.push(format!("{name} is optional now")),
                    (true, true) | (false, false) => {}
                }
                if let (Some(old), Some(new)) = (old.get("schema"), new.get("schema")) {
                    compare(name, old, new, details);
                }
            }
            (None, None) => {}
        }
    }
}

/// Parameters, by place and name.
fn parameters(operation: &Json) -> BTreeMap<String, &Json> {
    let parameters = operation.get("parameters").and_then(Json::as_array).into_iter().flatten();
    let named = parameters.filter_map(|parameter| {
        let place = parameter.get("in")?.as_str()?;
        let name = parameter.get("name")?.as_str()?;
        Some((format!("{place} parameter `{name}`"), parameter))
    });
    named.collect()
}

fn is_required(parameter: &Json) -> bool {
    parameter.get("required").and_then(Json::as_bool) == Some(true)
}

fn body(operation: &Json) -> Option<&Json> {
    content(operation.get("requestBody")?)
}

fn replies(operation: &Json) -> BTreeMap<&str, &Json> {
    let replies = entries(operation.get("responses"));
    replies.map(|(status, reply)| (status, content(reply).unwrap_or(reply))).collect()
}

fn content(holder: &Json) -> Option<&Json> {
    entries(holder.get("content")).next()?.1.get("schema")
}

fn entries(json: Option<&Json>) -> impl Iterator<Item = (&str, &Json)> {
    json.and_then(Json::as_object).into_iter().flatten()
}
