//! The report for people.

use std::fmt;

use super::Upstream;
use super::difference::Difference;
use super::used::Sources;

/// Differences between two versions, with the files of the core that use what differs.
pub(crate) struct Report {
    versions: [String; 2],
    differences: Vec<(Difference, Vec<String>)>,
    has_flags: bool,
}

impl Report {
    pub(super) fn new(
        pinned: &Upstream,
        current: &Upstream,
        mut found: Vec<Difference>,
        sources: &Sources,
    ) -> Self {
        found.sort_by_key(|difference| difference.kind);
        let with_uses = |difference: Difference| {
            let uses = sources.uses(&difference).into_iter().map(str::to_owned).collect();
            (difference, uses)
        };
        Self {
            versions: [pinned.version.clone(), current.version.clone()],
            differences: found.into_iter().map(with_uses).collect(),
            has_flags: current.flags.is_some(),
        }
    }

    /// Returns whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pinned, current] = &self.versions;
        writeln!(f, "OpenCode {current}, compared with the pinned {pinned}")?;
        if !self.has_flags {
            writeln!(f, "flags were not compared: a server does not list them")?;
        }
        for (difference, uses) in &self.differences {
            writeln!(f, "{difference}")?;
            if !uses.is_empty() {
                writeln!(f, "    used in {}", uses.join(", "))?;
            }
        }
        let used = self.differences.iter().filter(|(_, uses)| !uses.is_empty()).count();
        match self.differences.len() {
            0 => f.write_str("no differences"),
            count => write!(f, "{count} differences, {used} of them used by the core"),
        }
    }
}
