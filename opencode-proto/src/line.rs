//! Lines out of chunks of any size.

use std::mem;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// Splits a byte stream into lines.
///
/// Chunks come in as they arrive, lines come out without their `\n` or `\r\n`. A line that lies inside one chunk is a
/// slice of it; only a line that straddles chunks is copied, once. No byte is searched twice.
///
/// A line over the limit is not collected: its length is counted, and the stream goes on at the next line.
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
    /// The length so far of a line that went over the limit.
    dropped: Option<u64>,
    line_size_max: usize,
}

/// What [`LineFramer`] hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line went over the limit. Its bytes are gone.
    TooLong {
        /// How long it was, without its `\n`.
        size: u64,
    },
    /// The stream ended inside this line.
    Torn(Bytes),
    /// A line without its line end.
    Whole(Bytes),
}

impl LineFramer {
    /// A framer for lines of at most `line_size_max` bytes, not counting the line end.
    pub fn new(line_size_max: usize) -> Self {
        Self { chunk: Bytes::new(), begun: BytesMut::new(), dropped: None, line_size_max }
    }

    /// Adds the next chunk of the stream.
    ///
    /// Take all lines with [`next_line`](Self::next_line) between two pushes: what was not taken yet is copied.
    pub fn push(&mut self, chunk: Bytes) {
        add_chunk(&mut self.chunk, chunk);
    }

    /// The next line, or `None` until there is another chunk.
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

    /// The unfinished last line when the stream has ended, if there is one. The framer is empty afterwards.
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
        if let Some(size) = &mut self.dropped {
            *size += bytes.len() as u64;
            return;
        }
        let size = self.begun.len() + bytes.len();
        // One byte more than the limit is let in, for a `\r` that belongs to the line end.
        if size > self.line_size_max.saturating_add(1) {
            self.begun = BytesMut::new();
            self.dropped = Some(size as u64);
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn begun_line(&mut self) -> Line {
        match self.dropped.take() {
            Some(size) => Line::TooLong { size },
            None => {
                let line = mem::take(&mut self.begun).freeze();
                self.whole(line)
            }
        }
    }

    fn whole(&self, mut line: Bytes) -> Line {
        let size = line.len();
        if line.last() == Some(&b'\r') {
            line.truncate(size - 1);
        }
        if line.len() > self.line_size_max {
            return Line::TooLong { size: size as u64 };
        }
        Line::Whole(line)
    }
}

/// Adds a chunk to what is left of the one before, which is nearly always nothing.
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
