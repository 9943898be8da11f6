use std::sync::Arc;

use futures_channel::oneshot;

use crate::runtime::Runtime;

/// Runs `work` where it may block and waits for what it returns. When the caller stops waiting, `work` still runs to
/// its end and what it returned is dropped there.
///
/// # Panics
///
/// When `work` panics.
pub(crate) async fn unblock<T: Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (give, take) = oneshot::channel();
    runtime.blocking(Box::new(move || {
        // Nobody waits any more: then dropping the result is what is left to do with it.
        let _ = give.send(work());
    }));
    take.await.expect("blocking work ends by returning")
}
