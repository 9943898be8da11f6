//! Rules for the use of tools.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Json, JsonObject};

mod decide;
mod error;
mod json;
mod rule;
#[cfg(test)]
mod tests;

pub use decide::wildcard_matches;
pub use error::PermissionError;
pub(crate) use json::check_rules;
pub use rule::{PermissionAction, PermissionRule, UnknownAction};

/// Permission rule in the form that sessions of a server have, `PermissionRule` of OpenCode's API.
///
/// [`Permissions::to_ruleset`] makes these rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RulesetRule<'a> {
    /// Permission key, such as `bash`.
    pub permission: &'a str,
    /// Pattern for the object of the use; `*` for everything.
    pub pattern: &'a str,
    /// Action for a use that matches.
    pub action: PermissionAction,
}

/// An ordered list of permission rules, OpenCode's `permission` config.
///
/// Later rules win, in OpenCode and so in this builder:
///
/// ```
/// use opencode_config::{PermissionAction::Deny, Permissions};
///
/// let permissions = Permissions::new()
///     .deny("*")
///     .allow("bash")
///     .allow("edit")
///     .pattern("edit", "*.py", Deny);
/// assert_eq!(
///     permissions.to_json().to_string(),
///     r#"{"*":"deny","bash":"allow","edit":{"*":"allow","*.py":"deny"}}"#,
/// );
/// ```
///
/// With serde, rules are read and written in OpenCode's own form, from any format:
///
/// ```
/// use opencode_config::Permissions;
///
/// let settings = r#"{"*": "ask", "bash": {"git *": "allow"}}"#;
/// let permissions: Permissions = serde_json::from_str(settings)?;
/// assert_eq!(permissions, Permissions::new().ask("*").pattern("bash", "git *", "allow".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A key is a tool or `*`; wildcards match names of tools, MCP tools included (`github_*`).
/// OpenCode 1.18.33 knows `read`, `edit` (which covers `write` and `patch`), `glob`, `grep`,
/// `list`, `bash`, `task`, `external_directory`, `todowrite`, `question`, `webfetch`, `websearch`,
/// `lsp`, `doom_loop` and `skill`, and takes no patterns for `todowrite`, `question`, `webfetch`,
/// `websearch` and `doom_loop`. Other keys are passed on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "Json")]
pub struct Permissions {
    rules: Vec<(String, PermissionRule)>,
}

impl Permissions {
    /// Creates an empty list, with which OpenCode's own defaults apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the rule of `key` to [`PermissionAction::Allow`], as the last rule.
    #[must_use]
    pub fn allow(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Allow))
    }

    /// Sets the rule of `key` to [`PermissionAction::Ask`], as the last rule. `opencode run` cannot
    /// follow such a rule, see [`check_for_run`](Self::check_for_run).
    #[must_use]
    pub fn ask(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Ask))
    }

    /// Sets the rule of `key` to [`PermissionAction::Deny`], as the last rule.
    #[must_use]
    pub fn deny(self, key: impl Into<String>) -> Self {
        self.rule(key, PermissionRule::Action(PermissionAction::Deny))
    }

    /// Sets the rule of `key`, as the last rule.
    #[must_use]
    pub fn rule(mut self, key: impl Into<String>, rule: PermissionRule) -> Self {
        let key = key.into();
        self.rules.retain(|(earlier, _)| *earlier != key);
        self.rules.push((key, rule));
        self
    }

    /// Adds a pattern to the rule of `key`, as the last rule.
    ///
    /// The earlier rule of `key` continues to apply to uses that the pattern does not match, unless
    /// a `*` rule set since then has overruled that rule.
    ///
    /// ```
    /// use opencode_config::{PermissionAction::Allow, Permissions};
    ///
    /// let permissions = Permissions::new().deny("bash").pattern("bash", "cargo test *", Allow);
    /// assert_eq!(
    ///     permissions.to_json().to_string(),
    ///     r#"{"bash":{"*":"deny","cargo test *":"allow"}}"#,
    /// );
    /// ```
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

    /// Returns the rules by key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PermissionRule)> {
        self.rules.iter().map(|(key, rule)| (key.as_str(), rule))
    }

    /// Returns whether the list has no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Reads OpenCode's `permission` config: an object of rules, or one action for everything.
    ///
    /// # Errors
    ///
    /// [`PermissionError::UnknownAction`] or [`PermissionError::NotARule`], with the path of the
    /// rule.
    ///
    /// ```
    /// use opencode_config::{PermissionError, Permissions};
    ///
    /// let everything = Permissions::from_json(&"deny".into())?;
    /// assert_eq!(everything, Permissions::new().deny("*"));
    ///
    /// let error = Permissions::from_json(&r#"{"bash": {"ls *": "yes"}}"#.parse()?).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the permission rule `bash.ls *` is `yes`: use `allow`, `ask` or `deny`",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_json(value: &Json) -> Result<Self, PermissionError> {
        json::read(value)
    }

    /// Returns the rules as OpenCode's `permission` config, an object with the keys in order.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let object: JsonObject = self.iter().map(|(key, rule)| (key, json::write(rule))).collect();
        object.into()
    }

    /// Returns the rules as OpenCode's ruleset, the form in which a session of a server has them.
    ///
    /// In a ruleset, unlike in the config, a `~` in a pattern does not stand for the home
    /// directory.
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

    /// Checks that no rule is `ask`, which `opencode run` cannot follow.
    ///
    /// Without a client that can reply, `opencode run` rejects every permission request, and the
    /// turn ends there, unfinished and with exit code 0. With `deny` the model continues without
    /// the tool.
    ///
    /// ```
    /// use opencode_config::{PermissionAction::Ask, Permissions};
    ///
    /// let permissions = Permissions::new().allow("read").pattern("edit", "*.py", Ask);
    /// let error = permissions.check_for_run().unwrap_err();
    /// assert!(error.to_string().starts_with("the permission rule `edit.*.py` is `ask`"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`PermissionError::Ask`] with the path of the first such rule, for example `edit.*.py`.
    pub fn check_for_run(&self) -> Result<(), PermissionError> {
        check_rules(&self.to_json(), "", AskSupport::Missing)
    }

    /// Removes the rule of `key` and returns the patterns that no later rule overrules.
    fn take_patterns(&mut self, key: &str) -> Vec<(String, PermissionAction)> {
        let Some(index) = self.rules.iter().position(|(earlier, _)| earlier == key) else {
            return Vec::new();
        };
        let is_overruled = self.rules[index..].iter().any(|(later, rule)| {
            key != "*" && later == "*" && matches!(rule, PermissionRule::Action(_))
        });
        match self.rules.remove(index).1 {
            _ if is_overruled => Vec::new(),
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

impl TryFrom<Json> for Permissions {
    type Error = PermissionError;

    fn try_from(value: Json) -> Result<Self, PermissionError> {
        Self::from_json(&value)
    }
}

/// Whether a client of OpenCode can reply to permission requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AskSupport {
    Present,
    Missing,
}
