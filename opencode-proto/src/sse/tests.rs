use proptest::prelude::*;

use super::*;

fn frame(chunks: impl IntoIterator<Item = Bytes>, event_size_max: usize) -> Vec<SseEvent> {
    let mut framer = SseFramer::new(event_size_max);
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        events.extend(std::iter::from_fn(|| framer.next_event()));
    }
    events
}

/// Checks a case whole, byte by byte, in two pieces split at every place, with every line end.
fn check(body: &str, event_size_max: usize, expected: &[SseEvent]) {
    for line_end in ["\n", "\r\n", "\r"] {
        let body = body.replace('\n', line_end);
        let body = Bytes::from(body.into_bytes());
        assert_eq!(frame([body.clone()], event_size_max), expected, "whole, {line_end:?}");
        let bytes = (0..body.len()).map(|at| body.slice(at..=at));
        assert_eq!(frame(bytes, event_size_max), expected, "byte by byte, {line_end:?}");
        for at in 0..body.len() {
            let pieces = [body.slice(..at), body.slice(at..)];
            assert_eq!(frame(pieces, event_size_max), expected, "split at {at}, {line_end:?}");
        }
    }
}

fn message(data: &'static str) -> SseEvent {
    SseEvent::Message { data: data.into(), event: None, id: None }
}

#[test]
fn events_of_one_line() {
    check("data: a\n\ndata: b\n\n", 99, &[message("a"), message("b")]);
    check("data:a\n\ndata:  b\n\n", 99, &[message("a"), message(" b")]);
    check("\n\ndata: a\n\n\n\n", 99, &[message("a")]);
}

#[test]
fn data_lines_are_joined() {
    check("data: a\ndata: b\ndata\ndata: c\n\n", 99, &[message("a\nb\n\nc")]);
    check("data\n\n", 99, &[message("")]);
}

#[test]
fn an_event_without_an_empty_line_after_it_is_dropped() {
    check("data: a\n\ndata: b\n", 99, &[message("a")]);
    check("data: a", 99, &[]);
}

#[test]
fn an_event_without_data_is_dropped() {
    check("event: x\n\nid: 1\n\ndata: a\n\n", 99, &[message("a")]);
}

#[test]
fn names_and_ids_belong_to_their_event() {
    let named =
        SseEvent::Message { data: "a".into(), event: Some("x".into()), id: Some("7".into()) };
    check("event: x\nid: 7\ndata: a\n\ndata: b\n\n", 99, &[named, message("b")]);
    check("event: message\ndata: a\n\nevent\ndata: b\n\n", 99, &[message("a"), message("b")]);
    check("id: a\0b\ndata: a\n\n", 99, &[message("a")]);
}

#[test]
fn comments_and_unknown_fields() {
    check(
        ": heartbeat\n\n:\ndata: a\n\n",
        99,
        &[SseEvent::Comment, SseEvent::Comment, message("a")],
    );
    check("x: y\ndata: a\nDATA: b\n data: c\n\n", 99, &[message("a")]);
}

#[test]
fn delays_to_reconnect() {
    check(
        "retry: 1500\nretry: 1x\nretry\nretry: 99999999999999999999\n\n",
        99,
        &[SseEvent::Retry { delay_ms: 1500 }],
    );
}

#[test]
fn a_byte_order_mark_is_skipped_only_at_the_start() {
    check("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n", 99, &[message("a"), message("c")]);
}

#[test]
fn an_event_over_the_limit_is_counted_and_the_next_one_arrives() {
    let too_long = |size| SseEvent::TooLong { size };
    check(
        "data: 1234\n\ndata: 12345\n\ndata: 1\n\n",
        10,
        &[message("1234"), too_long(11), message("1")],
    );
    check("data: 1\ndata: 2\n\ndata: 1\n\n", 10, &[too_long(14), message("1")]);
    check("data: 12345\ndata: x\n: y\n\ndata: 1\n\n", 10, &[too_long(21), message("1")]);
}

#[test]
fn an_event_inside_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from_static(b"data: first\n\ndata: second\n\n");
    let events = frame([chunk.clone()], 99);
    let SseEvent::Message { data, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(data.as_ptr(), chunk[19..].as_ptr());
}

#[test]
fn an_endless_event_takes_no_memory() {
    let mut framer = SseFramer::new(1024);
    for _ in 0..1024 {
        framer.push(Bytes::from_static(&[b'x'; 4096]));
        assert_eq!(framer.next_event(), None);
        assert!(framer.begun.capacity() <= 8192);
    }
    framer.push("\n\ndata: a\n\n".into());
    assert_eq!(framer.next_event(), Some(SseEvent::TooLong { size: 4 << 20 }));
    assert_eq!(framer.next_event(), Some(message("a")));
}

proptest! {
    #[test]
    fn chunking_does_not_matter(
        lines in prop::collection::vec(
            "(data|event|id|retry|)(:| |: )?[a-c0-9]{0,6}(\n|\r|\r\n){1,2}", 0..20,
        ),
        cuts in prop::collection::vec(0usize..300, 0..20),
        event_size_max in 1usize..60,
    ) {
        let body = Bytes::from(lines.concat().into_bytes());
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| body.slice(pair[0]..pair[1]));
        prop_assert_eq!(frame(chunks, event_size_max), naive(&lines.concat(), event_size_max));
    }
}

/// The specification, sentence by sentence, over the whole body.
fn naive(body: &str, event_size_max: usize) -> Vec<SseEvent> {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let (mut data, mut event, mut id, mut size) = (None::<String>, None, None, 0);
    let mut lines: Vec<&str> = body.split('\n').collect();
    lines.pop();
    for line in lines {
        size += line.len();
        let is_dropped = size > event_size_max;
        if line.is_empty() {
            match data.take() {
                _ if is_dropped => events.push(SseEvent::TooLong { size: size as u64 }),
                Some(data) => events.push(SseEvent::Message { data: data.into(), event, id }),
                None => {}
            }
            (event, id, size) = (None, None, 0);
            continue;
        }
        if is_dropped {
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name {
            "" => events.push(SseEvent::Comment),
            "data" => {
                data = Some(match data {
                    Some(data) => data + "\n" + &value,
                    None => value,
                });
            }
            "event" => event = (!value.is_empty()).then_some(value.into()),
            "id" => id = Some(value.into()),
            "retry" => {
                events.extend(value.parse().ok().map(|delay_ms| SseEvent::Retry { delay_ms }));
            }
            _ => {}
        }
    }
    events
}
