//! Event logs, written on threads that may block, and log lines on standard error.

mod event_log;
mod stderr;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;
use crate::runtime::wait::BoxFuture;

pub(crate) use crate::runtime::describe::describe;
pub(crate) use event_log::EventLog;
pub use event_log::{EventLogConfig, EventLogError, EventLogMode};
pub(crate) use stderr::write_to_stderr;

/// Maximum size of the events that wait to be written, in bytes.
const WAITING_SIZE_MAX: usize = 4 << 20;

pub(crate) struct Log {
    log: Arc<Mutex<EventLog>>,
    runtime: Arc<dyn Runtime>,
    waiting: Vec<(String, Bytes)>,
    waiting_size: usize,
    writing: Option<BoxFuture<Result<(), EventLogError>>>,
    failure: Option<EventLogError>,
}

impl Log {
    pub(crate) fn new(log: EventLog, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            log: Arc::new(Mutex::new(log)),
            runtime,
            waiting: Vec::new(),
            waiting_size: 0,
            writing: None,
            failure: None,
        }
    }

    /// Adds an event, which is one line of JSON.
    pub(crate) fn add(&mut self, event_type: &str, line: Bytes) {
        if self.failure.is_none() {
            self.waiting_size += line.len();
            self.waiting.push((event_type.to_owned(), line));
        }
    }

    /// Returns true when more events are waiting than the log may hold back.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting_size > WAITING_SIZE_MAX
    }

    /// Continues to write. Returns true when a write began or ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        if let Some(writing) = &mut self.writing {
            let Poll::Ready(result) = writing.as_mut().poll(cx) else { return false };
            self.writing = None;
            self.failure = self.failure.take().or_else(|| result.err());
            moved = true;
        }
        if self.waiting.is_empty() {
            return moved;
        }
        self.waiting_size = 0;
        let lines = std::mem::take(&mut self.waiting);
        let (log, runtime) = (Arc::clone(&self.log), Arc::clone(&self.runtime));
        self.writing =
            Some(Box::pin(async move { unblock(&runtime, move || write(&log, &lines)).await }));
        true
    }

    /// Writes the waiting events. Returns the first error of the log.
    pub(crate) async fn close(mut self) -> Result<(), EventLogError> {
        if let Some(writing) = self.writing.take() {
            let result = writing.await;
            self.failure = self.failure.take().or_else(|| result.err());
        }
        let (log, lines) = (self.log, self.waiting);
        let last = unblock(&self.runtime, move || write(&log, &lines)).await;
        self.failure.map_or(last, Err)
    }
}

fn write(log: &Mutex<EventLog>, lines: &[(String, Bytes)]) -> Result<(), EventLogError> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().try_for_each(|(event_type, line)| log.write(Some(event_type), line))
}
