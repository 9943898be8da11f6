//! Rules of a policy, matched against permission requests and against the rules of servers.

use opencode_config::{PermissionAction, Permissions, wildcard_matches};

use super::command;
use super::settings::Unruled;
use crate::PermissionRequest;

#[cfg(test)]
mod tests;

/// Returns the decision of the rules about everything that one request names; `None` when a part
/// of it has no rule and no part is denied.
pub(super) fn decide(rules: &Permissions, request: &PermissionRequest) -> Option<PermissionAction> {
    let by_patterns = decide_patterns(rules, request);
    match &*request.permission {
        "bash" => command::decide(rules, request, by_patterns),
        _ => by_patterns,
    }
}

/// Returns the decision of the rules about the patterns of the request.
pub(super) fn decide_patterns(
    rules: &Permissions,
    request: &PermissionRequest,
) -> Option<PermissionAction> {
    use PermissionAction::{Allow, Ask, Deny};
    let of = |pattern: &String| rules.decide(&request.permission, pattern);
    let found: Vec<Option<PermissionAction>> = request.patterns.iter().map(of).collect();
    if found.contains(&Some(Deny)) {
        Some(Deny)
    } else if found.is_empty() || found.contains(&None) {
        None
    } else if found.contains(&Some(Ask)) {
        Some(Ask)
    } else {
        Some(Allow)
    }
}

/// Returns whether the rules allow everything that a rule for `permission` and `pattern` matches.
pub(super) fn allow_all(rules: &Permissions, permission: &str, pattern: &str) -> bool {
    for rule in rules.to_ruleset().into_iter().rev() {
        if covers(rule.permission, permission) && covers(rule.pattern, pattern) {
            return rule.action == PermissionAction::Allow;
        }
        let overlaps = may_meet(rule.permission, permission) && may_meet(rule.pattern, pattern);
        if overlaps && rule.action != PermissionAction::Allow {
            return false;
        }
    }
    false
}

/// Returns whether the rules can allow some use of `permission`, at once or after a confirmation.
pub(super) fn can_allow(rules: &Permissions, permission: &str, unruled: Unruled) -> bool {
    let may_be_confirmed = unruled == Unruled::Confirm;
    for rule in rules.to_ruleset().into_iter().rev() {
        if !wildcard_matches(permission, rule.permission) {
            continue;
        }
        match rule.action {
            PermissionAction::Allow => return true,
            PermissionAction::Ask if may_be_confirmed => return true,
            PermissionAction::Ask | PermissionAction::Deny => {}
            // An action that is not known here allows nothing.
            _ => {}
        }
        if rule.pattern == "*" {
            return false;
        }
    }
    may_be_confirmed
}

/// Returns whether everything that matches `pattern` matches `wide`. In doubt, no.
pub(super) fn covers(wide: &str, pattern: &str) -> bool {
    wide == "*" || wide == pattern || (is_plain_text(pattern) && wildcard_matches(pattern, wide))
}

/// Returns whether some text may match both patterns. In doubt, yes.
fn may_meet(one: &str, other: &str) -> bool {
    match (is_plain_text(one), is_plain_text(other)) {
        (true, true) => one == other,
        (true, false) => wildcard_matches(one, other),
        (false, true) => wildcard_matches(other, one),
        (false, false) => true,
    }
}

fn is_plain_text(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '\\'])
}

/// Permissions that were granted for good, to one session and all subagents.
///
/// OpenCode keeps the grant of an `always` reply for all sessions of the directory, until the
/// server ends. A client that wants the grant for one session only answers `once` and keeps the
/// grant here.
///
/// ```
/// use opencode_proto::policy::Approvals;
/// use opencode_proto::{ServerEvent, ServerEventKind};
///
/// let event = r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1",
///     "permission":"bash","patterns":["git log -1"],"always":["git log *"],
///     "metadata":{"command":"git log -1"}}}"#;
/// let ServerEventKind::PermissionAsked(request) = ServerEvent::decode(event.into()).kind else {
///     panic!("a permission request");
/// };
/// let mut approvals = Approvals::new();
/// assert!(!approvals.allows(&request));
/// approvals.remember(&request);
/// assert!(approvals.allows(&request));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Approvals(Permissions);

impl Approvals {
    /// Creates an empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the patterns that an `always` reply to this request grants.
    pub fn remember(&mut self, request: &PermissionRequest) {
        for pattern in &request.always {
            let remembered = std::mem::take(&mut self.0);
            let (permission, allow) = (request.permission.clone(), PermissionAction::Allow);
            self.0 = remembered.pattern(permission, pattern.clone(), allow);
        }
    }

    /// Returns whether earlier grants cover the whole request. A command line that may do
    /// more than run commands with literal words is never covered.
    pub fn allows(&self, request: &PermissionRequest) -> bool {
        if request.permission == "bash" && command::read(request).is_none() {
            return false;
        }
        let is_allowed = |pattern: &String| self.0.decide(&request.permission, pattern).is_some();
        !request.patterns.is_empty() && request.patterns.iter().all(is_allowed)
    }
}
