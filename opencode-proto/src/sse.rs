//! Server-sent events of a byte stream.

use std::mem;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

use crate::line::add_chunk;

/// Splits a `text/event-stream` body into events, as the [specification] defines them.
///
/// OpenCode sends one `data: {json}` line and an empty line per event. Such an event inside one
/// chunk is handed out as a slice of that chunk. Everything else in the specification is understood
/// as well: several `data` lines, `\r` and `\r\n` line ends, comments, a byte order mark, fields
/// without a value, unknown fields.
///
/// An event over the limit is counted instead of collected, and the stream goes on at the next
/// event.
///
/// ```
/// use opencode_proto::{SseEvent, SseFramer};
///
/// let mut framer = SseFramer::new(1 << 20);
/// framer.push("data: {\"type\":\"server.conn".into());
/// assert_eq!(framer.next_event(), None);
/// framer.push("ected\"}\n\n: heartbeat\n\n".into());
/// let Some(SseEvent::Message { data, .. }) = framer.next_event() else { panic!() };
/// assert_eq!(data, "{\"type\":\"server.connected\"}");
/// assert_eq!(framer.next_event(), Some(SseEvent::Comment));
/// assert_eq!(framer.next_event(), None);
/// ```
///
/// [specification]:
/// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
#[derive(Debug)]
pub struct SseFramer {
    /// The chunk being split; empty when all events in it were handed out.
    chunk: Bytes,
    /// Beginning of a line, from earlier chunks, unless the event was dropped.
    begun: BytesMut,
    /// Length of the beginning of a line, dropped or not.
    begun_size: usize,
    /// The last line ended with `\r`: a `\n` that follows is part of the same line end.
    is_after_return: bool,
    is_at_start: bool,
    event: PartialEvent,
    event_size_max: usize,
}

/// Output of an [`SseFramer`].
///
/// Exhaustive on purpose: the specification has no other events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SseEvent {
    /// A comment line, which keeps the connection open.
    Comment,
    /// An event with data.
    Message {
        /// The `data` lines, joined by `\n`.
        data: Bytes,
        /// The `event` field; `None` for `message`.
        event: Option<Bytes>,
        /// The `id` field of this event.
        id: Option<Bytes>,
    },
    /// The delay before a reconnect (`retry`).
    Retry {
        /// Delay in milliseconds.
        delay_ms: u64,
    },
    /// An event over the limit, whose bytes are dropped.
    TooLong {
        /// Length of all lines together in bytes, without line ends.
        size: u64,
    },
}

/// The event whose lines are being read.
#[derive(Debug, Default)]
struct PartialEvent {
    data: Option<EventData>,
    event: Option<Bytes>,
    id: Option<Bytes>,
    size: u64,
    is_dropped: bool,
}

#[derive(Debug)]
enum EventData {
    Joined(BytesMut),
    Line(Bytes),
}

impl SseFramer {
    /// Creates a framer for events whose lines have at most `event_size_max` bytes together.
    pub fn new(event_size_max: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            begun: BytesMut::new(),
            begun_size: 0,
            is_after_return: false,
            is_at_start: true,
            event: PartialEvent::default(),
            event_size_max,
        }
    }

    /// Adds the next chunk of the body.
    ///
    /// Take all events with [`next_event`](Self::next_event) between two pushes: bytes that are
    /// left over are copied.
    pub fn push(&mut self, chunk: Bytes) {
        add_chunk(&mut self.chunk, chunk);
    }

    /// Returns the next event; `None` until another chunk is pushed. The specification drops an
    /// event that the body ends in, for no empty line follows it.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        loop {
            let line = self.next_line()?;
            let event = match line {
                Some(line) if line.is_empty() => self.event.finish(),
                Some(line) => self.field(line),
                None => None,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// Returns the next line; `Some(None)` for a dropped one.
    fn next_line(&mut self) -> Option<Option<Bytes>> {
        if self.is_after_return && !self.chunk.is_empty() {
            self.is_after_return = false;
            if self.chunk.first() == Some(&b'\n') {
                drop(self.chunk.split_to(1));
            }
        }
        let Some(end) = memchr2(b'\n', b'\r', &self.chunk) else {
            let rest = mem::take(&mut self.chunk);
            self.begin(&rest);
            return None;
        };
        self.is_after_return = self.chunk[end] == b'\r';
        let last = self.chunk.split_to(end + 1).slice(..end);
        self.count(last.len());
        let begun_size = mem::take(&mut self.begun_size);
        if self.event.is_dropped {
            let is_empty = begun_size + last.len() == 0;
            return Some(is_empty.then(Bytes::new));
        }
        let mut line = last;
        if begun_size > 0 {
            self.begun.extend_from_slice(&line);
            line = mem::take(&mut self.begun).freeze();
        }
        if mem::take(&mut self.is_at_start) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..);
        }
        Some(Some(line))
    }

    /// Keeps the beginning of a line.
    fn begin(&mut self, bytes: &[u8]) {
        self.begun_size += bytes.len();
        self.count(bytes.len());
        if !self.event.is_dropped {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// Counts bytes of the event, and drops an event over the limit.
    fn count(&mut self, size: usize) {
        self.event.size += size as u64;
        if self.event.size > self.event_size_max as u64 && !self.event.is_dropped {
            self.event =
                PartialEvent { size: self.event.size, is_dropped: true, ..Default::default() };
            self.begun = BytesMut::new();
        }
    }

    fn field(&mut self, line: Bytes) -> Option<SseEvent> {
        let colon = memchr(b':', &line).unwrap_or(line.len());
        let (name, mut value) = (&line[..colon], line.slice((colon + 1).min(line.len())..));
        if value.first() == Some(&b' ') {
            value = value.slice(1..);
        }
        match name {
            b"" => return Some(SseEvent::Comment),
            b"data" => self.event.add(value),
            b"event" => {
                self.event.event = (!value.is_empty() && value != "message").then_some(value)
            }
            // The specification ignores an id with NUL.
            b"id" if memchr(0, &value).is_none() => self.event.id = Some(value),
            b"retry" => {
                let digits = str::from_utf8(&value)
                    .ok()
                    .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                return digits
                    .and_then(|text| text.parse().ok())
                    .map(|delay_ms| SseEvent::Retry { delay_ms });
            }
            _ => {}
        }
        None
    }
}

impl PartialEvent {
    fn add(&mut self, line: Bytes) {
        self.data = Some(match self.data.take() {
            None => EventData::Line(line),
            Some(data) => {
                let mut joined = match data {
                    EventData::Joined(joined) => joined,
                    EventData::Line(first) => BytesMut::from(first),
                };
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&line);
                EventData::Joined(joined)
            }
        });
    }

    /// Ends the event; `None` for one without `data`, which the specification drops.
    fn finish(&mut self) -> Option<SseEvent> {
        let Self { data, event, id, size, is_dropped } = mem::take(self);
        if is_dropped {
            return Some(SseEvent::TooLong { size });
        }
        let data = match data? {
            EventData::Joined(joined) => joined.freeze(),
            EventData::Line(line) => line,
        };
        Some(SseEvent::Message { data, event, id })
    }
}

#[cfg(test)]
mod tests;
