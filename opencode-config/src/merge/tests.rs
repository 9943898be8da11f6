use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn object(value: Json) -> JsonObject {
    let Json::Object(object) = value else { panic!("not an object: {value}") };
    object
}

fn merged(base: Json, over: Json) -> String {
    merge(object(base), object(over)).to_string()
}

/// A config with these rules.
fn rules(permission: Json) -> Json {
    JsonObject::new().with("permission", permission).into()
}

#[test]
fn objects_merge_and_the_rest_replaces() {
    let base = json!({"a": {"x": 1, "y": 2}, "list": [1, 2], "n": 1, "kept": true});
    let over = json!({"a": {"y": 3, "z": 4}, "list": [3], "n": {"deep": null}});
    assert_eq!(
        merged(base, over),
        r#"{"a":{"x":1,"y":3,"z":4},"list":[3],"n":{"deep":null},"kept":true}"#
    );
}

#[test]
fn a_later_permission_moves_to_the_end() {
    let base = json!({
        "permission": {"*": "ask", "edit": {"*.py": "deny", "*": "allow"}, "bash": "allow"}
    });
    let over = json!({"permission": {"edit": {"*.py": "deny"}}});
    assert_eq!(
        merged(base.clone(), over),
        r#"{"permission":{"*":"ask","bash":"allow","edit":{"*":"allow","*.py":"deny"}}}"#
    );
    let over = json!({"permission": {"*": "deny"}});
    assert_eq!(
        merged(base, over),
        r#"{"permission":{"edit":{"*.py":"deny","*":"allow"},"bash":"allow","*":"deny"}}"#
    );
}

#[test]
fn rules_of_agents_and_modes_are_rules_too() {
    for key in ["agent", "mode"] {
        let base = json!({"build": {"permission": {"bash": "allow", "*": "deny"}, "x": 1}});
        let over = json!({"build": {"permission": {"bash": "deny"}, "x": 2}});
        let [base, over] = [base, over].map(|agents| JsonObject::new().with(key, agents).into());
        assert_eq!(
            merged(base, over),
            format!(
                r#"{{"{key}":{{"build":{{"permission":{{"*":"deny","bash":"deny"}},"x":2}}}}}}"#
            )
        );
    }
}

#[test]
fn a_rule_that_a_star_overruled_does_not_come_back() {
    let base = json!({"permission": {"edit": {"*.md": "allow"}, "*": "deny"}});
    let over = json!({"permission": {"edit": {"*.py": "allow"}}});
    assert_eq!(merged(base, over), r#"{"permission":{"*":"deny","edit":{"*.py":"allow"}}}"#);
    let base = json!({"permission": {"edit": {"*.md": "allow"}}});
    let over = json!({"permission": {"*": "deny", "edit": {"*.py": "allow"}}});
    assert_eq!(merged(base, over), r#"{"permission":{"*":"deny","edit":{"*.py":"allow"}}}"#);
}

#[test]
fn no_rule_overtakes_one_that_overruled_it() {
    for (base, over, expected) in [
        // A pattern over tools said something else in between.
        (
            json!({"edit": {"*": "allow"}, "e*": "deny"}),
            json!({"edit": {"a": "allow"}}),
            r#"{"e*":"deny","edit":{"a":"allow"}}"#,
        ),
        (
            json!({"edit": {"a": "allow", "b": "ask"}, "e*": {"a": "deny"}}),
            json!({"edit": {"c": "allow"}}),
            r#"{"e*":{"a":"deny"},"edit":{"b":"ask","a":"deny","c":"allow"}}"#,
        ),
        // A tool is an exception from everything, and stays one.
        (
            json!({"*": {"a": "allow"}, "bash": "deny"}),
            json!({"*": {"b": "allow"}}),
            r#"{"*":{"a":"allow"},"bash":"deny","**":{"b":"allow"}}"#,
        ),
        // Rules for some patterns leave the others as they are.
        (
            json!({"edit": "allow"}),
            json!({"edit": {"a": "deny"}}),
            r#"{"edit":{"*":"allow","a":"deny"}}"#,
        ),
        // Rules that cannot meet do not matter.
        (
            json!({"jira_*": {"a": "allow"}, "github_*": {"a": "deny"}}),
            json!({"jira_*": {"b": "deny"}}),
            r#"{"github_*":{"a":"deny"},"jira_*":{"a":"allow","b":"deny"}}"#,
        ),
    ] {
        let merged = merged(rules(base), rules(over));
        assert_eq!(merged, format!(r#"{{"permission":{expected}}}"#));
    }
}

#[test]
fn other_keys_keep_their_place() {
    let base = json!({"mcp": {"permission": {"b": 1, "a": 2}}, "tools": {"b": true, "a": true}});
    let over = json!({"mcp": {"permission": {"b": 3}}, "tools": {"b": false}});
    assert_eq!(
        merged(base, over),
        r#"{"mcp":{"permission":{"b":3,"a":2}},"tools":{"b":false,"a":true}}"#
    );
}

#[test]
fn one_action_for_everything_is_a_star_rule() {
    assert_eq!(
        merged(json!({"permission": "deny"}), json!({"permission": {"read": "allow"}})),
        r#"{"permission":{"*":"deny","read":"allow"}}"#
    );
    assert_eq!(
        merged(json!({"permission": {"*": "allow", "bash": "deny"}}), json!({"permission": "ask"})),
        r#"{"permission":{"bash":"deny","*":"ask"}}"#
    );
    assert_eq!(
        merged(json!({"permission": "deny"}), json!({"permission": "ask"})),
        r#"{"permission":"ask"}"#
    );
}

/// JSON objects in which a key always has the same kind of value, rules aside: only then is merging
/// associative (a number in the middle layer would cut an object off).
fn layer() -> impl Strategy<Value = JsonObject> {
    let action = prop::sample::select(vec!["allow", "ask", "deny"]).prop_map(Json::from);
    let patterns = entries(["*", "*.py", "src/**"], action.clone());
    let rule = prop_oneof![patterns.prop_map(Json::Object), action.clone()];
    let rules = entries(["*", "bash", "e*", "edit", "read", "webfetch"], rule);
    let permission = prop_oneof![rules.prop_map(Json::Object), action];
    let agent = (option(permission.clone()), any::<u8>()).prop_map(|(permission, steps)| {
        let mut agent = JsonObject::new().with("steps", steps);
        agent.extend(permission.map(|permission| ("permission", permission)));
        Json::Object(agent)
    });
    let scalar = prop_oneof![any::<i32>().prop_map(Json::from), "[a-z]{0,3}".prop_map(Json::from)];
    let plain = entries(["b", "a", "c"], scalar.clone()).prop_map(Json::Object);
    (
        option(permission),
        option(entries(["build", "plan"], agent).prop_map(Json::Object)),
        entries(["model", "share"], scalar),
        entries(["provider", "mcp"], plain),
    )
        .prop_map(|(permission, agent, scalars, objects)| {
            let mut layer = scalars;
            layer.extend(permission.map(|value| ("permission", value)));
            layer.extend(agent.map(|value| ("agent", value)));
            layer.extend(objects);
            layer
        })
}

fn option<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(inner)
}

/// Objects with some of `keys`, in any order.
fn entries<const N: usize>(
    keys: [&'static str; N],
    values: impl Strategy<Value = Json>,
) -> impl Strategy<Value = JsonObject> {
    vec((prop::sample::select(keys.to_vec()), values), 0..=N)
        .prop_map(|pairs| pairs.into_iter().collect())
}

/// The decision of OpenCode, by the last rule whose key and pattern match.
fn decision(permission: Option<&Json>, tool: &str, subject: &str) -> Option<String> {
    let matches = |pattern: &str, text: &str| match pattern.split_once('*') {
        Some((start, end)) => text.starts_with(start) && text.ends_with(end.trim_matches('*')),
        None => pattern == text,
    };
    let action = |action: &Json| action.as_str().map(str::to_owned);
    let Json::Object(rules) = permission? else { return action(permission?) };
    let mut decided = None;
    for (_, rule) in rules.iter().filter(|(key, _)| matches(key, tool)) {
        match rule.as_object() {
            Some(patterns) => {
                let last = patterns.iter().filter(|(pattern, _)| matches(pattern, subject)).last();
                decided = last.and_then(|(_, value)| action(value)).or(decided);
            }
            None => decided = action(rule),
        }
    }
    decided
}

/// Takes the value at `path` out of the layer and leaves null.
fn take(layer: &mut JsonObject, path: &[&str]) -> Option<Json> {
    let (key, parents) = path.split_last()?;
    let parent =
        parents.iter().try_fold(layer, |object, key| object.get_mut(key)?.as_object_mut())?;
    parent.get_mut(key).map(std::mem::take)
}

fn uses() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["bash", "edit", "glob", "read", "webfetch"]
        .into_iter()
        .flat_map(|tool| ["a.py", "src/a.py", "src/a.rs", "b"].map(|subject| (tool, subject)))
}

proptest! {
    #[test]
    fn merging_with_nothing_changes_nothing(layer in layer()) {
        prop_assert_eq!(&merge(layer.clone(), JsonObject::new()), &layer);
        prop_assert_eq!(&merge(JsonObject::new(), layer.clone()), &layer);
    }

    #[test]
    fn merging_is_associative(a in layer(), b in layer(), c in layer()) {
        let mut left = merge(merge(a.clone(), b.clone()), c.clone());
        let mut right = merge(a, merge(b, c));
        // Rules that a later `*` overrules may be left over on one side, so of rules the decisions
        // are compared.
        let agent = |name| ["agent", name, "permission"];
        for path in [&["permission"][..], &agent("build"), &agent("plan")] {
            let rules = (take(&mut left, path), take(&mut right, path));
            for (tool, subject) in uses() {
                let left = decision(rules.0.as_ref(), tool, subject);
                prop_assert_eq!(left, decision(rules.1.as_ref(), tool, subject));
            }
        }
        prop_assert_eq!(left, right);
    }

    #[test]
    fn later_scalars_win_and_earlier_keys_keep_their_order(a in layer(), b in layer()) {
        let merged = merge(a.clone(), b.clone());
        for key in ["model", "share"] {
            prop_assert_eq!(merged.get(key), b.get(key).or_else(|| a.get(key)));
        }
        let kept: Vec<_> = merged.keys().filter(|key| a.contains_key(key)).collect();
        prop_assert_eq!(kept, a.keys().collect::<Vec<_>>());
    }

    #[test]
    fn merged_rules_decide_like_one_list_after_the_other(a in layer(), b in layer()) {
        let (a, b) = (a.get("permission").cloned(), b.get("permission").cloned());
        let layer = |permission: &Option<Json>| {
            permission.iter().map(|rules| ("permission", rules.clone())).collect()
        };
        let merged = merge(layer(&a), layer(&b));
        for (tool, subject) in uses() {
            let later = decision(b.as_ref(), tool, subject);
            let expected = later.or_else(|| decision(a.as_ref(), tool, subject));
            prop_assert_eq!(decision(merged.get("permission"), tool, subject), expected);
        }
    }
}
