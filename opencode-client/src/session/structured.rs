//! Typed answers: prompts whose answer has to fit a schema, repeated until an answer fits.

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
pub(crate) use stream::is_suitable;

use crate::session::Session;
use crate::session::turn::TurnRequest;

impl Session {
    /// Sends a prompt (or a [`TurnRequest`] with more options) whose answer has to fit this schema,
    /// and returns the events of all tries. Nothing is sent until the stream is polled.
    ///
    /// OpenCode asks the model for JSON without validating the answer, so this crate checks the
    /// answer. When the answer does not fit or is missing, the model receives the reason and is
    /// asked again in this session, by the same agent, up to the limit of the schema
    /// ([`AnswerSchema::asks_max`]). The overall deadline of the request covers all tries together.
    /// The output format of the prompt is replaced.
    ///
    /// OpenCode 1.18.33 can no longer list the messages of such a session; turns do not depend on
    /// that list.
    pub fn send_structured(
        &self,
        request: impl Into<TurnRequest>,
        schema: &AnswerSchema,
    ) -> StructuredStream {
        StructuredStream::new(self.clone(), request.into(), schema.clone())
    }

    /// Asks for a value of type `T`, with the schema derived from `T`.
    ///
    /// The model is asked again when the answer does not fit. See
    /// [`send_structured`](Self::send_structured) for more options.
    ///
    /// # Errors
    ///
    /// Fails when no answer fits, or when a turn fails.
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
            // The check already parsed the value, so `T` is a type that cannot be parsed twice.
            Err(error) => Err(outcome.into_misfit(Problem::new("", error.to_string()))),
        }
    }
}
