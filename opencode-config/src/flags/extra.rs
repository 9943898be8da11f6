//! Flags that this crate has no types for.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::RunConfigError;

/// Flags that this crate has no types for, passed on as they are.
///
/// Names are given without dashes: a name of one character becomes `-k`, a longer one `--key`.
///
/// ```
/// use opencode_config::{ExtraFlags, FlagValue};
///
/// let flags = ExtraFlags::new()
///     .with("thinking", FlagValue::On) // --thinking
///     .with("title", "demo")           // --title=demo
///     .with("f", ["a.txt", "b.txt"])   // -f a.txt -f b.txt
///     .with("fork", FlagValue::Off);   // no argument
/// assert_eq!(flags.iter().count(), 4);
/// ```
///
/// Flags that would end the event stream or the program are refused when the command line is built:
/// `format`, `help`, `version`, `interactive` and `mini`, in every spelling. `Debug` prints the
/// names only, since values can be secrets.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ExtraFlags {
    flags: Vec<(String, FlagValue)>,
}

/// Value of a flag on the command line.
///
/// ```
/// use opencode_config::FlagValue;
///
/// assert_eq!(FlagValue::from(true), FlagValue::On);
/// assert_eq!(FlagValue::from(Some("demo")), FlagValue::Value("demo".into()));
/// assert_eq!(FlagValue::from(None::<&str>), FlagValue::Off);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FlagValue {
    /// The flag is left out, even if a default would set it (`log-level`, `print-logs`).
    Off,
    /// The flag stands alone: `--key` or `-k`.
    On,
    /// The flag has one value: `--key=value` or `-k value`.
    Value(OsString),
    /// The flag is repeated for each value.
    Values(Vec<OsString>),
}

impl ExtraFlags {
    /// Creates an empty list of flags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag `name`, replacing an earlier value of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<FlagValue>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.flags.iter_mut().find(|(earlier, _)| *earlier == name) {
            Some((_, slot)) => *slot = value,
            None => self.flags.push((name, value)),
        }
        self
    }

    /// Returns the flags in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FlagValue)> {
        self.flags.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns whether no flag is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// Returns whether `name` is set, even to [`FlagValue::Off`].
    pub(crate) fn has(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known == name)
    }

    /// Returns whether one of `names` is switched on.
    pub(crate) fn has_any_on(&self, names: &[&str]) -> bool {
        self.iter().any(|(name, value)| names.contains(&name) && value.is_on())
    }
}

impl FlagValue {
    fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Value(value) => value == "true",
            Self::Values(values) => values.last().is_some_and(|value| value == "true"),
        }
    }
}

impl fmt::Debug for ExtraFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.flags.iter().map(|(name, _)| name)).finish()
    }
}

impl From<bool> for FlagValue {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

impl From<&str> for FlagValue {
    fn from(value: &str) -> Self {
        Self::Value(value.into())
    }
}

impl From<&OsStr> for FlagValue {
    fn from(value: &OsStr) -> Self {
        Self::Value(value.into())
    }
}

impl From<String> for FlagValue {
    fn from(value: String) -> Self {
        Self::Value(value.into())
    }
}

impl From<OsString> for FlagValue {
    fn from(value: OsString) -> Self {
        Self::Value(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for FlagValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Off, Into::into)
    }
}

impl<T: Into<OsString>> From<Vec<T>> for FlagValue {
    fn from(values: Vec<T>) -> Self {
        Self::Values(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<OsString>, const N: usize> From<[T; N]> for FlagValue {
    fn from(values: [T; N]) -> Self {
        Self::Values(values.into_iter().map(Into::into).collect())
    }
}

/// Returns the long name of a flag of OpenCode.
pub(crate) fn long_name(name: &str) -> &str {
    match name {
        "c" => "continue",
        "f" => "file",
        "h" => "help",
        "i" => "interactive",
        "m" => "model",
        "p" => "password",
        "s" => "session",
        "u" => "username",
        "v" => "version",
        name => name,
    }
}

/// Returns whether the value of a flag must not be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    matches!(long_name(name), "password" | "username")
}

/// Refuses names that cannot be flags, and flags that would break the event stream.
pub(crate) fn check_extra(name: &str) -> Result<(), RunConfigError> {
    let is_well_formed = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !is_well_formed {
        return Err(RunConfigError::MalformedFlag { flag: name.to_owned() });
    }
    let positive = name.strip_prefix("no-").unwrap_or(name);
    match long_name(positive) {
        "format"
        | "get-yargs-completions"
        | "getYargsCompletions"
        | "help"
        | "interactive"
        | "mini"
        | "version" => Err(RunConfigError::ProtectedFlag { flag: name.to_owned() }),
        _ => Ok(()),
    }
}
