//! JSON with comments and trailing commas, the way OpenCode reads its config files.

use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Largest text [`parse_jsonc`] reads.
pub const CONFIG_FILE_SIZE_MAX: usize = 16 * 1024 * 1024;

/// OpenCode's own parser takes comments and trailing commas and nothing else beyond JSON.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a config file: JSON, comments, trailing commas, an optional byte order mark.
///
/// The order of keys is kept; of a key given twice the last value counts, at the first place.
///
/// # Errors
///
/// [`JsoncError`] for text that is not such an object. Text nested too deep for the stack is one of
/// them, so hostile files are harmless.
pub fn parse_jsonc(text: &[u8]) -> Result<Map<String, Value>, JsoncError> {
    if text.len() > CONFIG_FILE_SIZE_MAX {
        return Err(JsoncError::TooLarge { size: text.len(), size_max: CONFIG_FILE_SIZE_MAX });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| JsoncError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root: Value = parse_to_serde_value(text, &OPTIONS).map_err(JsoncError::from_parser)?;
    match root {
        Value::Object(object) => Ok(object),
        Value::Array(_) => Err(JsoncError::NotAnObject { found: "an array" }),
        Value::Bool(_) => Err(JsoncError::NotAnObject { found: "a boolean" }),
        Value::Null => Err(JsoncError::NotAnObject { found: "null or empty" }),
        Value::Number(_) => Err(JsoncError::NotAnObject { found: "a number" }),
        Value::String(_) => Err(JsoncError::NotAnObject { found: "a string" }),
    }
}

/// Why a text is no JSON object. Says where, never what the text was: config files hold keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsoncError {
    /// The outermost value is something other than an object.
    #[error("the root is {found}, not an object")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// The bytes stop being UTF-8.
    #[error("not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Of the first wrong byte.
        offset: usize,
    },
    /// The text breaks the rules of JSON.
    #[error("{reason} at line {line}, column {column}")]
    Syntax {
        /// What the parser expected.
        reason: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// Brackets are nested deeper than any config needs.
    #[error("nested too deep at line {line}, column {column}")]
    TooDeep {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// The text is larger than any config.
    #[error("{size} bytes are more than the limit of {size_max}")]
    TooLarge {
        /// In bytes.
        size: usize,
        /// In bytes.
        size_max: usize,
    },
}

impl JsoncError {
    fn from_parser(error: ParseError) -> Self {
        let (line, column) = (error.line_display(), error.column_display());
        if matches!(error.kind(), ParseErrorKind::NestingDepthExceeded) {
            return Self::TooDeep { line, column };
        }
        Self::Syntax { reason: reason(&error.kind().to_string()), line, column }
    }
}

/// The first part of what the parser says. After a quotation mark it may go on with what the text says, or with a place
/// within that.
fn reason(sentence: &str) -> String {
    let ends = ["'", "\"", "`", ":", " at line"];
    let end = ends.iter().filter_map(|end| sentence.find(end)).min().unwrap_or(sentence.len());
    let mut characters = sentence[..end].trim_end_matches([' ', '.']).chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
