//! Differences between two schemas, field by field.

use std::collections::BTreeSet;

use opencode_config::Json;

/// Longest text of a type in a report.
const TEXT_MAX: usize = 120;

/// Compares two schemas at this place.
pub(super) fn compare(place: &str, old: &Json, new: &Json, details: &mut Vec<String>) {
    if old == new {
        return;
    }
    let count = details.len();
    if is_object(old) && is_object(new) {
        compare_fields(place, old, new, details);
    } else if let (Some(before), Some(now)) = (texts(old), texts(new)) {
        for value in before.difference(&now) {
            details.push(format!("{}value `{value}` is gone", at(place)));
        }
        for value in now.difference(&before) {
            details.push(format!("{}value `{value}` is new", at(place)));
        }
    } else if let (Some(before), Some(now)) = (variants(old), variants(new)) {
        for variant in before.iter().filter(|variant| !now.contains(variant)) {
            details.push(format!("{}variant {} is gone", at(place), text(variant)));
        }
        for variant in now.iter().filter(|variant| !before.contains(variant)) {
            details.push(format!("{}variant {} is new", at(place), text(variant)));
        }
    } else if let (Some(before), Some(now)) = (old.get("items"), new.get("items")) {
        compare(&format!("{place}[]"), before, now, details);
    }
    if details.len() == count {
        details.push(format!("{}{} is now {}", at(place), text(old), text(new)));
    }
}

fn compare_fields(place: &str, old: &Json, new: &Json, details: &mut Vec<String>) {
    let (before, now) = (old.get("properties"), new.get("properties"));
    let field = |name: &str| {
        if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
    };
    let names: BTreeSet<&str> = keys(before).chain(keys(now)).collect();
    for name in names {
        let (is_required, was_required) = (requires(new, name), requires(old, name));
        let get = |fields: Option<&'_ Json>| fields.and_then(|fields| fields.get(name)).cloned();
        match (get(before), get(now)) {
            (Some(_), None) => details.push(format!("field `{}` is gone", field(name))),
            (None, Some(_)) => {
                let required = if is_required { ", and required" } else { "" };
                details.push(format!("field `{}` is new{required}", field(name)));
            }
            (Some(old), Some(new)) => {
                match (was_required, is_required) {
                    (false, true) => {
                        details.push(format!("field `{}` is required now", field(name)));
                    }
                    (true, false) => {
                        details.push(format!("field `{}` is optional now", field(name)));
                    }
                    (true, true) | (false, false) => {}
                }
                compare(&field(name), &old, &new, details);
            }
            (None, None) => {}
        }
    }
}

fn at(place: &str) -> String {
    match place {
        "" => String::new(),
        _ if place.contains(' ') => format!("{place}: "),
        _ => format!("`{place}`: "),
    }
}

fn is_object(schema: &Json) -> bool {
    schema.get("properties").is_some()
}

fn keys(fields: Option<&Json>) -> impl Iterator<Item = &str> {
    fields.and_then(Json::as_object).into_iter().flat_map(|fields| fields.keys())
}

fn requires(schema: &Json, name: &str) -> bool {
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    required.filter_map(Json::as_str).any(|required| required == name)
}

fn texts(schema: &Json) -> Option<BTreeSet<&str>> {
    Some(schema.get("enum")?.as_array()?.iter().filter_map(Json::as_str).collect())
}

fn variants(schema: &Json) -> Option<&[Json]> {
    schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()
}

/// Returns a short text for a type.
fn text(schema: &Json) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        return format!("`{}`", reference.rsplit('/').next().unwrap_or(reference));
    }
    if let Some(name) = schema.get("type").and_then(Json::as_str)
        && schema.as_object().is_some_and(|object| object.len() == 1)
    {
        return format!("`{name}`");
    }
    let mut text = schema.to_string();
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}
