use std::fmt;

use opencode_proto::RawJson;
use serde::Serialize;

/// Maximum number of reported problems of one answer, and maximum length of each in bytes.
const PROBLEMS_MAX: usize = 16;
const MESSAGE_SIZE_MAX: usize = 600;

/// Reason for the rejection of an answer. `Display` is the text that the model receives.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Misfit {
    /// The model returned no value, but answered in words.
    Missing,
    /// The model returned a value that does not fit.
    #[non_exhaustive]
    Unfit {
        /// Value that the model returned.
        value: RawJson,
        /// Problems of the value, at least one.
        problems: Vec<Problem>,
    },
}

/// A single problem of an answer or a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Path in the model's output: `licences[2].name`; empty for the whole output.
    pub path: String,
    /// Description of the problem at this path.
    pub message: String,
}

impl Misfit {
    /// Returns the problems of the value; empty when there is no value.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Missing => &[],
            Self::Unfit { problems, .. } => problems,
        }
    }

    pub(super) fn unfit(value: RawJson, mut problems: Vec<Problem>) -> Self {
        problems.truncate(PROBLEMS_MAX);
        Self::Unfit { value, problems }
    }
}

impl Problem {
    /// Creates a problem at this path.
    pub(super) fn new(path: impl fmt::Display, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_SIZE_MAX {
            let end = (0..=MESSAGE_SIZE_MAX).rev().find(|at| message.is_char_boundary(*at));
            message.truncate(end.unwrap_or(0));
            message.push_str(" ...");
        }
        Self { path: path.to_string(), message }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unfit { problems, .. } = self else {
            return f.write_str("there is no answer in the form that was asked for");
        };
        for (index, problem) in problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "`{}`: {}", self.path, self.message)
    }
}

/// Path within a JSON value: `licences[2].name`. The path of the value itself is empty.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    Whole,
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "serde counts by itself"))]
    Item(&'a Self, usize),
    Member(&'a Self, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Member(Path::Whole, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
        }
    }
}
