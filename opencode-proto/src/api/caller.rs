use super::Operation;

/// Sender of operations: a server of the async API, of the blocking API, or of an application.
///
/// The trait is for code that works with all of them, such as the groups of `opencode-api`.
///
/// ```
/// use http::Response;
/// use opencode_proto::ApiError;
/// use opencode_proto::api::{Caller, Health, Operation};
///
/// /// Answers every request alike, without a connection.
/// struct Canned(&'static str);
///
/// impl Caller for Canned {
///     type Called<O: Operation<Output: Send> + Send + Sync + 'static> = Result<O::Output, ApiError>;
///
///     fn carry_out<O>(&self, operation: O) -> Self::Called<O>
///     where
///         O: Operation<Output: Send> + Send + Sync + 'static,
///     {
///         operation.decode(Response::new(self.0.into()))
///     }
/// }
///
/// let health = Canned(r#"{"healthy":true,"version":"1.18.33"}"#).carry_out(Health::new())?;
/// assert_eq!(&*health.version, "1.18.33");
/// # Ok::<(), ApiError>(())
/// ```
pub trait Caller {
    /// Result of a call: a future, or the output itself where calls block.
    type Called<O>
    where
        O: Operation<Output: Send> + Send + Sync + 'static;

    /// Carries out an operation.
    fn carry_out<O>(&self, operation: O) -> Self::Called<O>
    where
        O: Operation<Output: Send> + Send + Sync + 'static;
}
