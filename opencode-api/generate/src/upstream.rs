//! Comparison of a program or a server with the pin.

mod difference;
mod flags;
mod http;
mod program;
mod report;
mod shape;
#[cfg(test)]
mod tests;
mod used;

use std::error::Error;
use std::fs;
use std::path::Path;

use opencode_config::Json;

use crate::pin;
use crate::since;
use crate::spec::{self, Pin};
use difference::differences;
use flags::Flags;
use program::Program;
use report::Report;
use used::Sources;

/// A version of OpenCode, as far as the comparison looks at one.
pub(crate) struct Upstream {
    version: String,
    /// In the form of a pin: without prose.
    document: Json,
    /// Unknown for a server, whose program may be on another machine.
    flags: Option<Flags>,
}

impl Upstream {
    /// Asks a server, or a program that is started for that purpose.
    pub(crate) fn of(target: &str) -> Result<Self, Box<dyn Error>> {
        if target.starts_with("http://") {
            return Self::of_server(target, None);
        }
        let program = Program::start(Path::new(target))?;
        let flags = Flags::of_program(Path::new(target))?;
        Self::of_server(program.url(), Some(flags))
    }

    /// The pinned version.
    pub(crate) fn pinned() -> Result<Self, Box<dyn Error>> {
        let Pin { version, document } = Pin::read()?;
        let flags = Flags::of_json(&spec::read_json(&spec::flags_path())?);
        Ok(Self { version, document, flags: Some(flags) })
    }

    fn of_server(url: &str, flags: Option<Flags>) -> Result<Self, Box<dyn Error>> {
        let document: Json = http::get(url, "/doc")?.parse()?;
        let health: Json = http::get(url, "/global/health")?.parse()?;
        let version = health.get("version").and_then(Json::as_str);
        let version = version.ok_or("the server does not state a version")?.to_owned();
        Ok(Self { version, document: pin::pinned(&document).parse()?, flags })
    }
}

/// Compares a program or a server with the pin.
pub(crate) fn compare(target: &str) -> Result<(Upstream, Report), Box<dyn Error>> {
    let (pinned, current) = (Upstream::pinned()?, Upstream::of(target)?);
    let mut found = differences(&pinned.document, &current.document);
    if let (Some(pinned), Some(current)) = (&pinned.flags, &current.flags) {
        found.extend(pinned.differences(current));
    }
    let report = Report::new(&pinned, &current, found, &Sources::of_core()?);
    Ok((current, report))
}

/// Makes this version the pinned one.
pub(crate) fn write(current: &Upstream) -> Result<(), Box<dyn Error>> {
    Pin::replace(&current.version, &pin::pinned(&current.document))?;
    if let Some(flags) = &current.flags {
        fs::write(spec::flags_path(), flags.text())?;
    }
    since::add_pinned(&current.version, &current.document)
}
