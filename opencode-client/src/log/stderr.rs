//! Log lines on standard error, for programs that do nothing about logging.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use opencode_config::Environment;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Variable with the level of the lines.
const VARIABLE: &str = "OPENCODE_LOG";

/// Beginning of the targets of all crates of this library.
const TARGETS: &str = "opencode_";

/// Writes log lines to standard error if `OPENCODE_LOG` is set and the program has no subscriber.
pub(crate) fn write_to_stderr(environment: &Environment) {
    static DECIDED: Once = Once::new();
    let level = environment.var(VARIABLE).and_then(|level| level.to_str()).and_then(level);
    if let Some(level) = level {
        DECIDED.call_once(|| {
            // An error means that the program has a subscriber, which comes first.
            let _ = tracing::subscriber::set_global_default(StderrLog::new(level));
        });
    }
}

/// Returns the level of this name; `None` for `off` and unknown names.
fn level(name: &str) -> Option<LevelFilter> {
    match name.trim().to_ascii_lowercase().as_str() {
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

/// Subscriber that writes one line per event.
struct StderrLog {
    level: LevelFilter,
    spans: AtomicU64,
}

impl StderrLog {
    fn new(level: LevelFilter) -> Self {
        Self { level, spans: AtomicU64::new(1) }
    }
}

impl Subscriber for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with(TARGETS)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // A line in one write, so that those of threads do not mix. Nothing can be done about a
        // standard error that is closed.
        let _ = io::stderr().lock().write_all(line(event).as_bytes());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn line(event: &Event<'_>) -> String {
    let metadata = event.metadata();
    let mut line = Line { message: String::new(), fields: String::new() };
    event.record(&mut line);
    let Line { message, fields } = line;
    format!("{:5} {}: {message}{fields}\n", metadata.level(), metadata.target())
}

/// Text of an event, as far as the fields were visited.
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn levels_have_names_in_any_case() {
        assert_eq!(level(" Debug\n"), Some(LevelFilter::DEBUG));
        assert_eq!(level("WARN"), Some(LevelFilter::WARN));
        for name in ["", "off", "1", "true", "verbose"] {
            assert_eq!(level(name), None, "{name}");
        }
    }

    /// Collects the lines in place of standard error.
    struct Collected(StderrLog, Arc<Mutex<Vec<String>>>);

    impl Subscriber for Collected {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            self.0.enabled(metadata)
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            self.0.new_span(attributes)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            self.1.lock().unwrap().push(line(event));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_line_has_level_target_message_and_fields() {
        let lines = Arc::default();
        let log = Collected(StderrLog::new(LevelFilter::DEBUG), Arc::clone(&lines));
        tracing::subscriber::with_default(log, || {
            let _span = tracing::info_span!("run", model = "a/b").entered();
            tracing::debug!(path = "/session", status = 200, "request {}", "answered");
            tracing::trace!("too fine");
            tracing::warn!(target: "hyper", "of another crate");
        });
        let expected = "DEBUG opencode_client::log::stderr::tests: request answered \
                        path=\"/session\" status=200\n";
        assert_eq!(*lines.lock().unwrap(), [expected]);
    }
}
