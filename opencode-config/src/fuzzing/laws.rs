//! What holds of layers, whatever is in them.

use serde_json::{Map, Value};

use super::text;
use crate::{PermissionRule, Permissions, merge};

/// Nothing changes nothing, on either side, and neither does the same once more.
pub(super) fn check_alone(layer: &Map<String, Value>) {
    let expected = text(layer);
    for (base, over) in [(layer.clone(), Map::new()), (Map::new(), layer.clone())] {
        assert_eq!(text(&merge(base, over)), expected);
    }
    let plain = without_rules(layer.clone());
    assert_eq!(text(&merge(plain.clone(), plain.clone())), text(&plain), "laid over itself");
    check_pair(layer, layer);
}

/// All keys are there, in order; what is no object is the later one's; rules decide like one list after the other.
pub(super) fn check_pair(base: &Map<String, Value>, over: &Map<String, Value>) {
    let merged = merge(base.clone(), over.clone());
    let new = over.keys().filter(|key| !base.contains_key(*key));
    assert!(merged.keys().eq(base.keys().chain(new)), "{merged:?}");
    for (key, value) in &merged {
        match (key.as_str(), base.get(key), over.get(key)) {
            (_, Some(kept), None) | (_, None, Some(kept)) => assert_eq!(value, kept),
            ("permission", Some(base), Some(over)) => check_rules(base, over, value),
            (_, Some(Value::Object(base)), Some(Value::Object(over))) => {
                let known = |key: &String| base.contains_key(key) || over.contains_key(key);
                assert!(value.as_object().is_some_and(|value| value.keys().all(known)));
            }
            (_, _, Some(later)) => assert_eq!(value, later),
            (_, None, None) => panic!("{key} comes from nowhere"),
        }
    }
    let twice = merge(merged.clone(), over.clone());
    assert!(twice.keys().eq(merged.keys()), "{twice:?} of {merged:?}");
}

/// Laying layers over each other can begin at either end, unless what is no object stands between two objects.
pub(super) fn check_three(a: &Map<String, Value>, b: &Map<String, Value>, c: &Map<String, Value>) {
    let [a, b, c] = [a, b, c].map(|layer| without_rules(layer.clone()));
    let [at, bt, ct] = [&a, &b, &c].map(|layer| Value::Object(layer.clone()));
    if !is_cut_off(&at, &bt, &ct) {
        let left = merge(merge(a.clone(), b.clone()), c.clone());
        assert_eq!(text(&merge(a, merge(b, c))), text(&left));
    }
}

fn check_rules(base: &Value, over: &Value, merged: &Value) {
    let read = |rules: &Value| Permissions::from_json(rules).ok();
    let (Some(base), Some(over)) = (read(base), read(over)) else { return };
    let merged = read(merged).expect("rules over rules are rules");
    // Some keys that can be overruled in between cannot be spelled in another way.
    if base.iter().chain(over.iter()).any(|(key, _)| key.contains(['?', ' '])) {
        return;
    }
    let (permissions, patterns) = subjects(&base, &over);
    for permission in &permissions {
        for pattern in &patterns {
            let later = over.decide(permission, pattern);
            let expected = later.or_else(|| base.decide(permission, pattern));
            let decided = merged.decide(permission, pattern);
            assert_eq!(decided, expected, "{permission} of {pattern}: {base:?}, {over:?}");
        }
    }
}

/// Uses of tools that rules say something about: named like rules, and like none.
fn subjects<'a>(base: &'a Permissions, over: &'a Permissions) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut permissions, mut patterns) = (vec!["bash"], vec!["a"]);
    for (key, rule) in base.iter().take(8).chain(over.iter().take(8)) {
        permissions.push(key);
        if let PermissionRule::Patterns(rules) = rule {
            patterns.extend(rules.iter().take(4).map(|(pattern, _)| pattern.as_str()));
        }
    }
    (permissions, patterns)
}

/// Rules are compared by what they decide, not by how they are written.
fn without_rules(mut layer: Map<String, Value>) -> Map<String, Value> {
    for key in ["permission", "agent", "mode"] {
        layer.shift_remove(key);
    }
    layer
}

fn is_cut_off(a: &Value, b: &Value, c: &Value) -> bool {
    let (Value::Object(a), Value::Object(c)) = (a, c) else { return false };
    let Value::Object(b) = b else { return true };
    let null = Value::Null;
    a.keys().any(|key| match (b.get(key), c.get(key)) {
        (Some(b), Some(c)) => is_cut_off(a.get(key).unwrap_or(&null), b, c),
        (None | Some(_), None) | (None, Some(_)) => false,
    })
}
