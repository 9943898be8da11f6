//! Event streams: framing and events.

use bytes::Bytes;

use super::chunks;
use crate::server_event::{ServerEvent, ServerEventKind};
use crate::sse::{SseEvent, SseFramer};
use crate::transcript::Transcripts;

/// Any chunking of a stream gives the same events, and no limit lets more wait than it says.
///
/// `data` is the limit for an event, how many sizes of chunks follow, those sizes, and the stream.
pub fn sse(data: &[u8]) {
    let [event_size_max, sizes, rest @ ..] = data else { return };
    let (sizes, stream) = rest.split_at(rest.len().min(usize::from(*sizes)));
    let event_size_max = usize::from(*event_size_max) * 4;
    let stream = Bytes::copy_from_slice(stream);
    let whole = frame(event_size_max, std::iter::once(stream.clone()));
    assert_eq!(frame(event_size_max, chunks(stream.clone(), sizes)), whole);
    for event in &whole {
        match event {
            SseEvent::Message { data, .. } => assert!(data.len() <= event_size_max),
            SseEvent::TooLong { size } => assert!(*size > event_size_max as u64),
            SseEvent::Comment | SseEvent::Retry { .. } => {}
        }
    }
    // What every stream ends with is its own affair: the next event is read as if it were the
    // first.
    let more = [&stream[..], b"\n\n\n\ndata: x\n\n"].concat();
    let more = frame(1 << 20, chunks(more.into(), sizes));
    assert!(matches!(more.last(), Some(SseEvent::Message { data, .. }) if data.ends_with(b"x")));
}

fn frame(event_size_max: usize, chunks: impl Iterator<Item = Bytes>) -> Vec<SseEvent> {
    let mut framer = SseFramer::new(event_size_max);
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        events.extend(std::iter::from_fn(|| framer.next_event()));
    }
    events
}

/// Every event reads as something, and is gathered without keeping the stream alive.
pub fn server_events(data: &[u8]) {
    let stream = Bytes::from(data.to_vec());
    let mut framer = SseFramer::new(1 << 16);
    framer.push(stream.clone());
    let mut transcripts = Transcripts::new();
    let framed = std::iter::from_fn(|| framer.next_event());
    let lines = stream.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice);
    let framed = framed.filter_map(|event| match event {
        SseEvent::Message { data, .. } => Some(data),
        SseEvent::Comment | SseEvent::Retry { .. } | SseEvent::TooLong { .. } => None,
    });
    for data in framed.chain(lines) {
        let event = ServerEvent::decode(data.clone());
        assert!(!format!("{event:?}").is_empty(), "all of it can be read");
        let is_malformed = matches!(event.kind, ServerEventKind::Malformed { .. });
        assert!(is_malformed || !event.event_type().is_empty() || event.raw.starts_with(b"{"));
        assert_eq!(ServerEvent::decode(event.raw.clone()).kind, event.kind);
        transcripts.apply(&event);
    }
    for transcript in transcripts.iter() {
        assert!(transcript.full_text().ends_with(&*transcript.text()));
        assert!(transcript.messages().len() >= transcript.steps());
        assert!(transcript.cost().is_sign_positive());
    }
    drop(framer);
    assert!(stream.is_empty() || stream.is_unique());
}
