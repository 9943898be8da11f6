use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Which of two was ready first.
pub(crate) enum First<A, B> {
    One(A),
    Other(B),
}

/// Waits for either. Should both be ready, the first counts.
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
