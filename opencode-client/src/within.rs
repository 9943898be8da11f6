use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::runtime::Runtime;

/// It has taken this long, and that was the limit.
pub(crate) struct Late(pub(crate) Duration);

/// Waits for `future`, but not longer than `limit`. `None` waits for ever.
pub(crate) async fn within<F: Future>(
    runtime: &dyn Runtime,
    limit: Option<Duration>,
    future: F,
) -> Result<F::Output, Late> {
    let mut future = pin!(future);
    let mut timer = limit.and_then(|limit| {
        let at = runtime.now().checked_add(limit)?;
        Some((runtime.timer(at), limit))
    });
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match &mut timer {
            Some((timer, limit)) => timer.as_mut().poll(cx).map(|()| Err(Late(*limit))),
            None => Poll::Pending,
        }
    })
    .await
}
