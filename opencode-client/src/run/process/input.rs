use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::runtime::ByteSink;

/// What is still to be written to the process. Dropping it closes its standard input.
pub(super) struct Input {
    sink: Box<dyn ByteSink>,
    rest: Bytes,
}

impl Input {
    pub(super) fn new(sink: Box<dyn ByteSink>, bytes: Bytes) -> Self {
        Self { sink, rest: bytes }
    }

    /// Ready when all is written, or nothing more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            match ready!(self.sink.poll_write(cx, &self.rest)) {
                Ok(written) if written > 0 => self.rest.advance(written),
                // The process ended before it read all: how it ended says why.
                Ok(_) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}
