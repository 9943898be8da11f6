use std::fmt;

use opencode_proto::RawJson;

/// How many problems of one answer are told, and how long each may be, in bytes.
const PROBLEMS_MAX: usize = 16;
const MESSAGE_SIZE_MAX: usize = 600;

/// Why an answer was not taken. `Display` is what the model is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Misfit {
    /// The model gave no value: it answered in words.
    Missing,
    /// It gave this value.
    #[non_exhaustive]
    Unfit {
        /// What the model gave.
        value: RawJson,
        /// What is wrong with it, at least one thing.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where in what the model gave: `licences[2].name`; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Misfit {
    /// What is wrong with the value, if there is one.
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
    /// A problem at this path.
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

/// Where in a JSON value something is: `licences[2].name`. The value itself is the empty path.
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
