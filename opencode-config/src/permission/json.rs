//! Permission rules in OpenCode's JSON.

use serde_json::{Map, Value};

use super::{Asking, PermissionAction, PermissionError, PermissionRule, Permissions};

pub(super) fn write(rule: &PermissionRule) -> Value {
    match rule {
        PermissionRule::Action(action) => action.as_str().into(),
        PermissionRule::Patterns(patterns) => {
            let object: Map<String, Value> = patterns
                .iter()
                .map(|(pattern, action)| (pattern.clone(), action.as_str().into()))
                .collect();
            Value::Object(object)
        }
    }
}

pub(super) fn read(value: &Value) -> Result<Permissions, PermissionError> {
    if value.is_string() {
        let action = read_action(value, "*")?;
        return Ok(Permissions { rules: vec![("*".to_owned(), PermissionRule::Action(action))] });
    }
    let rules = value.as_object().ok_or_else(|| not_a_rule(value, ""))?;
    let rules = rules.iter().map(|(key, rule)| Ok((key.clone(), read_rule(rule, key)?)));
    Ok(Permissions { rules: rules.collect::<Result<_, _>>()? })
}

/// Checks rules that are still JSON. `path` leads to them and is part of every error.
pub(crate) fn check_rules(
    value: &Value,
    path: &str,
    asking: Asking,
) -> Result<(), PermissionError> {
    let Some(rules) = value.as_object() else { return check_action(value, path, asking) };
    rules.iter().try_for_each(|(key, rule)| check_rule(rule, &join(path, key), asking))
}

fn check_rule(rule: &Value, path: &str, asking: Asking) -> Result<(), PermissionError> {
    let Some(patterns) = rule.as_object() else { return check_action(rule, path, asking) };
    patterns
        .iter()
        .try_for_each(|(pattern, action)| check_action(action, &join(path, pattern), asking))
}

fn check_action(value: &Value, path: &str, asking: Asking) -> Result<(), PermissionError> {
    match (read_action(value, path)?, asking) {
        (PermissionAction::Ask, Asking::Impossible) => {
            Err(PermissionError::Ask { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

fn read_rule(value: &Value, path: &str) -> Result<PermissionRule, PermissionError> {
    let Some(patterns) = value.as_object() else {
        return read_action(value, path).map(PermissionRule::Action);
    };
    let patterns = patterns
        .iter()
        .map(|(pattern, action)| Ok((pattern.clone(), read_action(action, &join(path, pattern))?)));
    patterns.collect::<Result<_, _>>().map(PermissionRule::Patterns)
}

fn read_action(value: &Value, path: &str) -> Result<PermissionAction, PermissionError> {
    match value.as_str() {
        Some("allow") => Ok(PermissionAction::Allow),
        Some("ask") => Ok(PermissionAction::Ask),
        Some("deny") => Ok(PermissionAction::Deny),
        Some(action) => {
            Err(PermissionError::UnknownAction { path: path.to_owned(), action: action.to_owned() })
        }
        None => Err(not_a_rule(value, path)),
    }
}

fn not_a_rule(value: &Value, path: &str) -> PermissionError {
    let found = match value {
        Value::Array(_) => "an array",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::String(_) => "a string",
    };
    PermissionError::NotARule { path: path.to_owned(), found }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
