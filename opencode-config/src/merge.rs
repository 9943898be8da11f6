//! Laying one config over another.

use serde_json::{Map, Value};

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
/// those of `over`. A single action there stands for `{"*": action}`, as it does in OpenCode.
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
    /// The keys are patterns of one rule, and the last that matches decides.
    Patterns,
    Plain,
}

impl Place {
    fn child(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root | Self::Agent, "permission") => Self::Permission,
            (Self::Root, "agent" | "mode") => Self::Agents,
            (Self::Agents, _) => Self::Agent,
            (Self::Permission, _) => Self::Patterns,
            (Self::Root | Self::Agent | Self::Patterns | Self::Plain, _) => Self::Plain,
        }
    }
}

fn merge_at(
    place: Place,
    mut base: Map<String, Value>,
    over: Map<String, Value>,
) -> Map<String, Value> {
    if matches!(place, Place::Permission | Place::Patterns) {
        return merge_rules(base, over);
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
            Value::Object(merge_rules(star(base), over))
        }
        (Value::Object(base), over @ Value::String(_)) if is_rules => {
            Value::Object(merge_rules(base, star(over)))
        }
        (_, over) => over,
    }
}

/// Lays rules over rules, so that the result decides like one list after the other.
fn merge_rules(mut base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    for (key, rule) in over {
        let merged = match remove_standing(&mut base, &key) {
            Some(earlier) => merge_values(Place::Patterns, earlier, rule),
            None => rule,
        };
        base.insert(key, merged);
    }
    base
}

/// Removes the rule of `key` and returns it, unless a later action for everything overrules it: then
/// it must not come back with the key at the end.
fn remove_standing(rules: &mut Map<String, Value>, key: &str) -> Option<Value> {
    let after = rules.iter().skip_while(|(earlier, _)| *earlier != key).skip(1);
    let is_overruled = after.into_iter().any(|(later, rule)| later == "*" && rule.is_string());
    rules.shift_remove(key).filter(|_| !is_overruled)
}

fn star(action: Value) -> Map<String, Value> {
    Map::from_iter([("*".to_owned(), action)])
}
