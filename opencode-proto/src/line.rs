//! Splits chunks of any size into lines.

use std::mem;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// Splits a byte stream into lines.
///
/// Chunks come in as they arrive, lines come out without their `\n` or `\r\n`. A line inside one
/// chunk is a slice of the chunk; only a line that straddles chunks is copied, once. No byte is
/// searched twice.
///
/// Of a line over the limit, only the head is kept. The length is counted, and the stream goes on
/// at the next line.
///
/// ```
/// use opencode_proto::{Line, LineFramer};
///
/// let mut framer = LineFramer::new(1 << 20);
/// framer.push("{\"type\":\"te".into());
/// assert_eq!(framer.next_line(), None);
/// framer.push("xt\"}\r\ntail".into());
/// assert_eq!(framer.next_line(), Some(Line::Whole("{\"type\":\"text\"}".into())));
/// assert_eq!(framer.next_line(), None);
/// assert_eq!(framer.finish(), Some(Line::Torn("tail".into())));
/// ```
#[derive(Debug)]
pub struct LineFramer {
    /// The chunk being split. Empty when all of it was handed out.
    chunk: Bytes,
    /// The beginning of a line that earlier chunks held.
    begun: BytesMut,
    /// A line that went over the limit.
    dropped: Option<DroppedLine>,
    line_size_max: usize,
}

/// Line that is not kept.
#[derive(Debug)]
struct DroppedLine {
    /// Length so far, in bytes.
    size: u64,
    head: BytesMut,
}

/// How much of a dropped line is kept, in bytes.
const HEAD_SIZE: usize = 64;

/// Line of a [`LineFramer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line went over the limit and was dropped.
    TooLong {
        /// Length of the line without the `\n`, in bytes.
        size: u64,
        /// The first 64 bytes of the line.
        head: Bytes,
    },
    /// The line has no line end, for the stream ended.
    Torn(Bytes),
    /// The line is complete, and comes without the line end.
    Whole(Bytes),
}

impl LineFramer {
    /// Creates a framer for lines of at most `line_size_max` bytes, not counting the line end.
    pub fn new(line_size_max: usize) -> Self {
        Self { chunk: Bytes::new(), begun: BytesMut::new(), dropped: None, line_size_max }
    }

    /// Adds the next chunk of the stream.
    ///
    /// Take all lines with [`next_line`](Self::next_line) between two pushes: what was not taken
    /// is copied.
    pub fn push(&mut self, chunk: Bytes) {
        add_chunk(&mut self.chunk, chunk);
    }

    /// Returns the next line, or `None` until the next chunk.
    pub fn next_line(&mut self) -> Option<Line> {
        let Some(end) = memchr(b'\n', &self.chunk) else {
            let rest = mem::take(&mut self.chunk);
            self.begin(&rest);
            return None;
        };
        let last = self.chunk.split_to(end + 1).slice(..end);
        if self.begun.is_empty() && self.dropped.is_none() {
            return Some(self.whole(last));
        }
        self.begin(&last);
        Some(self.begun_line())
    }

    /// Returns the unfinished last line of a stream that has ended. The framer is empty afterwards.
    pub fn finish(&mut self) -> Option<Line> {
        debug_assert!(memchr(b'\n', &self.chunk).is_none(), "lines are taken before the end");
        let rest = mem::take(&mut self.chunk);
        self.begin(&rest);
        if self.begun.is_empty() && self.dropped.is_none() {
            return None;
        }
        Some(match self.begun_line() {
            Line::Whole(line) => Line::Torn(line),
            line @ (Line::TooLong { .. } | Line::Torn(_)) => line,
        })
    }

    fn begin(&mut self, bytes: &[u8]) {
        if let Some(dropped) = &mut self.dropped {
            dropped.size += bytes.len() as u64;
            return dropped.keep_head(bytes);
        }
        let size = self.begun.len() + bytes.len();
        // One byte more than the limit is let in, for a `\r` that belongs to the line end.
        if size > self.line_size_max.saturating_add(1) {
            let mut dropped = DroppedLine { size: size as u64, head: BytesMut::new() };
            dropped.keep_head(&mem::take(&mut self.begun));
            dropped.keep_head(bytes);
            self.dropped = Some(dropped);
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn begun_line(&mut self) -> Line {
        match self.dropped.take() {
            Some(DroppedLine { size, head }) => Line::TooLong { size, head: head.freeze() },
            None => {
                let line = mem::take(&mut self.begun).freeze();
                self.whole(line)
            }
        }
    }

    fn whole(&self, mut line: Bytes) -> Line {
        let size = line.len();
        let is_returned = line.last() == Some(&b'\r');
        if size - usize::from(is_returned) > self.line_size_max {
            let head = Bytes::copy_from_slice(&line[..size.min(HEAD_SIZE)]);
            return Line::TooLong { size: size as u64, head };
        }
        if is_returned {
            line.truncate(size - 1);
        }
        Line::Whole(line)
    }
}

impl DroppedLine {
    fn keep_head(&mut self, bytes: &[u8]) {
        let room = HEAD_SIZE - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Adds a chunk to the rest of the one before, which is nearly always empty.
pub(crate) fn add_chunk(rest: &mut Bytes, chunk: Bytes) {
    if rest.is_empty() {
        *rest = chunk;
    } else {
        let mut joined = BytesMut::from(mem::take(rest));
        joined.extend_from_slice(&chunk);
        *rest = joined.freeze();
    }
}

#[cfg(test)]
mod tests;
