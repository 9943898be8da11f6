//! Reads recorded output of OpenCode from a file, and prints the result as one line of JSON.
//!
//! ```text
//! cargo run -p opencode-proto --example replay -- run FILE [--exit CODE] [--stderr FILE]
//! cargo run -p opencode-proto --example replay -- server FILE
//! ```
//!
//! `run`: `FILE` holds the standard output of `opencode run --format json`, or the event log of a
//! run. `CODE` is the exit code of the process; below zero, the signal that ended it. Without it
//! the outcome is judged from the output alone.
//!
//! `server`: `FILE` holds the body of `GET /event` or `GET /global/event`.

// An example is a program: it reads files, takes the time and prints.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::wildcard_enum_match_arm)]

mod report;
mod run;
mod server;

use std::error::Error;
use std::{env, fs};

use bytes::Bytes;

const USAGE: &str = "usage: replay run FILE [--exit CODE] [--stderr FILE] | replay server FILE";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let line = match args.next().as_deref() {
        Some("run") => run::replay(args)?,
        Some("server") => server::replay(args)?,
        _ => return Err(USAGE.into()),
    };
    println!("{line}");
    Ok(())
}

fn read(path: Option<String>) -> Result<Bytes, Box<dyn Error>> {
    let path = path.ok_or(USAGE)?;
    let bytes = fs::read(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(bytes.into())
}
