//! The two ends of a connection in memory.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::direction::InFlight;
use super::{LinkEnd, MemoryLink};

/// End of a connection at the client.
pub(in crate::world) struct ClientEnd {
    pub(super) link: Arc<MemoryLink>,
    pub(super) rest: Bytes,
    pub(super) has_ended: bool,
}

impl Read for ClientEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() && !self.has_ended {
            match ready!(self.link.poll_read(LinkEnd::Client, cx))? {
                Some(bytes) => self.rest = bytes,
                None => self.has_ended = true,
            }
        }
        let size = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(size));
        Poll::Ready(Ok(()))
    }
}

impl Write for ClientEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.link.poll_write(LinkEnd::Client, cx, Bytes::copy_from_slice(bytes));
        written.map_ok(|()| bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.close(LinkEnd::Client, InFlight::End);
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        self.link.core.counts.connections.fetch_sub(1, Ordering::Relaxed);
        self.link.leave(LinkEnd::Client, InFlight::End);
    }
}

/// End of a connection at the server.
pub(in crate::world) struct ServerEnd {
    pub(super) link: Arc<MemoryLink>,
    /// Bytes that were read from the connection and are not parsed yet.
    pub(in crate::world) unread: Vec<u8>,
}

impl ServerEnd {
    pub(in crate::world) fn number(&self) -> u64 {
        self.link.number
    }

    /// Reads more bytes. Returns `false` at the end of the connection.
    pub(in crate::world) async fn fill(&mut self) -> bool {
        poll_fn(|cx| self.poll_fill(cx)).await.unwrap_or_default()
    }

    pub(in crate::world) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let read = ready!(self.link.poll_read(LinkEnd::Server, cx))?;
        if let Some(bytes) = &read {
            self.unread.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(read.is_some()))
    }

    pub(in crate::world) async fn write(&self, bytes: impl Into<Bytes>) -> io::Result<()> {
        let bytes = bytes.into();
        poll_fn(|cx| self.link.poll_write(LinkEnd::Server, cx, bytes.clone())).await
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        // A program that exits with unread data resets the connection.
        let item = if self.unread.is_empty() { InFlight::End } else { InFlight::Reset };
        self.link.leave(LinkEnd::Server, item);
    }
}
