//! Lists that a server hands out in pages.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opencode_proto::api::{Caller, Page, Paged, ReadPage};

use super::Server;
use crate::http::CallError;
use crate::runtime::wait::BoxFuture;

impl Server {
    /// Returns the items of a list as a stream, which requests one page after the other. The limit
    /// of the operation is the size of a page.
    ///
    /// ```no_run
    /// # use opencode_tokio::{CallError, Server};
    /// # async fn example(server: Server) -> Result<(), CallError> {
    /// use opencode_tokio::api::ListMessages;
    ///
    /// let list = ListMessages::new("ses_1fc301c8effe4BhMoDHUvJDQPj").with_limit(50);
    /// let mut messages = server.pages(list);
    /// while let Some(message) = messages.next_item().await {
    ///     println!("{}", message?.info.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<O: Paged>(&self, list: O) -> PageStream<O> {
        PageStream { server: self.clone(), next: Some(list), call: None, items: VecDeque::new() }
    }
}

/// Items of a list, from [`Server::pages`]. The next page is requested when the items of the page
/// before have been read.
#[must_use = "nothing is requested until the stream is read"]
pub struct PageStream<O: Paged> {
    server: Server,
    /// Operation for the next page; `None` while a page is on the way, and after the last one.
    next: Option<O>,
    call: Option<BoxFuture<Result<Page<O>, CallError>>>,
    items: VecDeque<O::Item>,
}

impl<O: Paged<Item: Send> + Send + Sync + 'static> PageStream<O> {
    /// Returns the next item; `None` after the last one. No item follows an error.
    ///
    /// # Errors
    ///
    /// The errors of [`Server::call`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_item(&mut self) -> Option<Result<O::Item, CallError>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<O::Item, CallError>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(list) = self.next.take() {
                self.call = Some(self.server.carry_out(ReadPage::new(list)));
            }
            let Some(call) = &mut self.call else { return Poll::Ready(None) };
            let page = ready!(call.as_mut().poll(cx));
            self.call = None;
            match page {
                Ok(page) => {
                    self.items.extend(page.items);
                    self.next = page.next;
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl<O: Paged<Item: Send> + Send + Sync + 'static> Stream for PageStream<O> {
    type Item = Result<O::Item, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

/// Nothing in the stream is pinned in place.
impl<O: Paged> Unpin for PageStream<O> {}

impl<O: Paged> fmt::Debug for PageStream<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageStream")
            .field("server", &self.server)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}
