//! Validation of schemas that are composed of other schemas.

use serde_json::{Map, Value};

use super::super::misfit::Path;
use super::super::misfit::Problem;
use super::check::{Check, short};

impl Check<'_> {
    pub(super) fn choices(&mut self, schema: &Map<String, Value>, value: &Value, path: Path<'_>) {
        for schema in list(schema, "allOf") {
            self.schema(schema, value, path);
        }
        for name in ["anyOf", "oneOf"] {
            if schema.contains_key(name) {
                self.forms(name, list(schema, name), value, path);
            }
        }
        if let Some(schema) = schema.get("not")
            && self.try_schema(schema, value, path).is_empty()
        {
            self.add(path, format!("{} is excluded", short(value)));
        }
        if let Some(condition) = schema.get("if") {
            let holds = self.try_schema(condition, value, path).is_empty();
            if let Some(schema) = schema.get(if holds { "then" } else { "else" }) {
                self.schema(schema, value, path);
            }
        }
    }

    /// Returns the problems of the value under this schema alone.
    pub(super) fn try_schema(&self, schema: &Value, value: &Value, path: Path<'_>) -> Vec<Problem> {
        let mut check =
            Check { validator: self.validator, problems: Vec::new(), depth: self.depth };
        check.schema(schema, value, path);
        check.problems
    }

    fn forms(&mut self, name: &str, forms: &[Value], value: &Value, path: Path<'_>) {
        let tried: Vec<_> = forms.iter().map(|form| self.try_schema(form, value, path)).collect();
        let fitting = tried.iter().filter(|problems| problems.is_empty()).count();
        if fitting > 1 && name == "oneOf" {
            return self.add(path, format!("this fits {fitting} of its forms at once"));
        }
        if fitting > 0 {
            return;
        }
        // When only one form has all problems inside the value, that form was meant.
        let here = path.to_string();
        let is_within = |problems: &&Vec<Problem>| problems.iter().all(|found| found.path != here);
        let mut meant = tried.iter().filter(is_within);
        if let (Some(problems), None) = (meant.next(), meant.next()) {
            return self.problems.extend_from_slice(problems);
        }
        let mut why: Vec<_> = tried.iter().filter_map(|problems| problems.first()).collect();
        why.dedup();
        let why: Vec<_> = why.into_iter().map(ToString::to_string).collect();
        self.add(path, format!("this fits none of its forms: {}", why.join("; or ")));
    }
}

fn list<'a>(schema: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    schema.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
