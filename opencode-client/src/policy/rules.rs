//! What the rules of a policy say about asks and about rules of servers.

use opencode_config::{PermissionAction, Permissions, wildcard_matches};
use opencode_proto::PermissionRequest;

use super::command::is_plain;

#[cfg(test)]
mod tests;

/// What the rules say about all that is asked at once; `None` when some of it has no rule, and nothing is denied.
///
/// A rule for some commands does not allow a line that does more than its commands say: that is to be confirmed.
pub(super) fn decide(rules: &Permissions, request: &PermissionRequest) -> Option<PermissionAction> {
    use PermissionAction::{Allow, Ask, Deny};
    let of = |pattern: &String| rules.deciding(&request.permission, pattern);
    let found: Vec<_> = request.patterns.iter().map(of).collect();
    if found.iter().flatten().any(|rule| rule.action == Deny) {
        return Some(Deny);
    }
    if found.is_empty() || found.iter().any(Option::is_none) {
        return None;
    }
    if found.iter().flatten().any(|rule| rule.action == Ask) {
        return Some(Ask);
    }
    let is_whole = found.iter().flatten().all(|rule| rule.pattern == "*");
    if request.permission == "bash" && !is_whole && !is_plain_ask(request) {
        return Some(Ask);
    }
    Some(Allow)
}

/// Whether an ask for commands shows all that they do.
pub(super) fn is_plain_ask(request: &PermissionRequest) -> bool {
    let metadata: Option<serde_json::Value> =
        request.metadata.as_ref().and_then(|metadata| metadata.decode().ok());
    let line = metadata.as_ref().and_then(|metadata| metadata.get("command")?.as_str());
    line.is_some_and(|line| is_plain(line, &request.patterns))
}

/// Whether the rules allow everything that a rule for `permission` and `pattern` matches.
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

/// Whether a rule can allow something, now or when it is confirmed.
pub(super) fn can_allow(rules: &Permissions, permission: &str, is_confirmed: bool) -> bool {
    for rule in rules.to_ruleset().into_iter().rev() {
        if !wildcard_matches(permission, rule.permission) {
            continue;
        }
        match rule.action {
            PermissionAction::Allow => return true,
            PermissionAction::Ask if is_confirmed => return true,
            PermissionAction::Ask | PermissionAction::Deny => {}
        }
        if rule.pattern == "*" {
            return false;
        }
    }
    is_confirmed
}

/// Whether everything that matches `pattern` matches `wide`. In doubt, no.
pub(super) fn covers(wide: &str, pattern: &str) -> bool {
    wide == "*" || wide == pattern || (is_plain_text(pattern) && wildcard_matches(pattern, wide))
}

/// Whether something may match both. In doubt, yes.
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
