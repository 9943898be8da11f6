//! Laying one config over another.

use serde_json::{Map, Value};

mod rules;
#[cfg(test)]
mod tests;

/// Lays `over` over `base` and returns the result.
///
/// Objects are merged key by key; anything else in `over` replaces what `base` has. Keys keep the
/// place they have in `base`, new ones are appended.
///
/// Permission rules are the exception, since OpenCode lets the last matching rule win: in
/// `permission`, and in `permission` of every `agent` and `mode`, a key that `over` sets moves to the
/// end, and so do the patterns inside, so that the result decides like the rules of `base` followed by
/// those of `over`. A single action there stands for `{"*": action}`, as it does in OpenCode. Where a key
/// with a star cannot move because of what other rules say in between, the new rule is written with
/// another star, which OpenCode reads alike.
///
/// ```
/// use opencode_config::merge;
/// use serde_json::json;
///
/// let base = json!({"model": "a/b", "permission": {"bash": "deny", "*": "allow"}});
/// let over = json!({"permission": {"bash": "deny"}});
/// let (Some(base), Some(over)) = (base.as_object(), over.as_object()) else { unreachable!() };
/// let merged = merge(base.clone(), over.clone());
/// assert_eq!(
///     serde_json::to_string(&merged).unwrap(),
///     r#"{"model":"a/b","permission":{"*":"allow","bash":"deny"}}"#,
/// );
/// ```
#[must_use]
pub fn merge(base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    merge_at(Place::Root, base, over)
}

/// Where in a config an object stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Root,
    /// The values are agents.
    Agents,
    Agent,
    /// The keys are tools, and the last rule that matches decides.
    Permission,
    Plain,
}

impl Place {
    fn child(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root | Self::Agent, "permission") => Self::Permission,
            (Self::Root, "agent" | "mode") => Self::Agents,
            (Self::Agents, _) => Self::Agent,
            (Self::Root | Self::Agent | Self::Permission | Self::Plain, _) => Self::Plain,
        }
    }
}

fn merge_at(
    place: Place,
    mut base: Map<String, Value>,
    over: Map<String, Value>,
) -> Map<String, Value> {
    if place == Place::Permission {
        return rules::merge(base, over);
    }
    for (key, value) in over {
        let child = place.child(&key);
        if let Some(slot) = base.get_mut(&key) {
            *slot = merge_values(child, slot.take(), value);
        } else {
            base.insert(key, value);
        }
    }
    base
}

fn merge_values(place: Place, base: Value, over: Value) -> Value {
    let is_rules = place == Place::Permission;
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => Value::Object(merge_at(place, base, over)),
        (base @ Value::String(_), Value::Object(over)) if is_rules => {
            Value::Object(rules::merge(rules::star(base), over))
        }
        (Value::Object(base), over @ Value::String(_)) if is_rules => {
            Value::Object(rules::merge(base, rules::star(over)))
        }
        (_, over) => over,
    }
}
