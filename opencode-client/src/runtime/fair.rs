//! Sources that let other work have its turn.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::{ByteSource, Connection};

/// Number of reads in a row, each ready at once, after which a source pauses.
const READS_MAX: u32 = 32;

/// A source of bytes that is pending from time to time, also when bytes are always there.
///
/// Readers read until nothing is left. Against a sender without pauses, such a loop would never end
/// in a runtime that does not limit the work of a task, and no timer would be looked at.
pub(crate) struct Fair<T> {
    source: T,
    reads: u32,
}

impl<T> Fair<T> {
    pub(crate) fn new(source: T) -> Self {
        Self { source, reads: 0 }
    }

    /// Reads, unless a pause is due. After a pause the task is woken at once.
    fn poll_read<R>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if self.reads == READS_MAX {
            self.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = read(&mut self.source, cx);
        self.reads = if polled.is_ready() { self.reads + 1 } else { 0 };
        polled
    }
}

impl ByteSource for Fair<Box<dyn ByteSource>> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.poll_read(cx, |source, cx| source.poll_chunk(cx))
    }
}

impl Read for Fair<Box<dyn Connection>> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Fair::poll_read(&mut self, cx, |source, cx| Pin::new(source).poll_read(cx, buffer))
    }
}

impl Write for Fair<Box<dyn Connection>> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.source).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.source).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.source).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.source.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.source).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    struct Flood;

    impl ByteSource for Flood {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
            Poll::Ready(Ok(Bytes::from_static(b"x")))
        }
    }

    #[test]
    fn a_source_that_is_always_ready_pauses() {
        let mut fair = Fair::new(Box::new(Flood) as Box<dyn ByteSource>);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            for _ in 0..READS_MAX {
                assert!(fair.poll_chunk(&mut cx).is_ready());
            }
            assert!(fair.poll_chunk(&mut cx).is_pending());
        }
    }
}
