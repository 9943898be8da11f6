use std::fmt;
use std::sync::Arc;

use opencode_config::{Json, JsoncError};
use opencode_proto::RawJson;
use serde::de::DeserializeOwned;

use super::error::SchemaError;
use super::misfit::{Misfit, Path, Problem};
#[cfg(feature = "schema")]
use super::validator::Validator;
use super::wrapper::{ANSWER, Wrapping, unwrap, wrap};

/// Schema of an answer, with the checks and the limit of repeated asks. Cloning the schema is
/// cheap.
///
/// ```
/// use opencode_tokio::event::RawJson;
/// use opencode_tokio::AnswerSchema;
///
/// #[derive(serde::Deserialize)]
/// struct Licence {
///     name: String,
/// }
///
/// let schema = RawJson::parse(
///     r#"{
///         "type": "object",
///         "properties": { "name": { "type": "string" } },
///         "required": ["name"]
///     }"#,
/// )?;
/// let schema = AnswerSchema::of::<Licence>(schema)
///     .with_check(|answer| match answer.decode::<Licence>() {
///         Ok(licence) if licence.name.is_empty() => Err("the name is empty".to_owned()),
///         _ => Ok(()),
///     })
///     .with_asks_max(1);
/// # drop(schema);
/// # Ok::<_, serde_json::Error>(())
/// ```
///
/// With the feature `schema`, the schema can be derived from the type.
///
/// Providers accept objects only. For any other answer (a list, an enum, a map) the model is asked
/// for an object with the answer in the property `answer`; the outcome holds the answer alone.
#[derive(Clone)]
pub struct AnswerSchema {
    /// Schema as sent, or the reason why the schema cannot be sent.
    sent: Result<RawJson, SchemaError>,
    wrapping: Wrapping,
    #[cfg(feature = "schema")]
    validator: Option<Arc<Validator>>,
    read: fn(&RawJson, Path<'_>) -> Result<(), Problem>,
    checks: Vec<AnswerCheck>,
    asks_max: u32,
}

type AnswerCheck = Arc<dyn Fn(&RawJson) -> Result<(), String> + Send + Sync>;

impl AnswerSchema {
    /// Creates a schema from JSON Schema and the type that answers are parsed as.
    ///
    /// An answer fits if it can be parsed; further constraints of the schema guide the model only,
    /// unless they are checked as well.
    pub fn of<T: DeserializeOwned>(schema: RawJson) -> Self {
        let read = read::<T>;
        let base = |sent, wrapping| Self {
            sent,
            wrapping,
            #[cfg(feature = "schema")]
            validator: None,
            read,
            checks: Vec::new(),
            asks_max: 2,
        };
        match prepare(&schema) {
            Ok((sent, wrapping)) => base(Ok(sent), wrapping),
            Err(error) => base(Err(error), Wrapping::Bare),
        }
    }

    /// Derives the schema from type `T`.
    ///
    /// Answers are checked against the whole schema, so constraints beyond the type itself are
    /// enforced: `#[schemars(range(min = 1))]`, `length`, `regex` and the like.
    ///
    /// Subschemas are inlined, as providers prefer; only recursive types use references.
    ///
    /// Properties come in the order of schemars: alphabetical, or that of the fields if the program
    /// enables the feature `preserve_order` of `schemars`. Models tend to write an answer in the
    /// order of the schema.
    #[cfg(feature = "schema")]
    pub fn derived<T: schemars::JsonSchema + DeserializeOwned>() -> Self {
        let schema = super::validator::derive::<T>();
        match RawJson::parse(schema.to_string()) {
            Ok(schema) => Self::of::<T>(schema).with_validation(),
            Err(error) => unreachable!("what was just written can be read: {error}"),
        }
    }

    /// Checks answers against the schema itself too, for the constraints beyond the type.
    ///
    /// All keywords of JSON Schema 2020-12 that constrain values are supported, except `$anchor`,
    /// `$dynamicRef`, `contentSchema`, `dependentSchemas`, `unevaluatedItems`,
    /// `unevaluatedProperties` and keywords that older drafts spell differently. A schema that has
    /// these, refers to something outside, or has a `pattern` that cannot be read is rejected when
    /// the request is sent. `format` is not checked.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn with_validation(mut self) -> Self {
        let validator = match &self.sent {
            Ok(sent) => Validator::new(sent),
            Err(_) => return self,
        };
        match validator {
            Ok(validator) => self.validator = Some(Arc::new(validator)),
            Err(error) => self.sent = Err(error),
        }
        self
    }

    /// Adds a custom check of an answer that fits otherwise. The model receives the error message.
    #[must_use]
    pub fn with_check(
        mut self,
        check: impl Fn(&RawJson) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// Sets how many times the model is asked again. Default: 2.
    #[must_use]
    pub fn with_asks_max(mut self, asks_max: u32) -> Self {
        self.asks_max = asks_max;
        self
    }

    /// Returns how many times the model is asked again.
    pub fn asks_max(&self) -> u32 {
        self.asks_max
    }

    /// Returns the schema as sent.
    ///
    /// # Errors
    ///
    /// Fails when the JSON is not a schema, or when answers cannot be checked against the schema.
    pub fn schema(&self) -> Result<&RawJson, &SchemaError> {
        self.sent.as_ref()
    }

    /// Returns whether an answer of an earlier turn fits.
    pub(crate) fn accepts(&self, answer: &RawJson) -> bool {
        match self.wrapping {
            Wrapping::Bare => self.problems(answer).is_ok(),
            Wrapping::Wrapped => RawJson::parse(format!(r#"{{"{ANSWER}":{answer}}}"#))
                .is_ok_and(|given| self.problems(&given).is_ok()),
        }
    }

    /// Returns the answer inside the model's output, or the problems of the output.
    pub(super) fn check(&self, given: &RawJson) -> Result<RawJson, Misfit> {
        self.problems(given).map_err(|problems| Misfit::unfit(given.detach(), problems))
    }

    fn problems(&self, given: &RawJson) -> Result<RawJson, Vec<Problem>> {
        #[cfg(feature = "schema")]
        if let Some(validator) = &self.validator {
            validator.check(given)?;
        }
        let (answer, path) = match self.wrapping {
            Wrapping::Bare => (given.detach(), Path::Whole),
            Wrapping::Wrapped => match unwrap(given) {
                Some(answer) => (answer, Path::Member(&Path::Whole, ANSWER)),
                None => {
                    let missing = format!("this is no object with the property `{ANSWER}`");
                    return Err(vec![Problem::new(Path::Whole, missing)]);
                }
            },
        };
        (self.read)(&answer, path).map_err(|problem| vec![problem])?;
        let failed = self.checks.iter().filter_map(|check| check(&answer).err());
        let problems: Vec<_> = failed.map(|message| Problem::new(path, message)).collect();
        if problems.is_empty() { Ok(answer) } else { Err(problems) }
    }
}

/// Parses `answer`, which is at `path` in the model's output.
fn read<T: DeserializeOwned>(answer: &RawJson, path: Path<'_>) -> Result<(), Problem> {
    let mut reader = serde_json::Deserializer::from_slice(answer.as_bytes());
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) else { return Ok(()) };
    let within = error.path().iter().next().is_some().then(|| error.path().to_string());
    let path = match (path.to_string(), within) {
        (path, None) => path,
        (path, Some(within)) if path.is_empty() => within,
        (path, Some(within)) if within.starts_with('[') => path + &within,
        (path, Some(within)) => path + "." + &within,
    };
    let message = error.inner().to_string();
    // Line numbers are of no use to the model.
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    Err(Problem::new(path, message))
}

fn prepare(schema: &RawJson) -> Result<(RawJson, Wrapping), SchemaError> {
    let schema: Json = schema
        .as_str()
        .parse()
        .map_err(|error: JsoncError| SchemaError::new(Path::Whole, error.to_string()))?;
    if schema.as_object().is_none() && schema.as_bool().is_none() {
        return Err(SchemaError::new(Path::Whole, "a schema is an object"));
    }
    let (schema, wrapping) = wrap(schema);
    let sent = RawJson::parse(schema.to_string())
        .map_err(|error| SchemaError::new(Path::Whole, error.to_string()))?;
    Ok((sent, wrapping))
}

impl fmt::Debug for AnswerSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerSchema")
            .field("schema", &self.sent)
            .field("asks_max", &self.asks_max)
            .finish_non_exhaustive()
    }
}
