//! Idle connections, which wait for the next request.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use super::link::Link;

/// Maximum number of idle connections. More would help only as many calls at the same time, and a
/// new connection is cheap.
const IDLE_MAX: usize = 4;

/// Idle connections. The last used one is taken first, since the server has had the least time to
/// close that one.
#[derive(Default)]
pub(super) struct Idle {
    links: Mutex<Vec<Link>>,
}

impl Idle {
    /// Takes a link that the server has not closed, as far as is known. Closed links are dropped.
    pub(super) async fn take(&self) -> Option<Link> {
        poll_fn(|cx| {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain_mut(|link| link.is_usable(cx));
            Poll::Ready(links.pop())
        })
        .await
    }

    /// Keeps a link after a complete reply, if the link can be used again.
    pub(super) async fn put(&self, mut link: Link) {
        let usable = poll_fn(|cx| Poll::Ready(link.is_usable(cx))).await;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if usable && links.len() < IDLE_MAX {
            links.push(link);
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
