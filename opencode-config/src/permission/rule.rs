use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Effect of a permission rule that matches.
///
/// ```
/// use opencode_config::PermissionAction;
///
/// assert_eq!(PermissionAction::Ask.to_string(), "ask");
/// assert_eq!(serde_json::from_str::<PermissionAction>(r#""deny""#)?, PermissionAction::Deny);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PermissionAction {
    /// The tool runs without a request.
    Allow,
    /// OpenCode sends a permission request and waits for the reply. Only a server has clients that
    /// can reply.
    Ask,
    /// The tool does not run, and the model reads that the user has forbidden it.
    Deny,
}

impl PermissionAction {
    /// Returns OpenCode's spelling: `allow`, `ask` or `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Reads OpenCode's spelling.
impl FromStr for PermissionAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        match text {
            "allow" => Ok(Self::Allow),
            "ask" => Ok(Self::Ask),
            "deny" => Ok(Self::Deny),
            other => Err(UnknownAction { text: other.to_owned() }),
        }
    }
}

/// A text that names no [`PermissionAction`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a permission action: use `allow`, `ask` or `deny`")]
pub struct UnknownAction {
    text: String,
}

impl fmt::Display for PermissionAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Rule of one key in OpenCode's `permission` config.
///
/// ```
/// use opencode_config::{PermissionAction, PermissionRule, Permissions};
///
/// let rule = PermissionRule::Patterns(vec![
///     ("*".into(), PermissionAction::Deny),
///     ("docs/**".into(), PermissionAction::Allow),
/// ]);
/// let permissions = Permissions::new().rule("edit", rule);
/// assert_eq!(permissions.to_json().to_string(), r#"{"edit":{"*":"deny","docs/**":"allow"}}"#);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PermissionRule {
    /// One action for every use of the tool.
    Action(PermissionAction),
    /// Actions by the object of the use (a path, a command line, the name of an agent); the last
    /// pattern that matches decides.
    Patterns(Vec<(String, PermissionAction)>),
}
