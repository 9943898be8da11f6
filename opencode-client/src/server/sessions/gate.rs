use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Holds prompts back while a session is being aborted: an abort that overtakes a prompt would end that one too, and
/// OpenCode takes a session for idle when an old turn has wound down after a new one began.
#[derive(Clone, Debug, Default)]
pub(crate) struct AbortGate(Arc<Mutex<Gate>>);

#[derive(Debug, Default)]
struct Gate {
    aborts: usize,
    waiting: Vec<Waker>,
}

/// An abort on its way. To be dropped when the server has replied.
#[derive(Debug)]
pub(crate) struct Abort(AbortGate);

impl AbortGate {
    /// An abort begins.
    pub(crate) fn begin(&self) -> Abort {
        self.lock(|gate| gate.aborts += 1);
        Abort(self.clone())
    }

    /// Waits until no abort is on its way.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            self.lock(|gate| {
                if gate.aborts == 0 {
                    return Poll::Ready(());
                }
                gate.waiting.push(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Gate) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        let waiting = self.0.lock(|gate| {
            gate.aborts -= 1;
            if gate.aborts == 0 { std::mem::take(&mut gate.waiting) } else { Vec::new() }
        });
        waiting.into_iter().for_each(Waker::wake);
    }
}
