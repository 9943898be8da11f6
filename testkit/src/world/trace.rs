use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Number of lines that are kept: the last lines explain a failure.
const LINES_MAX: usize = 20_000;

/// Log of the events of a world.
#[derive(Debug, Default)]
pub(super) struct Trace {
    lines: VecDeque<String>,
    left_out: u64,
    hasher: DefaultHasher,
}

impl Trace {
    pub(super) fn add(&mut self, now: Duration, event: fmt::Arguments<'_>) {
        let mut line = format!("{:>11.6} ", now.as_secs_f64());
        line.write_fmt(event).expect("a String accepts every write");
        line.hash(&mut self.hasher);
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.left_out += 1;
        }
        self.lines.push_back(line);
    }

    /// Hash of all lines, dropped ones included.
    pub(super) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn tail(&self, lines_max: usize) -> String {
        let skipped = self.lines.len().saturating_sub(lines_max);
        let mut text = match self.left_out + skipped as u64 {
            0 => String::new(),
            left_out => format!("({left_out} lines before)\n"),
        };
        for line in self.lines.iter().skip(skipped) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
