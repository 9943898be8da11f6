//! Laying permission rules over others, so that the result decides like one list after the other.

use crate::{Json, JsonObject, wildcard_matches};

/// Merges objects whose keys are tools, each with an action or with actions by pattern.
pub(super) fn merge(mut base: JsonObject, over: JsonObject) -> JsonObject {
    for (key, rule) in over {
        if let Json::Object(patterns) = rule {
            add_patterns(&mut base, key, patterns);
        } else {
            // An action for the whole tool decides whatever came before.
            base.remove(&key);
            base.insert(key, rule);
        }
    }
    base
}

/// An object that has `action` for everything.
pub(super) fn star(action: Json) -> JsonObject {
    JsonObject::new().with("*", action)
}

fn add_patterns(rules: &mut JsonObject, key: String, patterns: JsonObject) {
    let Some(earlier) = rules.get(&key) else {
        rules.insert(key, patterns);
        return;
    };
    let between: Vec<_> = rules
        .iter()
        .skip_while(|(other, _)| *other != key)
        .skip(1)
        .filter(|(other, _)| may_meet(other, &key))
        .collect();
    let is_overruled =
        between.iter().any(|(other, rule)| rule.as_str().is_some() && covers(other, &key));
    let mut moved = JsonObject::new();
    if !is_overruled {
        if is_wild(&key)
            && !between.is_empty()
            && let Some(alike) = spelled_alike(&key, rules)
        {
            rules.insert(alike, patterns);
            return;
        }
        // The rules that the key moves behind must not be overruled by the earlier patterns.
        moved = as_patterns(earlier);
        for (_, rule) in between {
            moved = merge_patterns(moved, as_patterns(rule));
        }
    }
    rules.remove(&key);
    rules.insert(key, merge_patterns(moved, patterns));
}

/// Merges objects whose keys are patterns, the last match of which decides.
fn merge_patterns(mut base: JsonObject, over: JsonObject) -> JsonObject {
    for (pattern, action) in over {
        base.remove(&pattern);
        base.insert(pattern, action);
    }
    base
}

fn as_patterns(rule: &Json) -> JsonObject {
    match rule {
        Json::Object(patterns) => patterns.clone(),
        Json::String(_) => star(rule.clone()),
        Json::Array(_) | Json::Bool(_) | Json::Null | Json::Number(_) => JsonObject::new(),
    }
}

fn is_wild(key: &str) -> bool {
    key.contains(['*', '?'])
}

/// Whether a rule for `key` applies to every tool that `other` applies to.
fn covers(key: &str, other: &str) -> bool {
    // A `?` would take a `*` for one character.
    wildcard_matches(other, key) && !(is_wild(other) && key.contains('?'))
}

/// Whether rules for the two keys may apply to the same tool.
fn may_meet(key: &str, other: &str) -> bool {
    if !is_wild(key) || !is_wild(other) {
        return wildcard_matches(key, other) || wildcard_matches(other, key);
    }
    let start = |key: &str| key[..key.find(['*', '?', ' ', '\\']).unwrap_or(key.len())].to_owned();
    let (start, other) = (start(key), start(other));
    start.starts_with(&other) || other.starts_with(&start)
}

/// Returns a free key that matches the same tools as `key`, if there is a star in `key` to double.
/// A ` *` at the end matches nothing as well, and ` **` does not, so that star is not doubled.
fn spelled_alike(key: &str, rules: &JsonObject) -> Option<String> {
    let star = key.find('*').filter(|star| !key[..*star].ends_with(' '))?;
    let mut alike = key.to_owned();
    while rules.contains_key(&alike) {
        alike.insert(star, '*');
    }
    Some(alike)
}
