//! What tools may do.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

mod decide;
mod json;
#[cfg(test)]
mod tests;

pub use decide::wildcard_matches;
pub(crate) use json::check_rules;

/// What happens when a rule matches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionAction {
    /// The tool runs.
    Allow,
    /// Somebody is asked: only a server has somebody to ask.
    Ask,
    /// The model is told that it may not.
    Deny,
}

impl PermissionAction {
    /// OpenCode's spelling: `allow`, `ask` or `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for PermissionAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rule of one permission key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PermissionRule {
    /// The same for every use.
    Action(PermissionAction),
    /// By what the tool is used on (a path, a command line, an agent name …); the last pattern that
    /// matches decides.
    Patterns(Vec<(String, PermissionAction)>),
}

/// One rule of a session: what happens when a tool is used on something. Mirrors `PermissionRule` of
/// OpenCode's API, where all rules are of this one form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct RulesetRule<'a> {
    /// The permission key.
    pub permission: &'a str,
    /// What it is used on; `*` for everything.
    pub pattern: &'a str,
    /// What happens.
    pub action: PermissionAction,
}

/// An ordered list of permission rules, OpenCode's `permission` config.
///
/// Later rules win, in OpenCode and so in this builder:
///
/// ```
/// use opencode_config::{PermissionAction::Deny, Permissions};
///
/// let permissions = Permissions::new().deny("*").allow("bash").allow("edit").pattern("edit", "*.py", Deny);
/// assert_eq!(
///     serde_json::to_string(&permissions)?,
///     r#"{"*":"deny","bash":"allow","edit":{"*":"allow","*.py":"deny"}}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// A key is a tool or `*`; wildcards match names of tools, MCP tools included (`github_*`). OpenCode
/// 1.18.33 knows `read`, `edit` (which covers `write` and `patch`), `glob`, `grep`, `list`, `bash`,
/// `task`, `external_directory`, `todowrite`, `question`, `webfetch`, `websearch`, `lsp`, `doom_loop`
/// and `skill`, and takes no patterns for `todowrite`, `question`, `webfetch`, `websearch` and
/// `doom_loop`. Other keys are passed on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "Value")]
pub struct Permissions {
    rules: Vec<(String, PermissionRule)>,
}

impl Permissions {
    /// No rules: OpenCode's own defaults hold.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `key` run.
    #[must_use]
    pub fn allow(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Allow))
    }

    /// Asks before `key` runs. Refused in run mode, see [`check_for_run`](Self::check_for_run).
    #[must_use]
    pub fn ask(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Ask))
    }

    /// Forbids `key`.
    #[must_use]
    pub fn deny(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Deny))
    }

    /// Sets the rule of `key`, as the last one.
    #[must_use]
    pub fn rule(mut self, key: impl Into<String>, rule: PermissionRule) -> Self {
        let key = key.into();
        self.rules.retain(|(earlier, _)| *earlier != key);
        self.rules.push((key, rule));
        self
    }

    /// Adds a pattern to what `key` has, as the last rule.
    ///
    /// What was set for `key` before keeps holding below the pattern, unless a `*` rule set since
    /// has overruled it.
    #[must_use]
    pub fn pattern(
        mut self,
        key: impl Into<String>,
        pattern: impl Into<String>,
        action: PermissionAction,
    ) -> Self {
        let (key, pattern) = (key.into(), pattern.into());
        let mut patterns = self.take_patterns(&key);
        patterns.retain(|(earlier, _)| *earlier != pattern);
        patterns.push((pattern, action));
        self.rules.push((key, PermissionRule::Patterns(patterns)));
        self
    }

    /// The rules in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PermissionRule)> {
        self.rules.iter().map(|(key, rule)| (key.as_str(), rule))
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Reads OpenCode's `permission` config: an object of rules, or one action for everything.
    ///
    /// # Errors
    ///
    /// [`PermissionError::UnknownAction`] or [`PermissionError::NotARule`], with the path of the rule.
    pub fn from_json(value: &Value) -> Result<Self, PermissionError> {
        json::read(value)
    }

    /// The rules as OpenCode's `permission` config.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let object: Map<String, Value> =
            self.iter().map(|(key, rule)| (key.to_owned(), json::write(rule))).collect();
        Value::Object(object)
    }

    /// The rules as OpenCode's ruleset, which is how a session of a server has them.
    ///
    /// Unlike in the config, a `~` in a pattern stays what it is.
    ///
    /// ```
    /// use opencode_config::{PermissionAction::Ask, Permissions};
    ///
    /// let permissions = Permissions::new().deny("*").pattern("bash", "git *", Ask);
    /// assert_eq!(
    ///     serde_json::to_string(&permissions.to_ruleset())?,
    ///     concat!(
    ///         r#"[{"permission":"*","pattern":"*","action":"deny"},"#,
    ///         r#"{"permission":"bash","pattern":"git *","action":"ask"}]"#,
    ///     ),
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn to_ruleset(&self) -> Vec<RulesetRule<'_>> {
        let mut rules = Vec::new();
        for (permission, rule) in self.iter() {
            match rule {
                PermissionRule::Action(action) => {
                    rules.push(RulesetRule { permission, pattern: "*", action: *action });
                }
                PermissionRule::Patterns(patterns) => {
                    rules.extend(patterns.iter().map(|(pattern, action)| RulesetRule {
                        permission,
                        pattern,
                        action: *action,
                    }));
                }
            }
        }
        rules
    }

    /// Refuses rules that `opencode run` cannot follow.
    ///
    /// It has nobody to ask: it rejects every request, and the turn ends there, unfinished and with
    /// exit code 0. `deny` instead lets the model go on without.
    ///
    /// # Errors
    ///
    /// [`PermissionError::Ask`] with the path of the first such rule, for example `edit.*.py`.
    pub fn check_for_run(&self) -> Result<(), PermissionError> {
        check_rules(&self.to_json(), "", Asking::Impossible)
    }

    /// Removes `key` and returns what of it still counts.
    fn take_patterns(&mut self, key: &str) -> Vec<(String, PermissionAction)> {
        let Some(index) = self.rules.iter().position(|(earlier, _)| earlier == key) else {
            return Vec::new();
        };
        let overruled = self.rules[index..].iter().any(|(later, rule)| {
            key != "*" && later == "*" && matches!(rule, PermissionRule::Action(_))
        });
        match self.rules.remove(index).1 {
            _ if overruled => Vec::new(),
            PermissionRule::Action(action) => vec![("*".to_owned(), action)],
            PermissionRule::Patterns(patterns) => patterns,
        }
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.rules.len()))?;
        for (key, rule) in self.iter() {
            map.serialize_entry(key, &json::write(rule))?;
        }
        map.end()
    }
}

impl TryFrom<Value> for Permissions {
    type Error = PermissionError;

    fn try_from(value: Value) -> Result<Self, PermissionError> {
        Self::from_json(&value)
    }
}

/// Whether there is somebody who can answer a permission request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asking {
    Possible,
    Impossible,
}

/// A rule that cannot be used. Paths are keys joined by dots.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// `ask` where nobody can answer.
    #[error(
        "permission `{path}` is `ask`, but `opencode run` has nobody to ask: use `allow` or `deny`"
    )]
    Ask {
        /// Of the rule.
        path: String,
    },
    /// Neither an action nor an object of actions.
    #[error("permission `{path}` is {found}, expected an action or an object of patterns")]
    NotARule {
        /// Of the rule, empty for the whole config.
        path: String,
        /// What it is.
        found: &'static str,
    },
    /// An action that OpenCode does not have.
    #[error("permission `{path}` is `{action}`, expected `allow`, `ask` or `deny`")]
    UnknownAction {
        /// Of the rule.
        path: String,
        /// As written.
        action: String,
    },
}
