//! Judges how a server ended, from everything that is known about the process.

use super::{Listening, ServeEnd, ServeStop};
use crate::run::stderr::{is_database_race, startup_message};

/// Judges a process that is over.
pub(super) fn end(stop: Option<ServeStop>, listening: &Listening, stderr: &str) -> ServeEnd {
    match (stop, listening) {
        (Some(ServeStop::Requested), _) => ServeEnd::Stopped,
        (Some(ServeStop::TimedOut), _) => ServeEnd::TimedOut,
        (None, Listening::On { .. }) => ServeEnd::Exited,
        (None, Listening::NotYet { .. }) => startup_end(stderr),
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

/// 1.18.33 prints `ServeError` and nothing else; earlier versions print the error of their runtime.
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
