//! JSON with comments and trailing commas, the way OpenCode reads config files.

use std::str::FromStr;

use jsonc_parser::ast::Value as Node;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::{Json, JsonObject};

#[cfg(test)]
mod tests;

/// The largest text that [`parse_jsonc`] reads, in bytes.
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

/// Reads a config file: a JSON object, with comments, trailing commas and an optional byte order
/// mark.
///
/// Keys keep their order and numbers their spelling. Of a key given twice the last value counts, at
/// the first place.
///
/// ```
/// use opencode_config::parse_jsonc;
///
/// let file = br#"{
///     // Reads are fine, the rest is not.
///     "permission": { "*": "deny", "read": "allow", },
/// }"#;
/// let config = parse_jsonc(file)?;
/// assert_eq!(config.to_string(), r#"{"permission":{"*":"deny","read":"allow"}}"#);
///
/// let error = parse_jsonc(br#"{"model": }"#).unwrap_err();
/// assert_eq!(error.to_string(), "unexpected close brace at line 1, column 11");
/// # Ok::<(), opencode_config::JsoncError>(())
/// ```
///
/// # Errors
///
/// [`JsoncError`] for text that is not such an object. Text that is nested too deep for the stack
/// is an error too, so hostile files are harmless.
pub fn parse_jsonc(text: &[u8]) -> Result<JsonObject, JsoncError> {
    match parse_root(text)? {
        Some(Json::Object(object)) => Ok(object),
        Some(Json::Null) | None => Err(JsoncError::NotAnObject { found: "null or empty" }),
        Some(other) => Err(JsoncError::NotAnObject { found: other.kind() }),
    }
}

/// Reads JSON, also with comments and trailing commas, like [`parse_jsonc`].
impl FromStr for Json {
    type Err = JsoncError;

    fn from_str(text: &str) -> Result<Self, JsoncError> {
        parse_value(text.as_bytes())
    }
}

/// Reads a JSON object, also with comments and trailing commas, like
/// [`parse_jsonc`].
impl FromStr for JsonObject {
    type Err = JsoncError;

    fn from_str(text: &str) -> Result<Self, JsoncError> {
        parse_jsonc(text.as_bytes())
    }
}

/// Reads a value of any kind by the same rules.
pub(crate) fn parse_value(text: &[u8]) -> Result<Json, JsoncError> {
    parse_root(text)?.ok_or(JsoncError::Empty)
}

fn parse_root(text: &[u8]) -> Result<Option<Json>, JsoncError> {
    if text.len() > CONFIG_FILE_SIZE_MAX {
        return Err(JsoncError::TooLarge { size: text.len(), size_max: CONFIG_FILE_SIZE_MAX });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| JsoncError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS);
    Ok(parsed.map_err(JsoncError::from_parser)?.value.map(value_of))
}

fn value_of(node: Node<'_>) -> Json {
    match node {
        Node::NullKeyword(_) => Json::Null,
        Node::BooleanLit(literal) => literal.value.into(),
        Node::NumberLit(literal) => {
            Json::Number(literal.value.parse().expect("the parser takes numbers of JSON only"))
        }
        Node::StringLit(literal) => literal.value.into_owned().into(),
        Node::Array(array) => Json::Array(array.elements.into_iter().map(value_of).collect()),
        Node::Object(object) => {
            let properties = object.properties.into_iter();
            let entries =
                properties.map(|property| (property.name.into_string(), value_of(property.value)));
            Json::Object(entries.collect())
        }
    }
}

/// Text that cannot be read as the expected JSON.
///
/// Names the position and never the text itself, since config files hold keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsoncError {
    /// The text has no value, only white space and comments at most.
    #[error("the text has no value")]
    Empty,
    /// The outermost value is not an object.
    #[error("the root is {found}, not an object")]
    NotAnObject {
        /// Kind of the value, such as `an array`.
        found: &'static str,
    },
    /// The bytes are not UTF-8.
    #[error("not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        offset: usize,
    },
    /// The text breaks the grammar of JSON.
    #[error("{reason} at line {line}, column {column}")]
    Syntax {
        /// Complaint of the parser.
        reason: String,
        /// Number of the line, from 1.
        line: usize,
        /// Number of the character in the line, from 1.
        column: usize,
    },
    /// Brackets are nested deeper than any config needs.
    #[error("nested too deep at line {line}, column {column}")]
    TooDeep {
        /// Number of the line, from 1.
        line: usize,
        /// Number of the character in the line, from 1.
        column: usize,
    },
    /// The text is larger than any config.
    #[error("{size} bytes are more than the limit of {size_max}")]
    TooLarge {
        /// Size of the text in bytes.
        size: usize,
        /// Largest size in bytes.
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

/// The first part of the parser's message. After a quotation mark the message can quote the text,
/// or give a position within the quotation.
fn reason(sentence: &str) -> String {
    let ends = ["'", "\"", "`", ":", " at line"];
    let end = ends.iter().filter_map(|end| sentence.find(end)).min().unwrap_or(sentence.len());
    let mut characters = sentence[..end].trim_end_matches([' ', '.']).chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
