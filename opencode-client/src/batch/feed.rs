//! The way of events from the running jobs to the stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_channel::mpsc;
use futures_core::Stream;
use opencode_proto::{JobNo, Spend};

use super::event::BatchEvent;

/// Maximum number of events of all jobs that wait for the reader. Each sender may have one more.
const WAITING_MAX: usize = 64;

/// News of a job.
#[derive(Debug)]
pub(super) enum FeedItem {
    /// Event of a running job, with the spend of the attempt where the event changed the spend.
    Event { event: Box<BatchEvent>, spend: Option<(JobNo, Spend)> },
    /// Spend of work that a job left, since the work began.
    Left(JobNo, Spend),
}

/// Sender of a job. A job waits while the reader does not take events.
#[derive(Clone, Debug)]
pub(super) struct Feed(mpsc::Sender<FeedItem>);

#[derive(Debug)]
pub(super) struct FeedReader(mpsc::Receiver<FeedItem>);

pub(super) fn feed() -> (Feed, FeedReader) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Feed(sender), FeedReader(receiver))
}

impl Feed {
    /// Waits until an item can be sent. Without a reader, items are lost: the job is about to be
    /// dropped.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = ready!(self.0.poll_ready(cx));
        Poll::Ready(())
    }

    /// Sends an item. There has to be room.
    pub(super) fn send(&mut self, item: FeedItem) {
        drop(self.0.start_send(item));
    }

    /// Sends an event when there is room.
    pub(super) async fn announce(&mut self, event: BatchEvent) {
        poll_fn(|cx| self.poll_ready(cx)).await;
        self.send(FeedItem::Event { event: Box::new(event), spend: None });
    }
}

impl FeedReader {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<FeedItem>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}
