//! Names of models.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A model in OpenCode's spelling, `provider/model`.
///
/// Only the first `/` separates: names of models contain slashes themselves. A name without a slash
/// has no provider. A server then resolves the name, while `opencode run --model` takes a bare name
/// for a provider and fails.
///
/// ```
/// use opencode_config::ModelRef;
///
/// let model: ModelRef = "openrouter/meta-llama/llama-4".parse()?;
/// assert_eq!(model.provider(), Some("openrouter"));
/// assert_eq!(model.model(), "meta-llama/llama-4");
/// assert_eq!(model.to_string(), "openrouter/meta-llama/llama-4");
/// # Ok::<(), opencode_config::ModelRefError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    text: String,
}

impl ModelRef {
    /// Reads `provider/model` or the bare name of a model.
    ///
    /// # Errors
    ///
    /// [`ModelRefError`] when the text, or one of the two parts, is empty.
    pub fn new(text: impl Into<String>) -> Result<Self, ModelRefError> {
        let text = text.into();
        let has_parts = match text.split_once('/') {
            Some((provider, model)) => !provider.is_empty() && !model.is_empty(),
            None => !text.is_empty(),
        };
        if has_parts { Ok(Self { text }) } else { Err(ModelRefError { text }) }
    }

    /// Returns the text before the first `/`.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.text.split_once('/').map(|(provider, _)| provider)
    }

    /// Returns the text after the first `/`, or the whole name if it has no `/`.
    #[must_use]
    pub fn model(&self) -> &str {
        self.text.split_once('/').map_or(self.text.as_str(), |(_, model)| model)
    }

    /// Returns the text as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Name of a model that is empty, or that has an empty provider or model.
///
/// ```
/// use opencode_config::ModelRef;
///
/// let error = "anthropic/".parse::<ModelRef>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "cannot read `anthropic/` as the name of a model: use `provider/model`",
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot read `{text}` as the name of a model: use `provider/model`")]
pub struct ModelRefError {
    text: String,
}

impl FromStr for ModelRef {
    type Err = ModelRefError;

    fn from_str(text: &str) -> Result<Self, ModelRefError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for ModelRef {
    type Error = ModelRefError;

    fn try_from(text: &str) -> Result<Self, ModelRefError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ModelRef {
    type Error = ModelRefError;

    fn try_from(text: String) -> Result<Self, ModelRefError> {
        Self::new(text)
    }
}

impl From<ModelRef> for String {
    fn from(model: ModelRef) -> Self {
        model.text
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
