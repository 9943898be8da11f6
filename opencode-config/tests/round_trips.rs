//! What can be written can be read, and is the same.

use std::ffi::OsString;

use opencode_config::{
    Environment, ModelRef, PermissionAction, PermissionRule, Permissions, merge, parse_jsonc,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn action() -> impl Strategy<Value = PermissionAction> {
    prop::sample::select(vec![
        PermissionAction::Allow,
        PermissionAction::Ask,
        PermissionAction::Deny,
    ])
}

/// Rules whose keys come once, in any order.
fn permissions() -> impl Strategy<Value = Permissions> {
    let patterns = prop::collection::vec(("[^\\x00]{0,4}", action()), 0..4);
    let patterns = patterns.prop_map(|mut patterns| {
        let mut seen = std::collections::BTreeSet::new();
        patterns.retain(|(pattern, _)| seen.insert(pattern.clone()));
        PermissionRule::Patterns(patterns)
    });
    let rule = prop_oneof![action().prop_map(PermissionRule::Action), patterns];
    let rules = prop::collection::vec(("[*a-d ]{0,3}", rule), 0..6);
    rules.prop_map(|rules| {
        rules.into_iter().fold(Permissions::new(), |all, (key, rule)| all.rule(key, rule))
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((".{0,3}", json()), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

fn text(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

proptest! {
    #[test]
    fn models(text in "[^/]{1,5}(/.{1,8})?") {
        let model = ModelRef::new(text.as_str()).unwrap();
        prop_assert_eq!(model.to_string(), text.as_str());
        prop_assert_eq!(String::from(model.clone()), text.as_str());
        let json = serde_json::to_value(&model).unwrap();
        prop_assert_eq!(&json, &Value::from(text.as_str()));
        prop_assert_eq!(&serde_json::from_value::<ModelRef>(json).unwrap(), &model);
        let parts = model.provider().into_iter().chain([model.model()]).collect::<Vec<_>>();
        prop_assert_eq!(parts.join("/"), text);
    }

    #[test]
    fn rules_in_their_order(permissions in permissions()) {
        let json = permissions.to_json();
        let again = Permissions::from_json(&json).unwrap();
        prop_assert_eq!(&again, &permissions);
        let written = serde_json::to_string(&permissions).unwrap();
        prop_assert_eq!(&written, &json.to_string());
        let read: Permissions = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(read.to_ruleset(), permissions.to_ruleset());
    }

    #[test]
    fn variables(pairs in prop::collection::btree_map("[A-Z_]{1,4}", any::<String>(), 0..6)) {
        let pairs = pairs.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let pairs: Vec<_> = pairs.collect();
        let environment: Environment = pairs.iter().cloned().collect();
        prop_assert_eq!(environment.len(), pairs.len());
        prop_assert_eq!(environment.clone().into_iter().collect::<Vec<_>>(), pairs);
        let mut again = Environment::new();
        for (name, value) in environment.iter() {
            again.set(name, value);
        }
        prop_assert_eq!(again, environment);
    }

    #[test]
    fn configs(config in object()) {
        let written = text(&config);
        prop_assert_eq!(text(&parse_jsonc(written.as_bytes()).unwrap()), written.as_str());
        let pretty = serde_json::to_string_pretty(&Value::Object(config)).unwrap();
        prop_assert_eq!(text(&parse_jsonc(pretty.as_bytes()).unwrap()), written);
    }

    /// Once laid over, a layer changes nothing more, and what it says of anything but objects is what counts.
    #[test]
    fn layers(base in object(), over in object()) {
        let merged = merge(base.clone(), over.clone());
        prop_assert_eq!(text(&merge(merged.clone(), over.clone())), text(&merged));
        for (key, value) in over.iter().filter(|(_, value)| !value.is_object()) {
            prop_assert_eq!(merged.get(key), Some(value));
        }
        let places = base.keys().chain(over.keys().filter(|key| !base.contains_key(*key)));
        prop_assert!(merged.keys().eq(places));
    }
}
