//! Config that the environment carries, and the config of a run on top.

use std::ffi::OsStr;

use super::content::{CONTENT, is_content};
use crate::jsonc::{parse_jsonc, parse_value};
use crate::merge::{merge, merge_permission};
use crate::{Environment, Json, JsonObject, JsoncError};

#[cfg(test)]
mod tests;

/// Keys whose lists OpenCode concatenates when it merges configs.
const CONCATENATED: [&str; 2] = ["instructions", "plugin"];

/// The variable with rules that OpenCode lays over all configs.
pub(crate) const PERMISSION: &str = "OPENCODE_PERMISSION";

/// A variable that cannot be read as config.
pub(crate) struct VariableFault {
    pub(crate) variable: &'static str,
    pub(crate) source: JsoncError,
}

/// Lays `config` over the config in `OPENCODE_CONFIG_CONTENT` and the rules in
/// `OPENCODE_PERMISSION`.
///
/// `on_fault` decides about a variable that cannot be read: an error, or leaving the variable out.
pub(crate) fn layered<E>(
    env: &Environment,
    mut config: JsonObject,
    mut on_fault: impl FnMut(VariableFault) -> Result<(), E>,
) -> Result<JsonObject, E> {
    let mut base = match env.non_empty(CONTENT).map(|text| read_content(text, env)) {
        Some(Ok(content)) => content,
        Some(Err(source)) => {
            on_fault(VariableFault { variable: CONTENT, source })?;
            JsonObject::new()
        }
        None => JsonObject::new(),
    };
    match env.non_empty(PERMISSION).map(|text| parse_value(text.as_encoded_bytes())) {
        Some(Ok(rules)) => {
            let rules = match base.remove("permission") {
                Some(below) => merge_permission(below, rules),
                None => rules,
            };
            base.insert("permission", rules);
        }
        Some(Err(source)) => on_fault(VariableFault { variable: PERMISSION, source })?,
        None => {}
    }
    for key in CONCATENATED {
        if let (Some(Json::Array(below)), Some(Json::Array(items))) =
            (base.get_mut(key), config.get_mut(key))
        {
            items.retain(|item| !below.contains(item));
            items.splice(..0, below.drain(..));
        }
    }
    Ok(merge(base, config))
}

/// Reads the config in `text`.
///
/// OpenCode replaces `{env:NAME}` as text before it parses. Inside of strings the references stay;
/// parts of a document that this crate has cut up are put together, and where the text is no JSON
/// without the other values either, these are filled in too.
fn read_content(text: &OsStr, env: &Environment) -> Result<JsonObject, JsoncError> {
    let Some(text) = text.to_str() else { return parse_jsonc(text.as_encoded_bytes()) };
    let whole = substituted(text, env, is_content);
    parse_jsonc(whole.as_bytes()).or_else(|error| match substituted(&whole, env, |_| true) {
        filled if filled == whole => Err(error),
        filled => parse_jsonc(filled.as_bytes()),
    })
}

/// Replaces `{env:NAME}` for those names that `is_wanted` picks. Variables that are not set are
/// empty.
fn substituted(text: &str, env: &Environment, is_wanted: impl Fn(&str) -> bool) -> String {
    const OPEN: &str = "{env:";
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        result.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if !name.is_empty() && is_wanted(name) => {
                result.push_str(&env.var(name).unwrap_or_default().to_string_lossy());
                rest = after;
            }
            Some(_) | None => {
                result.push_str(OPEN);
                rest = after;
            }
        }
    }
    result.push_str(rest);
    result
}
