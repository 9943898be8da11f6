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

/// What an answer has to look like, how it is checked, and how often the model is asked again. Cloning it is cheap.
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
///     r#"{ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] }"#,
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
/// Providers take objects only. For any other answer (a list, an enum, a map) the model is asked for an object whose
/// property `answer` it is; what comes out is the answer itself.
#[derive(Clone)]
pub struct AnswerSchema {
    /// What is sent, or why it cannot be.
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
    /// A schema and the type that its answers are read as. An answer fits if it can be read; what the schema says beyond
    /// that is for the model, unless it is checked as well.
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

    /// The schema of this type. Answers are checked against all of it, so that limits count which the type itself does
    /// not know: `#[schemars(range(min = 1))]`, `length`, `regex` and the like.
    ///
    /// Everything is told in place, as providers like it; only types that contain themselves are referred to.
    ///
    /// Properties come in the order of schemars: alphabetical, or that of the fields if the program
    /// enables the feature `preserve_order` of `schemars`. Models tend to write an answer in the
    /// order of its schema.
    #[cfg(feature = "schema")]
    pub fn derived<T: schemars::JsonSchema + DeserializeOwned>() -> Self {
        let schema = super::validator::derive::<T>();
        match RawJson::parse(schema.to_string()) {
            Ok(schema) => Self::of::<T>(schema).with_validation(),
            Err(error) => unreachable!("what was just written can be read: {error}"),
        }
    }

    /// Checks answers against the schema itself too, for what it says beyond the type.
    ///
    /// All of JSON Schema 2020-12 that says something about values is known, but for `$anchor`, `$dynamicRef`,
    /// `contentSchema`, `dependentSchemas`, `unevaluatedItems`, `unevaluatedProperties` and what older drafts spell
    /// differently. A schema that has these, refers to something outside, or has a `pattern` that cannot be read is
    /// refused when it is sent. `format` is not checked.
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

    /// With a check of the caller's own, of an answer that fits otherwise. The model is told what it says.
    #[must_use]
    pub fn with_check(
        mut self,
        check: impl Fn(&RawJson) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// How often the model is asked again. Default: 2.
    #[must_use]
    pub fn with_asks_max(mut self, asks_max: u32) -> Self {
        self.asks_max = asks_max;
        self
    }

    /// How often the model is asked again.
    pub fn asks_max(&self) -> u32 {
        self.asks_max
    }

    /// The schema as it is sent.
    ///
    /// # Errors
    ///
    /// When it is none, or cannot be checked.
    pub fn schema(&self) -> Result<&RawJson, &SchemaError> {
        self.sent.as_ref()
    }

    /// The answer in what the model gave, or what is wrong with it.
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

/// Reads `answer`, which is at `path` in what the model gave.
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
    // The model does not count lines.
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
