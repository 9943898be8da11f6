use std::fmt;

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
