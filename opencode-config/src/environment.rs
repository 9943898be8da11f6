//! Environment variables as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

#[cfg(test)]
mod tests;

/// A snapshot of environment variables, ordered by name.
///
/// This crate never reads the environment of the process: the caller collects the variables once
/// and passes them on.
///
/// ```
/// use opencode_config::Environment;
///
/// let inherited: Environment = std::env::vars_os().collect();
/// let quiet = inherited.with_var("OPENCODE_DISABLE_LSP_DOWNLOAD", "1");
/// assert_eq!(quiet.var("OPENCODE_DISABLE_LSP_DOWNLOAD"), Some("1".as_ref()));
/// ```
///
/// Values are often secrets, so `Debug` prints the names only:
///
/// ```
/// use opencode_config::Environment;
///
/// let keys = Environment::new().with_var("ANTHROPIC_API_KEY", "sk-secret");
/// assert_eq!(format!("{keys:?}"), r#"{"ANTHROPIC_API_KEY"}"#);
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Creates an environment without variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of `name` if the variable is set, possibly to the empty string.
    #[must_use]
    pub fn var(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Sets the variable `name` and returns the environment, for building it in one expression.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets the variable `name`, replacing an earlier value.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Removes the variable `name` and returns the value.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) -> Option<OsString> {
        self.variables.remove(name.as_ref())
    }

    /// Returns all variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Returns the names of all variables, in order.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.variables.keys().map(OsString::as_os_str)
    }

    /// Returns the number of variables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Returns whether no variable is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Removes every variable whose name `is_unwanted` picks.
    pub(crate) fn remove_all(&mut self, is_unwanted: impl Fn(&OsStr) -> bool) {
        self.variables.retain(|name, _| !is_unwanted(name));
    }

    /// Returns the value of `name` unless the value is empty, which OpenCode's `||` operator takes
    /// for unset.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&OsStr> {
        self.var(name).filter(|value| !value.is_empty())
    }
}

impl Extend<(OsString, OsString)> for Environment {
    fn extend<T: IntoIterator<Item = (OsString, OsString)>>(&mut self, variables: T) {
        self.variables.extend(variables);
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}

impl IntoIterator for Environment {
    type Item = (OsString, OsString);
    type IntoIter = std::collections::btree_map::IntoIter<OsString, OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.variables.into_iter()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
