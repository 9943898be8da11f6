//! Permission rules in OpenCode's JSON.

use super::{AskSupport, PermissionAction, PermissionError, PermissionRule, Permissions};
use crate::{Json, JsonObject};

pub(super) fn write(rule: &PermissionRule) -> Json {
    match rule {
        PermissionRule::Action(action) => action.as_str().into(),
        PermissionRule::Patterns(patterns) => {
            let actions = patterns.iter().map(|(pattern, action)| (&**pattern, action.as_str()));
            actions.collect::<JsonObject>().into()
        }
    }
}

pub(super) fn read(value: &Json) -> Result<Permissions, PermissionError> {
    if value.as_str().is_some() {
        let action = read_action(value, "*")?;
        return Ok(Permissions { rules: vec![("*".to_owned(), PermissionRule::Action(action))] });
    }
    let rules = value.as_object().ok_or_else(|| not_a_rule(value, ""))?;
    let rules = rules.iter().map(|(key, rule)| Ok((key.to_owned(), read_rule(rule, key)?)));
    Ok(Permissions { rules: rules.collect::<Result<_, _>>()? })
}

/// Checks rules in JSON. Errors name the path of the rule, which begins with `path`.
pub(crate) fn check_rules(
    value: &Json,
    path: &str,
    support: AskSupport,
) -> Result<(), PermissionError> {
    let Some(rules) = value.as_object() else { return check_action(value, path, support) };
    rules.iter().try_for_each(|(key, rule)| check_rule(rule, &join(path, key), support))
}

fn check_rule(rule: &Json, path: &str, support: AskSupport) -> Result<(), PermissionError> {
    let Some(patterns) = rule.as_object() else { return check_action(rule, path, support) };
    patterns
        .iter()
        .try_for_each(|(pattern, action)| check_action(action, &join(path, pattern), support))
}

fn check_action(value: &Json, path: &str, support: AskSupport) -> Result<(), PermissionError> {
    match (read_action(value, path)?, support) {
        (PermissionAction::Ask, AskSupport::Missing) => {
            Err(PermissionError::Ask { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

fn read_rule(value: &Json, path: &str) -> Result<PermissionRule, PermissionError> {
    let Some(patterns) = value.as_object() else {
        return read_action(value, path).map(PermissionRule::Action);
    };
    let patterns = patterns.iter().map(|(pattern, action)| {
        Ok((pattern.to_owned(), read_action(action, &join(path, pattern))?))
    });
    patterns.collect::<Result<_, _>>().map(PermissionRule::Patterns)
}

fn read_action(value: &Json, path: &str) -> Result<PermissionAction, PermissionError> {
    let action = value.as_str().ok_or_else(|| not_a_rule(value, path))?;
    action.parse().map_err(|_| PermissionError::UnknownAction {
        path: path.to_owned(),
        action: action.to_owned(),
    })
}

fn not_a_rule(value: &Json, path: &str) -> PermissionError {
    PermissionError::NotARule { path: path.to_owned(), found: value.kind() }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
