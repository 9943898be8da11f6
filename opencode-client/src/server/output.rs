//! Output of a server's process, line by line, from the start on.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

/// Maximum size of the lines that are kept for readers, in bytes.
const KEPT_SIZE_MAX: usize = 256 << 10;

/// Size at which a line without an end is cut, in bytes.
const LINE_SIZE_MAX: usize = 16 << 10;

/// Output of a server as it arrives: what the process prints, and the progress of the start.
///
/// A reader that is slow misses the oldest lines ([`missed`](Self::missed)), and never slows the
/// server down. Clones read on from the same place.
///
/// ```no_run
/// use opencode_tokio::ServeRequest;
/// use opencode_tokio::server::{ServerOutput, ServerOutputEvent};
///
/// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
/// let mut output = ServerOutput::new();
/// let request = ServeRequest::new().with_output(&output);
/// tokio::spawn(async move {
///     while let Some(event) = output.next_event().await {
///         match event {
///             ServerOutputEvent::Line { text, .. } => eprintln!("opencode: {text}"),
///             ServerOutputEvent::Starting { elapsed, .. } => eprintln!("starting for {elapsed:?}"),
///             _ => {}
///         }
///     }
/// });
/// let server = opencode.serve(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerOutput {
    shared: Arc<Mutex<KeptOutput>>,
    next: u64,
    missed: u64,
}

/// Event of a server's process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerOutputEvent {
    /// The process printed a line.
    #[non_exhaustive]
    Line {
        /// Standard output or standard error.
        stream: OutputStream,
        /// The line without its end; a part of it if the line is very long.
        text: String,
    },
    /// The process installs npm packages of plugins before it is ready.
    #[non_exhaustive]
    Installing {
        /// The packages.
        plugins: Vec<String>,
    },
    /// The process has not printed its address yet, and works on the start.
    #[non_exhaustive]
    Starting {
        /// Time since the start of the process.
        elapsed: Duration,
    },
}

/// Output stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputStream {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

#[derive(Default)]
struct KeptOutput {
    events: VecDeque<ServerOutputEvent>,
    /// Number of the first event that is kept.
    first: u64,
    size: usize,
    /// Beginnings of lines, of standard error and of standard output.
    unfinished: [Vec<u8>; 2],
    is_over: bool,
    waiting: Vec<Waker>,
    /// Output of several servers that gets the events as well.
    trunk: Option<ServerOutput>,
}

impl ServerOutput {
    /// Creates an output that gets the lines of the server that is started with it.
    pub fn new() -> Self {
        Self { shared: Arc::default(), next: 0, missed: 0 }
    }

    /// Returns the next event; `None` when the process has exited and all events were read.
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    pub async fn next_event(&mut self) -> Option<ServerOutputEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Returns the number of events that came and went before they were read.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Creates an output of one of several servers, whose events this output gets as well.
    pub(crate) fn branch(&self) -> Self {
        let kept = KeptOutput { trunk: Some(self.clone()), ..KeptOutput::default() };
        Self { shared: Arc::new(Mutex::new(kept)), next: 0, missed: 0 }
    }

    /// Returns the same output from the oldest event that is kept.
    pub(crate) fn rewound(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), next: 0, missed: 0 }
    }

    pub(super) fn push_chunk(&self, stream: OutputStream, chunk: &[u8]) {
        self.update(&|kept| kept.push_chunk(stream, chunk));
    }

    pub(super) fn push_progress(&self, elapsed: Duration) {
        self.update(&|kept| kept.push(ServerOutputEvent::Starting { elapsed }));
    }

    pub(super) fn push_installing(&self, plugins: &[String]) {
        self.update(&|kept| kept.push(ServerOutputEvent::Installing { plugins: plugins.to_vec() }));
    }

    /// Ends the output. Another process may begin it anew.
    pub(super) fn end(&self) {
        self.update(&KeptOutput::end);
    }

    pub(super) fn begin(&self) {
        self.update(&|kept| kept.is_over = false);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<ServerOutputEvent>> {
        let mut kept = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = kept.first.saturating_sub(self.next);
        self.missed += skipped;
        self.next += skipped;
        let at = usize::try_from(self.next - kept.first).unwrap_or(usize::MAX);
        if let Some(event) = kept.events.get(at) {
            self.next += 1;
            return Poll::Ready(Some(event.clone()));
        }
        if kept.is_over {
            return Poll::Ready(None);
        }
        if !kept.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            kept.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn update(&self, update: &dyn Fn(&mut KeptOutput)) {
        let mut kept = self.lock();
        update(&mut kept);
        let waiting = std::mem::take(&mut kept.waiting);
        let trunk = kept.trunk.clone();
        // Wakers run without the lock, because a woken task may read at once.
        drop(kept);
        waiting.into_iter().for_each(Waker::wake);
        if let Some(trunk) = trunk {
            trunk.update(update);
        }
    }

    /// Locks the output, which is consistent between any two statements, also after a panic.
    fn lock(&self) -> MutexGuard<'_, KeptOutput> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ServerOutput {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream for ServerOutput {
    type Item = ServerOutputEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<ServerOutputEvent>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for ServerOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOutput").field("missed", &self.missed).finish_non_exhaustive()
    }
}

impl KeptOutput {
    fn push_chunk(&mut self, stream: OutputStream, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            let unfinished = &mut self.unfinished[stream as usize];
            unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") || unfinished.len() >= LINE_SIZE_MAX {
                self.finish(stream);
            }
        }
    }

    fn finish(&mut self, stream: OutputStream) {
        let line = std::mem::take(&mut self.unfinished[stream as usize]);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.push(ServerOutputEvent::Line {
            stream,
            text: String::from_utf8_lossy(line).into_owned(),
        });
    }

    fn push(&mut self, event: ServerOutputEvent) {
        self.size += size(&event);
        self.events.push_back(event);
        while self.size > KEPT_SIZE_MAX
            && let Some(oldest) = self.events.pop_front()
        {
            self.size -= size(&oldest);
            self.first += 1;
        }
    }

    fn end(&mut self) {
        for stream in [OutputStream::Stderr, OutputStream::Stdout] {
            if !self.unfinished[stream as usize].is_empty() {
                self.finish(stream);
            }
        }
        self.is_over = true;
    }
}

fn size(event: &ServerOutputEvent) -> usize {
    let text = match event {
        ServerOutputEvent::Line { text, .. } => text.len(),
        ServerOutputEvent::Installing { .. } | ServerOutputEvent::Starting { .. } => 0,
    };
    text + size_of::<ServerOutputEvent>()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn texts(output: &mut ServerOutput) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(event) = output.next_event().await {
            match event {
                ServerOutputEvent::Line { stream, text } => {
                    texts.push(format!("{stream:?} {text}"))
                }
                ServerOutputEvent::Installing { plugins } => texts.extend(plugins),
                ServerOutputEvent::Starting { elapsed } => texts.push(format!("{elapsed:?}")),
            }
        }
        texts
    }

    #[tokio::test]
    async fn lines_of_both_streams_come_whole_and_in_order() {
        let mut output = ServerOutput::new();
        output.push_chunk(OutputStream::Stdout, b"on");
        output.push_chunk(OutputStream::Stderr, b"err\r\n");
        output.push_progress(Duration::from_secs(2));
        output.push_chunk(OutputStream::Stdout, b"e\n\ntw");
        output.end();
        let expected = ["Stderr err", "2s", "Stdout one", "Stdout ", "Stdout tw"];
        assert_eq!(texts(&mut output).await, expected);
        assert_eq!(texts(&mut output.rewound()).await, expected);
        assert_eq!(output.missed(), 0);
    }

    #[tokio::test]
    async fn a_slow_reader_misses_the_oldest_lines() {
        let mut output = ServerOutput::new();
        for number in 0..100_000 {
            output.push_chunk(OutputStream::Stdout, format!("{number}\n").as_bytes());
        }
        // A line without an end is cut.
        output.push_chunk(OutputStream::Stdout, &[b'x'; 3 * LINE_SIZE_MAX]);
        output.end();
        let read = texts(&mut output).await;
        assert!(output.missed() > 90_000, "{}", output.missed());
        assert_eq!(read.len() as u64 + output.missed(), 100_000 + 1);
        assert!(output.lock().size <= KEPT_SIZE_MAX);
    }

    #[tokio::test]
    async fn an_output_of_several_servers_gets_the_events_of_all() {
        let mut all = ServerOutput::new();
        let (mut one, other) = (all.branch(), all.branch());
        one.push_chunk(OutputStream::Stdout, b"one\n");
        other.push_progress(Duration::from_secs(1));
        one.end();
        assert_eq!(texts(&mut one).await, ["Stdout one"]);
        assert_eq!(texts(&mut all).await, ["Stdout one", "1s"]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let mut output = ServerOutput::new();
        let writer = output.clone();
        let reading = tokio::spawn(async move { texts(&mut output).await });
        tokio::task::yield_now().await;
        writer.push_chunk(OutputStream::Stdout, b"late\n");
        tokio::task::yield_now().await;
        writer.end();
        assert_eq!(reading.await.expect("no panic"), ["Stdout late"]);
    }
}
