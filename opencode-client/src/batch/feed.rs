use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_channel::mpsc;
use futures_core::Stream;
use opencode_proto::{JobNo, Spend};

use super::event::BatchEvent;

/// How many events of all jobs together may wait for the reader. Each job may have one more.
const WAITING_MAX: usize = 64;

/// What a job says while it runs.
#[derive(Debug)]
pub(super) enum News {
    Event(Box<BatchEvent>),
    Spend(JobNo, Spend),
}

/// Where jobs say it. It holds them back when nobody reads.
#[derive(Clone, Debug)]
pub(super) struct Feed(mpsc::Sender<News>);

#[derive(Debug)]
pub(super) struct FeedReader(mpsc::Receiver<News>);

pub(super) fn feed() -> (Feed, FeedReader) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Feed(sender), FeedReader(receiver))
}

impl Feed {
    pub(super) async fn send(&mut self, news: News) {
        // Without a reader the job is about to be dropped.
        if poll_fn(|cx| self.0.poll_ready(cx)).await.is_ok() {
            drop(self.0.start_send(news));
        }
    }

    pub(super) async fn event(&mut self, event: BatchEvent) {
        self.send(News::Event(Box::new(event))).await;
    }
}

impl FeedReader {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<News>> {
        std::pin::Pin::new(&mut self.0).poll_next(cx)
    }
}
