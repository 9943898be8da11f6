//! Which model to ask.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A model in OpenCode's spelling, `provider/model`.
///
/// Only the first `/` separates: model names contain slashes themselves. A name without a slash has
/// no provider; the server then resolves it, while `opencode run --model` takes a bare name for a
/// provider and fails.
///
/// ```
/// use opencode_config::ModelRef;
///
/// let model: ModelRef = "openrouter/meta-llama/llama-4".parse()?;
/// assert_eq!(model.provider(), Some("openrouter"));
/// assert_eq!(model.model(), "meta-llama/llama-4");
/// # Ok::<(), opencode_config::ModelRefError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    text: String,
}

impl ModelRef {
    /// Reads `provider/model` or a bare model name.
    ///
    /// # Errors
    ///
    /// [`ModelRefError`] when the text, or one of the two parts, is empty.
    pub fn new(text: impl Into<String>) -> Result<Self, ModelRefError> {
        let text = text.into();
        let parts_present = match text.split_once('/') {
            Some((provider, model)) => !provider.is_empty() && !model.is_empty(),
            None => !text.is_empty(),
        };
        if parts_present { Ok(Self { text }) } else { Err(ModelRefError { text }) }
    }

    /// What stands before the first `/`.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.text.split_once('/').map(|(provider, _)| provider)
    }

    /// What stands after the first `/`, or the whole name if there is none.
    #[must_use]
    pub fn model(&self) -> &str {
        self.text.split_once('/').map_or(self.text.as_str(), |(_, model)| model)
    }

    /// The text as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A model name that is empty, or has an empty provider or model.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a model: expected `provider/model`")]
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
