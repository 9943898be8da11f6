//! Command lines for people to read.

use std::ffi::OsString;
use std::path::Path;

use crate::flags::is_secret;
use crate::program::quoted;

const HIDDEN: &str = "***";

/// Joins a command in the syntax of a POSIX shell, without the values of flags that are secrets.
pub(super) fn join(program: &Path, args: &[OsString]) -> String {
    let mut words = vec![quoted(&program.to_string_lossy())];
    let mut hide_next = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        if std::mem::take(&mut hide_next) {
            words.push(HIDDEN.to_owned());
            continue;
        }
        let (flag, has_value) = match arg.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (&*arg, false),
        };
        let is_secret_flag = flag.starts_with('-') && is_secret(flag.trim_start_matches('-'));
        if is_secret_flag && has_value {
            words.push(format!("{flag}={HIDDEN}"));
        } else {
            hide_next = is_secret_flag;
            words.push(quoted(&arg));
        }
    }
    words.join(" ")
}
