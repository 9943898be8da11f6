use std::sync::Arc;

/// A text in event streams after which the streams are cut.
#[derive(Debug)]
pub(super) struct Trigger {
    text: Arc<[u8]>,
    left: usize,
}

impl Trigger {
    pub(super) fn new(text: &str, times: usize) -> Self {
        Self { text: text.as_bytes().into(), left: times }
    }
}

/// Search for a trigger in one stream, whose chunks may split the text at any byte.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Text of the trigger that the search has begun for.
    text: Option<Arc<[u8]>>,
    /// Last bytes of the stream, in which the text may have begun.
    tail: Vec<u8>,
    found: Found,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Nothing,
    /// The text was found, and the event has not ended yet.
    Text,
}

const EVENT_END: &[u8] = b"\n\n";

impl Watch {
    /// Returns the position in `bytes`, the next chunk of the stream, at which to cut. Uses up one
    /// repetition of the trigger.
    pub(super) fn end(&mut self, trigger: &mut Option<Trigger>, bytes: &[u8]) -> Option<usize> {
        let wanted = trigger.as_ref()?;
        if !self.text.as_ref().is_some_and(|text| Arc::ptr_eq(text, &wanted.text)) {
            *self = Self { text: Some(Arc::clone(&wanted.text)), ..Self::default() };
        }
        let before = self.tail.len();
        self.tail.extend_from_slice(bytes);
        let mut from = 0;
        if self.found == Found::Nothing
            && let Some(at) = position(&self.tail, &wanted.text)
        {
            self.found = Found::Text;
            from = at + wanted.text.len();
        }
        if self.found == Found::Text
            && let Some(at) = position(&self.tail[from..], EVENT_END)
        {
            let end = from + at + EVENT_END.len();
            *trigger = Some(Trigger { text: Arc::clone(&wanted.text), left: wanted.left - 1 })
                .filter(|trigger| trigger.left > 0);
            return Some(end - before);
        }
        let needed = match self.found {
            Found::Nothing => wanted.text.len(),
            Found::Text => EVENT_END.len(),
        };
        let keep = self.tail.len().saturating_sub(needed.saturating_sub(1));
        self.tail.drain(..keep.max(from.min(self.tail.len())));
        None
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Trigger, Watch};

    const STREAM: &[u8] = b"data: one\n\ndata: two, here\n\ndata: here\n\n";

    #[test]
    fn a_stream_is_cut_after_the_event_for_every_chunk_size() {
        let end = STREAM.windows(6).position(|window| window == b"here\n\n").unwrap() + 6;
        for size in 1..=STREAM.len() {
            let mut trigger = Some(Trigger::new("here", 2));
            let mut watch = Watch::default();
            let mut read = 0;
            let cut = STREAM.chunks(size).find_map(|bytes| {
                let cut = watch.end(&mut trigger, bytes).map(|at| read + at);
                read += bytes.len();
                cut
            });
            assert_eq!(cut, Some(end), "in pieces of {size}");
            assert_eq!(trigger.map(|trigger| trigger.left), Some(1));
        }
    }

    #[test]
    fn a_trigger_is_used_up_and_ignores_earlier_bytes() {
        let mut watch = Watch::default();
        assert_eq!(watch.end(&mut None, b"here"), None);
        let mut trigger = Some(Trigger::new("here", 1));
        assert_eq!(watch.end(&mut trigger, b"\n\n"), None);
        assert_eq!(watch.end(&mut trigger, b"here\n\nmore"), Some(6));
        assert!(trigger.is_none());
    }
}
