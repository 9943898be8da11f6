//! Laying one config over another.

use crate::{Json, JsonObject};

mod rules;
#[cfg(test)]
mod tests;

/// Lays the config `over` over the config `base` and returns the result.
///
/// Objects are merged key by key; any other value in `over` replaces the one in `base`. Keys keep
/// the place they have in `base`, new ones are appended.
///
/// Permission rules are the exception, since OpenCode lets the last matching rule win: in
/// `permission`, and in `permission` of every `agent` and `mode`, a key that `over` sets moves to
/// the end, and so do the patterns inside, so that the result decides like the rules of `base`
/// followed by those of `over`. A single action there stands for `{"*": action}`, as in OpenCode.
/// Where a key with a star cannot move because of rules in between, the new rule is written with
/// another star, which OpenCode reads alike.
///
/// ```
/// use opencode_config::{JsonObject, merge};
///
/// let base: JsonObject =
///     r#"{"model": "a/b", "permission": {"bash": "deny", "*": "allow"}}"#.parse()?;
/// let over = r#"{"permission": {"bash": "deny"}}"#.parse()?;
/// assert_eq!(
///     merge(base, over).to_string(),
///     r#"{"model":"a/b","permission":{"*":"allow","bash":"deny"}}"#,
/// );
/// # Ok::<(), opencode_config::JsoncError>(())
/// ```
#[must_use]
pub fn merge(base: JsonObject, over: JsonObject) -> JsonObject {
    merge_objects(ConfigPosition::Root, base, over)
}

/// Lays the value of `permission` in one config over that in another.
pub(crate) fn merge_permission(base: Json, over: Json) -> Json {
    merge_values(ConfigPosition::Permission, base, over)
}

/// Position of an object in a config, as far as merging depends on it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum ConfigPosition {
    Root,
    /// An object whose values are agents.
    Agents,
    Agent,
    /// An object whose keys are tools, and whose last matching rule decides.
    Permission,
    Plain,
}

impl ConfigPosition {
    fn child(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root | Self::Agent, "permission") => Self::Permission,
            (Self::Root, "agent" | "mode") => Self::Agents,
            (Self::Agents, _) => Self::Agent,
            (Self::Root | Self::Agent | Self::Permission | Self::Plain, _) => Self::Plain,
        }
    }
}

fn merge_objects(position: ConfigPosition, mut base: JsonObject, over: JsonObject) -> JsonObject {
    if position == ConfigPosition::Permission {
        return rules::merge(base, over);
    }
    for (key, value) in over {
        let child = position.child(&key);
        match base.get_mut(&key) {
            Some(slot) => *slot = merge_values(child, std::mem::take(slot), value),
            None => drop(base.insert(key, value)),
        }
    }
    base
}

fn merge_values(position: ConfigPosition, base: Json, over: Json) -> Json {
    let is_rules = position == ConfigPosition::Permission;
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => merge_objects(position, base, over).into(),
        (base @ Json::String(_), Json::Object(over)) if is_rules => {
            rules::merge(rules::star(base), over).into()
        }
        (Json::Object(base), over @ Json::String(_)) if is_rules => {
            rules::merge(base, rules::star(over)).into()
        }
        (_, over) => over,
    }
}
