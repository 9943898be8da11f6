use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use opencode_proto::{HubEnd, Interruption, ServerEvent};

/// Maximum size, in bytes, of the events that wait in a mailbox.
const WAITING_SIZE_MAX: usize = 64 << 20;

/// Queue of deliveries for one follower. A mailbox never delays the stream: a follower that does
/// not take events in time loses them, receives [`Delivery::Interrupted`], and has to resync.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<MailboxState>,
}

#[derive(Debug, Default)]
struct MailboxState {
    waiting: VecDeque<Delivery>,
    /// Size of the waiting events in bytes.
    size: usize,
    waker: Option<Waker>,
}

/// A message of the hub to one follower.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    Event(Arc<ServerEvent>),
    Finished(HubEnd),
    Interrupted(Interruption),
    Opened,
}

impl Mailbox {
    /// Adds a delivery. The returned waker is to be woken when no lock is held any more.
    #[must_use]
    pub(crate) fn push(&self, delivery: Delivery) -> Option<Waker> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Delivery::Event(event) = &delivery {
            state.size += event.raw.len();
            if state.size > WAITING_SIZE_MAX {
                state.waiting.retain(|waiting| !matches!(waiting, Delivery::Event(..)));
                state
                    .waiting
                    .push_back(Delivery::Interrupted(Interruption::behind(WAITING_SIZE_MAX)));
                state.waiting.push_back(Delivery::Opened);
                state.size = 0;
                return state.waker.take();
            }
        }
        state.waiting.push_back(delivery);
        state.waker.take()
    }

    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(delivery) = state.take() {
            return Poll::Ready(delivery);
        }
        let before = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Returns the next waiting delivery, if any, without waiting for more.
    pub(crate) fn take_waiting(&self) -> Option<Delivery> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl MailboxState {
    fn take(&mut self) -> Option<Delivery> {
        let delivery = self.waiting.pop_front()?;
        if let Delivery::Event(event) = &delivery {
            self.size -= event.raw.len();
        }
        Some(delivery)
    }
}
