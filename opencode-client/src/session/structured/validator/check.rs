//! Validation of one value against one schema, keyword by keyword.

use std::cmp::Ordering;
use std::slice;

use serde_json::{Map, Number, Value};

use super::super::misfit::Path;
use super::super::misfit::Problem;
use super::Validator;
use super::compare::{compare, is_equal, is_integer, is_multiple};
use super::compile::resolve;

/// Maximum depth of references; a deeper schema is considered circular.
const DEPTH_MAX: usize = 256;

/// Predicate on the comparison of a number with a limit; true within the limit.
type Fits = fn(Ordering) -> bool;

/// State of a running validation.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) validator: &'a Validator,
    pub(super) problems: Vec<Problem>,
    pub(super) depth: usize,
}

impl Validator {
    /// Returns all problems of the value.
    pub(super) fn problems(&self, value: &Value) -> Vec<Problem> {
        let mut check = Check { validator: self, problems: Vec::new(), depth: 0 };
        check.schema(&self.schema, value, Path::Whole);
        check.problems
    }
}

impl Check<'_> {
    pub(super) fn schema(&mut self, schema: &Value, value: &Value, path: Path<'_>) {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => return self.add(path, "nothing may be here"),
            Value::Array(_)
            | Value::Bool(true)
            | Value::Null
            | Value::Number(_)
            | Value::String(_) => return,
        };
        if self.depth == DEPTH_MAX {
            return self.add(path, "its schema goes in circles");
        }
        self.depth += 1;
        self.kind(schema, value, path);
        match value {
            Value::Array(items) => self.array(schema, items, path),
            Value::Number(number) => self.number(schema, number, path),
            Value::Object(members) => self.object(schema, members, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Bool(_) | Value::Null => {}
        }
        self.choices(schema, value, path);
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && let Some(schema) = resolve(&self.validator.schema, target)
        {
            self.schema(schema, value, path);
        }
        self.depth -= 1;
    }

    pub(super) fn add(&mut self, path: Path<'_>, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    /// Checks the keywords `type`, `enum` and `const`.
    fn kind(&mut self, schema: &Map<String, Value>, value: &Value, path: Path<'_>) {
        if let Some(kinds) = schema.get("type") {
            let kinds = kinds.as_array().map_or_else(|| slice::from_ref(kinds), Vec::as_slice);
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
            if !kinds.iter().any(|kind| is_of(value, kind)) {
                let message = format!("{} is not of type {}", short(value), kinds.join(" or "));
                return self.add(path, message);
            }
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.iter().any(|allowed| is_equal(allowed, value))
        {
            let allowed: Vec<_> = allowed.iter().map(short).collect();
            self.add(path, format!("{} is none of {}", short(value), allowed.join(", ")));
        }
        if let Some(constant) = schema.get("const").filter(|constant| !is_equal(constant, value)) {
            self.add(path, format!("{} is not {}", short(value), short(constant)));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: &Number, path: Path<'_>) {
        let limits: [(&str, &str, Fits); 4] = [
            ("exclusiveMaximum", "not less than", Ordering::is_lt),
            ("exclusiveMinimum", "not more than", Ordering::is_gt),
            ("maximum", "more than", Ordering::is_le),
            ("minimum", "less than", Ordering::is_ge),
        ];
        for (name, words, fits) in limits {
            let Some(Value::Number(limit)) = schema.get(name) else { continue };
            if !compare(number, limit).is_some_and(fits) {
                self.add(path, format!("{number} is {words} {limit}"));
            }
        }
        if let Some(Value::Number(of)) = schema.get("multipleOf")
            && !is_multiple(number, of)
        {
            self.add(path, format!("{number} is no multiple of {of}"));
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, path: Path<'_>) {
        let quoted = short(&Value::from(text));
        self.size(schema, ["minLength", "maxLength"], text.chars().count(), "characters", path);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !self.matches(pattern, text)
        {
            self.add(path, format!("{quoted} does not match {pattern}"));
        }
    }

    fn array(&mut self, schema: &Map<String, Value>, items: &[Value], path: Path<'_>) {
        self.size(schema, ["minItems", "maxItems"], items.len(), "items", path);
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                self.schema(schema, item, Path::Item(&path, index));
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let twice = (0..items.len())
                .find(|index| items[..*index].iter().any(|item| is_equal(item, &items[*index])));
            if let Some(index) = twice {
                self.add(Path::Item(&path, index), "this item is there twice");
            }
        }
        if let Some(wanted) = schema.get("contains") {
            let count = items.iter().filter(|item| self.try_schema(wanted, item, path).is_empty());
            let count = count.count();
            let least = schema.get("minContains").and_then(Value::as_u64).unwrap_or(1);
            let most = schema.get("maxContains").and_then(Value::as_u64).unwrap_or(u64::MAX);
            if !(least..=most).contains(&(count as u64)) {
                self.add(path, format!("{count} of its items fit {}", short(wanted)));
            }
        }
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        path: Path<'_>,
    ) {
        self.size(schema, ["minProperties", "maxProperties"], members.len(), "properties", path);
        self.required(schema.get("required"), members, path);
        for (name, required) in
            schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten()
        {
            if members.contains_key(name) {
                self.required(Some(required), members, path);
            }
        }
        let named = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (name, member) in members {
            let path = Path::Member(&path, name);
            if let Some(schema) = schema.get("propertyNames") {
                self.schema(schema, &Value::from(&**name), path);
            }
            let mut is_known = false;
            if let Some(schema) = named.and_then(|named| named.get(name)) {
                self.schema(schema, member, path);
                is_known = true;
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                if self.matches(pattern, name) {
                    self.schema(schema, member, path);
                    is_known = true;
                }
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !is_known => {
                    self.add(path, "there is no such property");
                }
                Some(schema) if !is_known => self.schema(schema, member, path),
                Some(_) | None => {}
            }
        }
    }

    fn required(&mut self, names: Option<&Value>, members: &Map<String, Value>, path: Path<'_>) {
        let names = names.and_then(Value::as_array).into_iter().flatten();
        for name in names.filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.add(Path::Member(&path, name), "this is missing");
            }
        }
    }

    fn size(
        &mut self,
        schema: &Map<String, Value>,
        [least, most]: [&str; 2],
        size: usize,
        unit: &str,
        path: Path<'_>,
    ) {
        let limit = |name| schema.get(name).and_then(Value::as_u64);
        if let Some(least) = limit(least).filter(|least| (size as u64) < *least) {
            self.add(path, format!("this has {size} {unit} and needs {least}"));
        }
        if let Some(most) = limit(most).filter(|most| (size as u64) > *most) {
            self.add(path, format!("this has {size} {unit} and may have {most}"));
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        self.validator.patterns.get(pattern).is_some_and(|regex| regex.is_match(text))
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Array(_) => kind == "array",
        Value::Bool(_) => kind == "boolean",
        Value::Null => kind == "null",
        Value::Number(number) => kind == "number" || kind == "integer" && is_integer(number),
        Value::Object(_) => kind == "object",
        Value::String(_) => kind == "string",
    }
}

/// Returns the beginning of a value as text.
pub(super) fn short(value: &Value) -> String {
    const SIZE_MAX: usize = 100;
    let mut text = value.to_string();
    if text.len() > SIZE_MAX {
        let end = (0..=SIZE_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}
