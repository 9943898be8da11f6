//! Bodies of the fuzz targets, and of the tests over their corpora. Not part of the API.

mod batch;
pub(crate) mod play;
pub(crate) mod script;
mod server;
mod stream;
mod turn;

use std::time::Instant;

use bytes::Bytes;

use crate::answer::Answer;
use crate::line::{Line, LineFramer};
use crate::run_event::{self, Diagnostic, RunEvent, RunEventKind};

use play::Play;
use script::Script;

pub use batch::batch_machine;
pub use server::{WrittenMessage, WrittenServer, not_found};
pub use stream::{server_events, sse};
pub use turn::turn_machine;

/// Any chunking of a stream gives the lines that a plain split gives.
///
/// `data` is the limit for a line, how many sizes of chunks follow, those sizes, and the stream.
pub fn lines(data: &[u8]) {
    let [line_size_max, sizes, rest @ ..] = data else { return };
    let (sizes, stream) = rest.split_at(rest.len().min(usize::from(*sizes)));
    let line_size_max = usize::from(*line_size_max);
    let mut framer = LineFramer::new(line_size_max);
    let mut lines = Vec::new();
    for chunk in chunks(Bytes::copy_from_slice(stream), sizes) {
        framer.push(chunk);
        while let Some(line) = framer.next_line() {
            lines.push(line);
        }
    }
    lines.extend(framer.finish());
    assert_eq!(lines, split(stream, line_size_max));
}

/// `stream` in chunks of these sizes, over and over.
fn chunks(mut stream: Bytes, sizes: &[u8]) -> impl Iterator<Item = Bytes> {
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().unwrap_or(usize::MAX).min(stream.len());
        (size > 0).then(|| stream.split_to(size))
    })
}

/// The lines of a stream, the plain way.
pub(crate) fn split(stream: &[u8], line_size_max: usize) -> Vec<Line> {
    let line = |piece: &[u8], whole: fn(Bytes) -> Line| {
        let line = piece.strip_suffix(b"\r").unwrap_or(piece);
        if line.len() > line_size_max {
            let head = Bytes::copy_from_slice(&piece[..piece.len().min(64)]);
            return Line::TooLong { size: piece.len() as u64, head };
        }
        whole(Bytes::copy_from_slice(line))
    };
    let mut pieces: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let torn = pieces.pop().filter(|torn| !torn.is_empty());
    let whole = pieces.into_iter().map(|piece| line(piece, Line::Whole));
    whole.chain(torn.map(|piece| line(piece, Line::Torn))).collect()
}

/// Every line reads as something, survives a log, and is gathered without keeping the stream alive.
pub fn run_events(data: &[u8]) {
    let stream = Bytes::from(data.to_vec());
    let mut framer = LineFramer::new(1 << 16);
    framer.push(stream.clone());
    let mut answer = Answer::new();
    while let Some(line) = framer.next_line().or_else(|| framer.finish()) {
        let (Line::Whole(line) | Line::Torn(line)) = line else { continue };
        let (diagnostics, event) = run_event::decode(line);
        assert!(diagnostics.len() <= 2);
        for diagnostic in diagnostics {
            let RunEventKind::Diagnostic(Diagnostic::InvalidUtf8 | Diagnostic::NotJson) =
                diagnostic.kind
            else {
                panic!("{diagnostic:?}")
            };
            survives_a_log(&diagnostic);
        }
        survives_a_log(&event);
        answer.apply(&event);
    }
    assert!(answer.cost().is_sign_positive());
    assert!(answer.full_text().ends_with(&*answer.text()));
    drop(framer);
    assert!(stream.is_empty() || stream.is_unique());
}

fn survives_a_log(event: &RunEvent) {
    assert!(!format!("{event:?}").is_empty(), "all of it can be read");
    let logged = event.to_json_line();
    assert!(!logged.contains(&b'\n'));
    let (diagnostics, again) = run_event::decode(logged.clone());
    assert_eq!(diagnostics, []);
    assert_eq!(again.kind, event.kind);
    assert_eq!(again.to_json_line(), logged);
}

/// Whatever comes in whatever order, a run ends once, and properly.
///
/// `data` is the settings, then the steps.
pub fn run_machine(data: &[u8], now: Instant) {
    let Some((settings, steps)) = data.split_first() else { return };
    let mut play = Play::new(script::settings(*settings), now);
    for step in Script(steps) {
        play.step(step);
    }
    play.end();
}

/// Reads the commands of a line with literal words: see the tokenizer of policies.
pub fn command_words(line: &str) -> Option<Vec<Vec<String>>> {
    let commands = crate::policy::shell::commands(line)?;
    Some(commands.into_iter().map(|command| command.words).collect())
}
