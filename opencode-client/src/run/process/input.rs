use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::runtime::ByteSink;

/// Standard input of a process. Dropping the value closes the input.
pub(super) struct Input {
    sink: Box<dyn ByteSink>,
    rest: Bytes,
}

impl Input {
    pub(super) fn new(sink: Box<dyn ByteSink>, bytes: Bytes) -> Self {
        Self { sink, rest: bytes }
    }

    /// Writes on. Ready when all is written, or nothing more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            match ready!(self.sink.poll_write(cx, &self.rest)) {
                Ok(written) if written > 0 => self.rest.advance(written),
                // The process ended before it read all: the end shows the reason.
                Ok(_) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}
