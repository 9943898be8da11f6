//! Waiting on any runtime.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Runtime, Timer};

/// A future of any type.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Output of the future that was ready first.
pub(crate) enum First<A, B> {
    One(A),
    Other(B),
}

/// Waits for either future. If both are ready, the first one counts.
pub(crate) async fn race<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        if let Poll::Ready(output) = one.as_mut().poll(cx) {
            return Poll::Ready(First::One(output));
        }
        other.as_mut().poll(cx).map(First::Other)
    })
    .await
}

/// The future did not complete within this limit.
pub(crate) struct Elapsed(pub(crate) Duration);

/// Waits for `future`, up to `limit`. Without a limit, waits until the future completes.
pub(crate) async fn within<F: Future>(
    runtime: &dyn Runtime,
    limit: Option<Duration>,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timer = limit.and_then(|limit| {
        let at = runtime.now().checked_add(limit)?;
        Some((runtime.timer(at), at, limit))
    });
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match &mut timer {
            Some((timer, at, limit)) => {
                poll_at(runtime, timer.as_mut(), *at, cx).map(|()| Err(Elapsed(*limit)))
            }
            None => Poll::Pending,
        }
    })
    .await
}

/// Waits until `at`.
pub(crate) async fn sleep_until(runtime: &dyn Runtime, at: Instant) {
    let mut timer = runtime.timer(at);
    poll_fn(|cx| poll_at(runtime, timer.as_mut(), at, cx)).await;
}

/// Is ready at `at`, which is the time of the timer.
///
/// The clock decides: a timer of tokio is never ready in a task that has used up its share of work,
/// which is always the case while a peer sends without pauses.
fn poll_at(
    runtime: &dyn Runtime,
    timer: Pin<&mut dyn Timer>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if runtime.now() >= at { Poll::Ready(()) } else { timer.poll(cx) }
}

/// Returns whether `at` has come. If not, the timer wakes the task then; without a time, nothing
/// does.
pub(crate) fn is_due(
    runtime: &dyn Runtime,
    timer: &mut Option<Pin<Box<dyn Timer>>>,
    at: Option<Instant>,
    cx: &mut Context<'_>,
) -> bool {
    at.is_some_and(|at| poll_timer(runtime, timer, at, cx).is_ready())
}

/// Is ready at `at`. Creates the timer, or resets the one that is there.
pub(crate) fn poll_timer(
    runtime: &dyn Runtime,
    timer: &mut Option<Pin<Box<dyn Timer>>>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = match timer {
        Some(timer) => {
            timer.as_mut().reset(at);
            timer
        }
        None => timer.insert(runtime.timer(at)),
    };
    poll_at(runtime, timer.as_mut(), at, cx)
}
