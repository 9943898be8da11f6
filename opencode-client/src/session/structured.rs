//! Typed answers: a prompt whose answer has to fit a schema, asked again until it does.

mod error;
mod misfit;
mod outcome;
mod pause;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(feature = "schema")]
mod validator;
mod wrapper;

pub use error::{SchemaError, StructuredError};
pub use misfit::{Misfit, Problem};
pub use outcome::StructuredOutcome;
pub use schema::AnswerSchema;
pub use stream::StructuredStream;

use crate::session::Session;
use crate::session::turn::TurnRequest;

impl Session {
    /// Sends a prompt (or a [`TurnRequest`] with more choices) whose answer has to fit this schema, and hands out what
    /// happens. Nothing happens until the stream is polled.
    ///
    /// OpenCode asks the model for JSON and checks nothing, so the answer is checked here. A model whose answer does not
    /// fit, or that gives none, is told why and asked again in this session, by the same agent, as often as the schema
    /// says. The overall deadline of the request counts for all tries together. What the prompt says about the format of
    /// its answer is replaced.
    ///
    /// OpenCode 1.18.33 cannot list the messages of such a session any more; turns do not need that.
    pub fn send_structured(
        &self,
        request: impl Into<TurnRequest>,
        schema: &AnswerSchema,
    ) -> StructuredStream {
        StructuredStream::new(self.clone(), request.into(), schema.clone())
    }

    /// Asks for a value of this type: the schema is derived from it, and the model is asked again when its answer does not
    /// fit. See [`send_structured`](Self::send_structured) for more choices.
    ///
    /// # Errors
    ///
    /// When no answer fits, or a turn fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the turn.
    #[cfg(feature = "schema")]
    pub async fn answer<T>(&self, request: impl Into<TurnRequest>) -> Result<T, StructuredError>
    where
        T: schemars::JsonSchema + serde::de::DeserializeOwned,
    {
        let outcome =
            self.send_structured(request, &AnswerSchema::derived::<T>()).outcome().await?;
        match outcome.parse() {
            Ok(value) => Ok(value),
            // It was read before, so this is a type that cannot be read twice.
            Err(error) => Err(outcome.into_misfit(Problem::new("", error.to_string()))),
        }
    }
}
