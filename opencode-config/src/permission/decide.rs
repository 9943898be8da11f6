//! The decision of rules about one use of a tool.

use super::{PermissionAction, Permissions, RulesetRule};

#[cfg(test)]
mod tests;

impl Permissions {
    /// Decides about the use of `permission` on `pattern`; `None` when no rule matches, in which
    /// case OpenCode asks.
    ///
    /// The last rule that matches decides, as in OpenCode:
    ///
    /// ```
    /// use opencode_config::{PermissionAction::{Allow, Deny}, Permissions};
    ///
    /// let permissions = Permissions::new()
    ///     .deny("*")
    ///     .pattern("bash", "git *", Allow)
    ///     .pattern("bash", "git push *", Deny);
    /// assert_eq!(permissions.decide("bash", "git log"), Some(Allow));
    /// assert_eq!(permissions.decide("bash", "git push --force"), Some(Deny));
    /// assert_eq!(permissions.decide("webfetch", "https://example.org"), Some(Deny));
    /// assert_eq!(Permissions::new().decide("bash", "git log"), None);
    /// ```
    #[must_use]
    pub fn decide(&self, permission: &str, pattern: &str) -> Option<PermissionAction> {
        self.deciding(permission, pattern).map(|rule| rule.action)
    }

    /// Returns the rule by which [`decide`](Self::decide) decides.
    ///
    /// ```
    /// use opencode_config::{PermissionAction::Deny, Permissions};
    ///
    /// let permissions = Permissions::new().allow("edit").pattern("edit", "*.lock", Deny);
    /// let rule = permissions.deciding("edit", "Cargo.lock").expect("a rule for edits");
    /// assert_eq!((rule.pattern, rule.action), ("*.lock", Deny));
    /// ```
    #[must_use]
    pub fn deciding(&self, permission: &str, pattern: &str) -> Option<RulesetRule<'_>> {
        self.to_ruleset().into_iter().rev().find(|rule| {
            wildcard_matches(permission, rule.permission) && wildcard_matches(pattern, rule.pattern)
        })
    }
}

/// Returns whether a text matches a pattern of a permission rule.
///
/// In patterns, `*` stands for any text, of several lines too, `?` for one UTF-16 unit, `\` for
/// `/`, and ` *` at the end for nothing as well. Case counts.
///
/// ```
/// use opencode_config::wildcard_matches;
///
/// assert!(wildcard_matches("git log -1", "git *") && wildcard_matches("git", "git *"));
/// assert!(!wildcard_matches("gitk", "git *"));
/// ```
#[must_use]
pub fn wildcard_matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (units(text), units(pattern));
    if let Some(start) = pattern.strip_suffix(&[SPACE, STAR])
        && matches(&text, start)
    {
        return true;
    }
    matches(&text, &pattern)
}

const QUESTION_MARK: u16 = b'?' as u16;
const SPACE: u16 = b' ' as u16;
const STAR: u16 = b'*' as u16;

/// The text in UTF-16, since OpenCode matches patterns in JavaScript.
fn units(text: &str) -> Vec<u16> {
    text.replace('\\', "/").encode_utf16().collect()
}

fn matches(text: &[u16], pattern: &[u16]) -> bool {
    let (mut at, mut next) = (0, 0);
    // The last star, and the offset in the text at which the rest of the pattern was tried.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(&STAR) => {
                star = Some((next, at));
                next += 1;
            }
            Some(&unit) if unit == QUESTION_MARK || unit == text[at] => {
                at += 1;
                next += 1;
            }
            Some(_) | None => {
                let Some((stars, tried)) = star else { return false };
                star = Some((stars, tried + 1));
                (at, next) = (tried + 1, stars + 1);
            }
        }
    }
    pattern[next..].iter().all(|unit| *unit == STAR)
}
