//! Marker of a run: an environment variable by which all processes of the run are found.

use std::ffi::OsStr;

/// Maximum size of an inherited value, far beyond any sane depth of nesting. A longer one is not
/// ours.
const INHERITED_SIZE_MAX: usize = 4096;

/// Value of [`Marker::NAME`] for one run, which all processes of the run inherit.
///
/// A program may itself run inside a tool of an outer run. The children of the program then carry
/// `outer:inner`, so that the cleanup of the outer run includes them, while the cleanup of the
/// inner run never matches a process of the outer one.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    value: String,
    token_start: usize,
}

impl Marker {
    /// Name of the environment variable.
    pub(crate) const NAME: &str = "OPENCODE_RS_RUN";

    /// Creates a marker from unpredictable bits; `inherited` is this program's own value of
    /// [`Marker::NAME`].
    pub(crate) fn new(inherited: Option<&OsStr>, secret: u128) -> Self {
        let outer = inherited
            .and_then(OsStr::to_str)
            .filter(|value| is_marker_value(value))
            .map_or_else(String::new, |value| format!("{value}:"));
        Self { token_start: outer.len(), value: outer + &format!("{secret:032x}") }
    }

    /// Returns the marker with this token, which must have the form of one.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let is_token = token.len() == 32
            && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_token.then(|| Self { value: token.to_owned(), token_start: 0 })
    }

    /// Part of the marker that belongs to this run alone: 32 hexadecimal digits.
    pub(crate) fn token(&self) -> &str {
        &self.value[self.token_start..]
    }

    /// Returns the value of [`Marker::NAME`] for the process of the run.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Returns true when this value of [`Marker::NAME`] contains the token of this run.
    #[cfg(any(test, unix))]
    pub(super) fn is_in(&self, value: &[u8]) -> bool {
        value.split(|&byte| byte == b':').any(|token| token == self.token().as_bytes())
    }
}

#[cfg(test)]
impl Marker {
    /// Creates a marker that no other test has.
    pub(crate) fn fresh(inherited: Option<&OsStr>) -> Self {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).expect("the operating system has a random source");
        Self::new(inherited, u128::from_ne_bytes(secret))
    }
}

fn is_marker_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= INHERITED_SIZE_MAX
        && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_all_bits_of_its_secret() {
        for secret in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let marker = Marker::new(None, secret);
            assert_eq!(marker.token().len(), 32);
            assert_eq!(u128::from_str_radix(marker.token(), 16), Ok(secret));
        }
    }

    #[test]
    fn an_outer_run_covers_an_inner_one_and_not_the_other_way_round() {
        let outer = Marker::new(None, 1);
        let inner = Marker::new(Some(OsStr::new(outer.value())), 2);
        assert!(outer.is_in(inner.value().as_bytes()));
        assert!(inner.is_in(inner.value().as_bytes()));
        assert!(!inner.is_in(outer.value().as_bytes()));
        assert!(!inner.token().contains(':'));
    }

    #[test]
    fn a_foreign_inherited_value_is_dropped() {
        for foreign in ["", "not ours", "a\nb", &"a".repeat(INHERITED_SIZE_MAX + 1)] {
            let marker = Marker::new(Some(OsStr::new(foreign)), 3);
            assert_eq!(marker.value(), marker.token(), "{foreign:?}");
        }
    }
}
