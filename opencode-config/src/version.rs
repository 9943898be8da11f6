//! Versions of OpenCode, as `opencode --version` prints them, and the supported ones.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Version of OpenCode, in the order of semantic versioning: `1.2.0-beta` comes before `1.2.0`.
///
/// `Serialize` and `Deserialize` use the text, such as `1.18.33`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// Major version, the first number.
    pub major: u64,
    /// Minor version, the second number.
    pub minor: u64,
    /// Patch version, the third number; 0 when there are only two.
    pub patch: u64,
    /// Name of a pre-release, after a `-`.
    pub pre_release: Option<Box<str>>,
}

/// Parses the output of `opencode --version`: the first word that has the form of a version, with
/// or without a leading `v`. Build metadata (`+…`) is dropped.
pub fn parse_version(stdout: &str) -> Option<Version> {
    stdout.split_whitespace().find_map(parse_word)
}

fn parse_word(word: &str) -> Option<Version> {
    let word = word.trim_end_matches([',', ';', ')']);
    let word = word.rsplit(['/', '@', '(']).next()?;
    let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let word = word.split('+').next()?;
    let (numbers, pre_release) = match word.split_once('-') {
        Some((numbers, pre_release)) => (numbers, Some(pre_release)),
        None => (word, None),
    };

    let mut numbers = numbers.split('.').map(parse_number);
    let version = Version {
        major: numbers.next()??,
        minor: numbers.next()??,
        patch: numbers.next().unwrap_or(Some(0))?,
        pre_release: pre_release.filter(|name| !name.is_empty()).map(Box::from),
    };
    numbers.next().is_none().then_some(version)
}

/// Parses digits only; `str::parse` alone would accept a sign.
fn parse_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Version {
    /// Oldest supported version. Earlier servers ignore the schema of an answer, and earlier runs
    /// wait for a reply to permission requests that nothing can give.
    pub const OLDEST_SUPPORTED: Self = Self::new(1, 1, 65);

    /// Newest version that the tests ran against.
    pub const NEWEST_TESTED: Self = Self::new(1, 18, 34);

    /// First version of the next line, which has another API, and whose `opencode run` talks to a
    /// service outside of any isolation.
    pub const FIRST_UNSUPPORTED: Self = Self::new(2, 0, 0);

    /// Creates the version of a release.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch, pre_release: None }
    }

    /// Returns whether this library supports the version: 1.x from
    /// [`OLDEST_SUPPORTED`](Self::OLDEST_SUPPORTED) on, and snapshots (`0.0.0-dev-…`).
    pub fn is_supported(&self) -> bool {
        let is_release = *self >= Self::OLDEST_SUPPORTED && self.major == 1;
        is_release || self.is_snapshot()
    }

    /// Returns whether this is a build between releases, whose number has no meaning.
    pub fn is_snapshot(&self) -> bool {
        self.numbers() == (0, 0, 0) && self.pre_release.is_some()
    }

    fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        match &self.pre_release {
            Some(name) => write!(f, "-{name}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse_version(&text).ok_or_else(|| de::Error::custom("not a version of OpenCode"))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| {
            match (&self.pre_release, &other.pre_release) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(other)) => compare_pre_releases(one, other),
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares part by part: numbers by value and before words, words by bytes, the shorter list
/// first.
fn compare_pre_releases(one: &str, other: &str) -> Ordering {
    one.split('.')
        .map(part_key)
        .cmp(other.split('.').map(part_key))
        // `01` and `1` are the same number, but different names.
        .then_with(|| one.cmp(other))
}

fn part_key(part: &str) -> (u8, u64, &str) {
    match parse_number(part) {
        Some(number) => (0, number, ""),
        None => (1, 0, part),
    }
}

/// Error of a program or a server: the version is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct UnsupportedVersion {
    /// The version; `None` for a server that reports none, as before 1.0.224.
    pub found: Option<Version>,
}

impl UnsupportedVersion {
    /// Creates the error for the version that was found.
    pub fn new(found: Option<Version>) -> Self {
        Self { found }
    }
}

impl fmt::Display for UnsupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "OpenCode {found} is not supported")?,
            None => f.write_str("OpenCode before 1.0.224 is not supported")?,
        }
        let (oldest, next) = (Version::OLDEST_SUPPORTED, Version::FIRST_UNSUPPORTED);
        write!(f, ": supported are versions from {oldest} up to {next}, which is excluded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_snapshots_are_supported() {
        let is_supported = |text| parse_version(text).expect(text).is_supported();
        for text in ["1.1.65", "1.18.33", "1.99.0-beta.1", "0.0.0-dev-202609212252"] {
            assert!(is_supported(text), "{text}");
        }
        for text in ["0.15.31", "1.0.223", "1.1.64", "2.0.0-beta.1", "2.0.0", "2.1.2", "0.0.0"] {
            assert!(!is_supported(text), "{text}");
        }
    }

    #[test]
    fn the_error_has_the_version_and_the_range() {
        let range = "supported are versions from 1.1.65 up to 2.0.0, which is excluded";
        let error = UnsupportedVersion::new(Some(Version::new(2, 0, 12)));
        assert_eq!(error.to_string(), format!("OpenCode 2.0.12 is not supported: {range}"));
        let error = UnsupportedVersion::new(None);
        assert_eq!(error.to_string(), format!("OpenCode before 1.0.224 is not supported: {range}"));
    }

    #[test]
    fn versions_are_parsed_from_the_output_of_the_program() {
        let expected = Version::new(1, 18, 33);
        for stdout in [
            "1.18.33\n",
            "1.18.33",
            "v1.18.33\r\n",
            "opencode 1.18.33",
            "opencode v1.18.33 (linux-x64)",
            "opencode/1.18.33 linux",
            "opencode-ai@1.18.33",
            "warning: something 1 happened\n1.18.33+build.5",
        ] {
            assert_eq!(parse_version(stdout), Some(expected.clone()), "{stdout:?}");
        }
    }

    #[test]
    fn other_text_is_no_version() {
        for stdout in [
            "",
            "\n",
            "opencode",
            "1",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "1.x.3",
            "-1.2.3",
            "+1.2.3",
            "1.+2.3",
            "99999999999999999999.0.0",
        ] {
            assert_eq!(parse_version(stdout), None, "{stdout:?}");
        }
    }

    #[test]
    fn a_pre_release_is_kept_and_a_missing_patch_is_zero() {
        let version = parse_version("0.0.0-dev-202511210839\n").expect("a version");
        assert_eq!(version.pre_release.as_deref(), Some("dev-202511210839"));
        assert_eq!(version.to_string(), "0.0.0-dev-202511210839");
        assert_eq!(parse_version("2.1"), Some(Version::new(2, 1, 0)));
    }

    #[test]
    fn a_version_is_text_in_json() {
        let version = Version::new(1, 18, 33);
        let text = serde_json::to_string(&version).expect("JSON");
        assert_eq!(text, r#""1.18.33""#);
        assert_eq!(serde_json::from_str::<Version>(&text).expect("a version"), version);
        assert!(serde_json::from_str::<Version>(r#""newest""#).is_err());
    }

    #[test]
    fn versions_have_the_order_of_semantic_versioning() {
        let versions = [
            "0.0.0-dev-1",
            "0.15.31",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2.27",
            "1.14.41",
            "1.18.33",
            "2.0.0",
        ]
        .map(|text| parse_version(text).expect(text));
        assert!(versions.is_sorted_by(|one, other| one < other));
    }
}
