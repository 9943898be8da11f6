//! Laws of merging that hold for any config.

use crate::{Json, JsonObject, PermissionRule, Permissions, merge};

/// Checks that an empty layer on either side changes nothing, and neither does the same layer
/// again.
pub(super) fn check_alone(layer: &JsonObject) {
    for (base, over) in [(layer.clone(), JsonObject::new()), (JsonObject::new(), layer.clone())] {
        assert_eq!(merge(base, over), *layer);
    }
    let plain = without_rules(layer.clone());
    assert_eq!(merge(plain.clone(), plain.clone()), plain, "laid over itself");
    check_pair(layer, layer);
}

/// Checks that all keys are there, in order, that values other than objects are the later ones, and
/// that rules decide like one list after the other.
pub(super) fn check_pair(base: &JsonObject, over: &JsonObject) {
    let merged = merge(base.clone(), over.clone());
    let new = over.keys().filter(|key| !base.contains_key(key));
    assert!(merged.keys().eq(base.keys().chain(new)), "{merged:?}");
    for (key, value) in &merged {
        match (key, base.get(key), over.get(key)) {
            (_, Some(kept), None) | (_, None, Some(kept)) => assert_eq!(value, kept),
            ("permission", Some(base), Some(over)) => check_rules(base, over, value),
            (_, Some(Json::Object(base)), Some(Json::Object(over))) => {
                let is_known = |key: &str| base.contains_key(key) || over.contains_key(key);
                assert!(value.as_object().is_some_and(|value| value.keys().all(is_known)));
            }
            (_, _, Some(later)) => assert_eq!(value, later),
            (_, None, None) => panic!("{key} comes from nowhere"),
        }
    }
    let twice = merge(merged.clone(), over.clone());
    assert!(twice.keys().eq(merged.keys()), "{twice:?} of {merged:?}");
}

/// Checks that merging can begin at either end, unless another value stands between two objects.
pub(super) fn check_three(a: &JsonObject, b: &JsonObject, c: &JsonObject) {
    let [a, b, c] = [a, b, c].map(|layer| without_rules(layer.clone()));
    let [at, bt, ct] = [&a, &b, &c].map(|layer| Json::from(layer.clone()));
    if !is_cut_off(&at, &bt, &ct) {
        let left = merge(merge(a.clone(), b.clone()), c.clone());
        assert_eq!(merge(a, merge(b, c)), left);
    }
}

fn check_rules(base: &Json, over: &Json, merged: &Json) {
    let read = |rules: &Json| Permissions::from_json(rules).ok();
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

/// Returns keys and patterns to try: those of the rules, and one of each that no rule has.
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

/// Removes the rules, which are compared by their decisions and not as text.
fn without_rules(mut layer: JsonObject) -> JsonObject {
    for key in ["permission", "agent", "mode"] {
        layer.remove(key);
    }
    layer
}

fn is_cut_off(a: &Json, b: &Json, c: &Json) -> bool {
    let (Json::Object(a), Json::Object(c)) = (a, c) else { return false };
    let Json::Object(b) = b else { return true };
    a.iter().any(|(key, value)| match (b.get(key), c.get(key)) {
        (Some(b), Some(c)) => is_cut_off(value, b, c),
        (None | Some(_), None) | (None, Some(_)) => false,
    })
}
