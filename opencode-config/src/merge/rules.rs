//! Laying permission rules over others, so that the result decides like one list after the other.

use serde_json::{Map, Value};

use crate::wildcard_matches;

/// The keys are tools. Each has an action, or actions by patterns.
pub(super) fn merge(mut base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    for (key, rule) in over {
        if let Value::Object(patterns) = rule {
            add_patterns(&mut base, key, patterns);
        } else {
            // It decides whatever came before.
            base.shift_remove(&key);
            base.insert(key, rule);
        }
    }
    base
}

/// An action for everything.
pub(super) fn star(action: Value) -> Map<String, Value> {
    Map::from_iter([("*".to_owned(), action)])
}

fn add_patterns(rules: &mut Map<String, Value>, key: String, patterns: Map<String, Value>) {
    let Some(earlier) = rules.get(&key) else {
        rules.insert(key, patterns.into());
        return;
    };
    let between: Vec<_> = rules
        .iter()
        .skip_while(|(other, _)| **other != key)
        .skip(1)
        .filter(|(other, _)| may_meet(other, &key))
        .collect();
    let is_overruled = between.iter().any(|(other, rule)| rule.is_string() && covers(other, &key));
    let mut moved = Map::new();
    if !is_overruled {
        if is_wild(&key)
            && !between.is_empty()
            && let Some(alike) = spelled_alike(&key, rules)
        {
            rules.insert(alike, patterns.into());
            return;
        }
        // What it moves behind must not be overruled by what it said before.
        moved = as_patterns(earlier);
        for (_, rule) in between {
            moved = merge_patterns(moved, as_patterns(rule));
        }
    }
    rules.shift_remove(&key);
    rules.insert(key, merge_patterns(moved, patterns).into());
}

/// The keys are patterns, and the last that matches decides.
fn merge_patterns(mut base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    for (pattern, action) in over {
        base.shift_remove(&pattern);
        base.insert(pattern, action);
    }
    base
}

fn as_patterns(rule: &Value) -> Map<String, Value> {
    match rule {
        Value::Object(patterns) => patterns.clone(),
        Value::String(_) => star(rule.clone()),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => Map::new(),
    }
}

fn is_wild(key: &str) -> bool {
    key.contains(['*', '?'])
}

/// Whether a rule is about every tool that another is about.
fn covers(key: &str, other: &str) -> bool {
    // A `?` would take a `*` for one character.
    wildcard_matches(other, key) && !(is_wild(other) && key.contains('?'))
}

/// Whether two rules may be about one tool.
fn may_meet(key: &str, other: &str) -> bool {
    if !is_wild(key) || !is_wild(other) {
        return wildcard_matches(key, other) || wildcard_matches(other, key);
    }
    let start = |key: &str| key[..key.find(['*', '?', ' ', '\\']).unwrap_or(key.len())].to_owned();
    let (start, other) = (start(key), start(other));
    start.starts_with(&other) || other.starts_with(&start)
}

/// A key that matches the same tools and is not taken. There is none without a star to double; ` *` at the end matches
/// nothing as well, and ` **` does not.
fn spelled_alike(key: &str, rules: &Map<String, Value>) -> Option<String> {
    let star = key.find('*').filter(|star| !key[..*star].ends_with(' '))?;
    let mut alike = key.to_owned();
    while rules.contains_key(&alike) {
        alike.insert(star, '*');
    }
    Some(alike)
}
