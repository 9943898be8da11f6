use std::fmt;

use opencode_config::Json;

/// A value of another shape than the type has, with the path to the value.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// From the innermost field to the outermost.
    path: Vec<String>,
    expected: String,
    found: &'static str,
}

impl Malformed {
    pub(crate) fn new(expected: impl Into<String>, found: &Json) -> Self {
        Self { path: Vec::new(), expected: expected.into(), found: kind(found) }
    }

    pub(crate) fn missing(field: &str) -> Self {
        let path = vec![format!(".{field}")];
        Self { path, expected: "a value".to_owned(), found: "nothing" }
    }

    /// Adds the field that has the value.
    pub(crate) fn at_field(mut self, name: &str) -> Self {
        self.path.push(format!(".{name}"));
        self
    }

    /// Adds the place in the list that has the value.
    pub(crate) fn at_index(mut self, index: usize) -> Self {
        self.path.push(format!("[{index}]"));
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: String = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "{}: ", path.trim_start_matches('.'))?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
