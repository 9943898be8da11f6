//! Values that follow the schemas, and values that follow nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read files and compare JSON, which the crate does not"
)]

use std::fs;
use std::sync::LazyLock;

use opencode_api::contract::{recode_reply, recode_schema};
use opencode_config::Json;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    // The one file whose name is a version.
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec")).unwrap();
    let mut paths = folder.map(|entry| entry.unwrap().path());
    let is_pin = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(char::is_numeric);
    let path = paths.find(|path| path.file_name().is_some_and(is_pin)).unwrap();
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// With fields, texts and variants of later versions, and without what can be absent.
    #[test]
    fn values_of_schemas_are_read_and_written_again(seed in any::<u64>()) {
        let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
        let mut made = Maker { state: seed | 1 };
        let mut count = 0;
        for (name, schema) in schemas {
            let value = made.value(schema, 0);
            if let Some(written) = recode_schema(name, json_of(&value)) {
                count += 1;
                let written = written.map_err(|error| fault(name, &error, &value))?;
                prop_assert_eq!(&value_of(&written), &value);
            }
        }
        prop_assert!(count > 150, "{} schemas", count);
    }

    #[test]
    fn replies_of_schemas_are_read_and_written_again(seed in any::<u64>()) {
        let mut made = Maker { state: seed | 1 };
        let mut count = 0;
        for methods in DOCUMENT["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
                let value = made.value(schema, 0);
                if let Some(written) = recode_reply(id, json_of(&value)) {
                    count += 1;
                    let written = written.map_err(|error| fault(id, &error, &value))?;
                    prop_assert_eq!(&value_of(&written), &value);
                }
            }
        }
        prop_assert!(count > 150, "{} replies", count);
    }

    /// Any JSON is refused or kept whole, and nothing panics.
    #[test]
    fn any_json_is_refused_or_kept(value in any_json()) {
        let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys() {
            match recode_schema(name, json_of(&value)) {
                Some(Ok(written)) => prop_assert_eq!(&value_of(&written), &value, "{}", name),
                Some(Err(message)) => prop_assert!(message.contains("expected"), "{}", message),
                None => {}
            }
        }
    }
}

fn fault(name: &str, error: &str, value: &Value) -> TestCaseError {
    TestCaseError::fail(format!("{name}: {error} in {value}"))
}

fn json_of(value: &Value) -> Json {
    value.to_string().parse().unwrap()
}

fn value_of(json: &Json) -> Value {
    serde_json::from_str(&json.to_string()).unwrap()
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        Just("type"),
        Just("id"),
        Just("sessionID"),
        Just("time"),
        Just("data"),
        Just("status"),
        Just("name"),
        Just("path"),
        Just("role"),
        Just("key"),
        Just("x"),
    ];
    let texts = prop_oneof![
        Just("text"),
        Just("file"),
        Just("ses_1"),
        Just("oauth"),
        Just("running"),
        Just("user"),
        Just("api"),
        Just("local"),
        Just("NaN "),
        Just(""),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!(0.5)),
        texts.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(entries.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// Makes values of schemas, by chance from a seed.
struct Maker {
    state: u64,
}

impl Maker {
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap() % limit
    }

    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return self.value(&DOCUMENT["components"]["schemas"][name], depth);
        }
        if let Some(variants) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            let variants = variants.as_array().unwrap();
            let is_of_objects = variants.iter().all(|variant| self.is_object(variant));
            if is_of_objects && self.below(8) == 0 {
                return json!({
                    "type": "novel", "status": "novel", "name": "novel", "role": "novel",
                    "data": { "a": 1 }, "id": "novel",
                });
            }
            let index = self.below(variants.len());
            return self.value(&variants[index], depth);
        }
        if let Some(texts) = schema["enum"].as_array() {
            // These stand for numbers.
            let are_numbers = texts.contains(&"NaN".into());
            let may_be_new = texts.len() > 1 && schema["type"] == "string" && !are_numbers;
            if may_be_new && self.below(8) == 0 {
                return "novel".into();
            }
            return texts[self.below(texts.len())].clone();
        }
        match schema["type"].as_str() {
            Some("string") => "some text".into(),
            Some("boolean") => (self.below(2) == 0).into(),
            Some("integer") => (1 + self.below(1_000)).into(),
            Some("number") if self.below(2) == 0 => 2.5.into(),
            Some("number") => self.below(1_000).into(),
            Some("null") => Value::Null,
            Some("array") => {
                let count = if depth > 6 { 0 } else { self.below(3) };
                let items = &schema["items"];
                (0..count).map(|_| self.value(items, depth + 1)).collect()
            }
            Some("object") => self.object(schema, depth),
            _ => json!({ "free": [1, null, "form"] }),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.contains(&&**name);
            if is_required || depth < 6 && self.below(2) == 0 {
                let value = match self.below(12) {
                    // Not in the document, and not lost.
                    0 if !is_required => Value::Null,
                    _ => self.value(field, depth + 1),
                };
                object.insert(name.clone(), value);
            }
        }
        if schema["additionalProperties"].is_object() && depth < 6 {
            let value = self.value(&schema["additionalProperties"], depth + 1);
            object.insert("some key".to_owned(), value);
        } else if schema.get("properties").is_some() && self.below(3) == 0 {
            object.insert("novel".to_owned(), json!({ "a": [1] }));
        }
        object.into()
    }

    fn is_object(&self, schema: &Value) -> bool {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap();
                self.is_object(&DOCUMENT["components"]["schemas"][name])
            }
            None => schema["type"] == "object" && schema.get("properties").is_some(),
        }
    }
}
