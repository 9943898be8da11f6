//! How a server ended, from everything that is known about it.

use std::mem;
use std::time::Instant;

use super::{Serve, ServeEnd, ServeOutcome, Stop};
use crate::run::stderr::{is_database_race, startup_message};

pub(super) fn outcome(serve: &mut Serve, now: Instant) -> ServeOutcome {
    let stderr = serve.stderr_tail.text();
    ServeOutcome {
        end: end(serve, &stderr),
        exit: serve.gone.and_then(|(exit, _)| exit),
        url: mem::take(&mut serve.url),
        stdout: serve.stdout_tail.text(),
        stderr,
        elapsed: now.saturating_duration_since(serve.started),
    }
}

fn end(serve: &Serve, stderr: &str) -> ServeEnd {
    match &serve.stop {
        Some((Stop::Asked, _)) => ServeEnd::Stopped,
        Some((Stop::TimedOut, _)) => ServeEnd::TimedOut,
        None if serve.url.is_some() => ServeEnd::Exited,
        None => startup_end(stderr),
    }
}

fn startup_end(stderr: &str) -> ServeEnd {
    let message = startup_message(stderr);
    if is_database_race(stderr) {
        ServeEnd::StartupDatabase { message }
    } else if is_refused_address(stderr) {
        ServeEnd::CannotListen { message }
    } else if is_invalid_config(stderr) {
        ServeEnd::InvalidConfig { message }
    } else {
        ServeEnd::StartupError { message }
    }
}

/// 1.18.33 says `ServeError` and nothing else; earlier versions pass on what their runtime says.
fn is_refused_address(stderr: &str) -> bool {
    const SIGNS: [&str; 4] =
        ["ServeError", "EADDRINUSE", "EADDRNOTAVAIL", "Failed to start server"];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

fn is_invalid_config(stderr: &str) -> bool {
    const SIGNS: [&str; 4] =
        ["ConfigInvalidError", "ConfigJsonError", "Configuration is invalid", "is not valid JSON"];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}
