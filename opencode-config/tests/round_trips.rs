//! Values that are written and read again are the same.

use std::ffi::OsString;

use opencode_config::{
    Environment, Json, JsonObject, ModelRef, PermissionAction, PermissionRule, Permissions, merge,
    parse_jsonc,
};
use proptest::prelude::*;

fn action() -> impl Strategy<Value = PermissionAction> {
    prop::sample::select(vec![
        PermissionAction::Allow,
        PermissionAction::Ask,
        PermissionAction::Deny,
    ])
}

/// Rules with different keys, in any order.
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

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<JsonObject>().into()),
        ]
    })
}

fn object() -> impl Strategy<Value = JsonObject> {
    prop::collection::vec((".{0,3}", json()), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn models(text in "[^/]{1,5}(/.{1,8})?") {
        let model = ModelRef::new(text.as_str()).unwrap();
        prop_assert_eq!(model.to_string(), text.as_str());
        prop_assert_eq!(String::from(model.clone()), text.as_str());
        let json = serde_json::to_value(&model).unwrap();
        prop_assert_eq!(&json, text.as_str());
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
        let pairs = pairs.into_iter();
        let pairs = pairs.map(|(name, value)| (OsString::from(name), OsString::from(value)));
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
        let written = config.to_string();
        prop_assert_eq!(&parse_jsonc(written.as_bytes()).unwrap(), &config);
        prop_assert_eq!(&serde_json::to_string(&config).unwrap(), &written);
        let pretty = serde_json::to_string_pretty(&config).unwrap();
        prop_assert_eq!(parse_jsonc(pretty.as_bytes()).unwrap(), config);
    }

    /// A layer that is laid over another a second time changes nothing, and the values other than
    /// objects are the ones that count.
    #[test]
    fn layers(base in object(), over in object()) {
        let merged = merge(base.clone(), over.clone());
        prop_assert_eq!(&merge(merged.clone(), over.clone()), &merged);
        for (key, value) in over.iter().filter(|(_, value)| value.as_object().is_none()) {
            prop_assert_eq!(merged.get(key), Some(value));
        }
        let places = base.keys().chain(over.keys().filter(|key| !base.contains_key(key)));
        prop_assert!(merged.keys().eq(places));
    }
}
