//! JSON Schema 2020-12, to the extent that derived schemas use it.
//!
//! A complete validator would bring more crates and take longer to build than everything else in
//! this crate together.

mod check;
mod choice;
mod compare;
mod compile;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use opencode_proto::RawJson;
use regex_lite::Regex;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::error::SchemaError;
use super::misfit::Path;
use super::misfit::Problem;

/// Schema that answers can be checked against.
pub(super) struct Validator {
    schema: Value,
    /// Compiled patterns by their text.
    patterns: BTreeMap<String, Regex>,
}

impl Validator {
    pub(super) fn new(schema: &RawJson) -> Result<Self, SchemaError> {
        let schema: Value =
            schema.decode().map_err(|error| SchemaError::new(Path::Whole, error.to_string()))?;
        let patterns = compile::patterns(&schema)?;
        Ok(Self { schema, patterns })
    }

    /// Checks the value and returns all problems on failure.
    pub(super) fn check(&self, value: &RawJson) -> Result<(), Vec<Problem>> {
        let value: Value =
            value.decode().map_err(|error| vec![Problem::new(Path::Whole, error.to_string())])?;
        let problems = self.problems(&value);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

/// Derives the schema of a type in the form that providers prefer.
pub(super) fn derive<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings.with_transform(RecursiveTransform(without_sizes));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Drops the number formats of schemars (`uint8`), since providers reject unknown formats and the
/// schema also states the limits.
fn without_sizes(schema: &mut Schema) {
    let is_size = |format: &str| {
        matches!(format, "double" | "float")
            || format
                .trim_start_matches('u')
                .strip_prefix("int")
                .is_some_and(|bits| bits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if schema.get("format").and_then(Value::as_str).is_some_and(is_size) {
        schema.remove("format");
    }
}
