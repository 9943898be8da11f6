//! Preparation of a schema for validation, and rejection of unsupported schemas.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::super::error::SchemaError;
use super::super::misfit::Path;

/// Keywords that hold one schema, a list of schemas, or schemas by name.
const ONE: [&str; 8] =
    ["additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 4] = ["$defs", "definitions", "patternProperties", "properties"];

/// Keywords that constrain values and are not supported here.
const UNKNOWN: [&str; 11] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
    "additionalItems",
    "contentSchema",
    "dependencies",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Compiles all patterns of a schema.
pub(super) fn patterns(schema: &Value) -> Result<BTreeMap<String, Regex>, SchemaError> {
    let mut compiler = Compiler { root: schema, patterns: BTreeMap::new() };
    compiler.schema(schema, Path::Whole)?;
    Ok(compiler.patterns)
}

struct Compiler<'a> {
    root: &'a Value,
    patterns: BTreeMap<String, Regex>,
}

impl Compiler<'_> {
    fn schema(&mut self, schema: &Value, path: Path<'_>) -> Result<(), SchemaError> {
        let members = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(members) => members,
            Value::Array(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                return Err(SchemaError::new(path, "a schema is an object, `true` or `false`"));
            }
        };
        if let Some(name) = UNKNOWN.iter().find(|name| members.contains_key(**name)) {
            return Err(SchemaError::new(path, format!("`{name}` cannot be checked")));
        }
        self.texts(members, path)?;
        for (name, member) in members {
            let path = Path::Member(&path, name);
            if ONE.contains(&&**name) {
                self.schema(member, path)?;
            } else if LISTS.contains(&&**name) {
                for (index, schema) in member.as_array().into_iter().flatten().enumerate() {
                    self.schema(schema, Path::Item(&path, index))?;
                }
            } else if NAMED.contains(&&**name) {
                for (name, schema) in member.as_object().into_iter().flatten() {
                    self.schema(schema, Path::Member(&path, name))?;
                }
            }
        }
        Ok(())
    }

    fn texts(&mut self, members: &Map<String, Value>, path: Path<'_>) -> Result<(), SchemaError> {
        if let Some(target) = members.get("$ref") {
            let found = target.as_str().and_then(|target| resolve(self.root, target));
            if found.is_none() {
                return Err(SchemaError::new(path, format!("{target} leads nowhere")));
            }
        }
        let named = members.get("patternProperties").and_then(Value::as_object);
        let named = named.into_iter().flat_map(Map::keys).map(|pattern| &**pattern);
        let own = members.get("pattern").and_then(Value::as_str);
        for pattern in named.chain(own) {
            let regex = Regex::new(pattern).map_err(|error| {
                SchemaError::new(path, format!("the pattern {pattern:?} cannot be read: {error}"))
            })?;
            self.patterns.insert(pattern.to_owned(), regex);
        }
        Ok(())
    }
}

/// Returns the target of a reference within `root`.
pub(super) fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}
