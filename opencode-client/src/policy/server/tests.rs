use opencode_config::PermissionAction::{Allow, Ask, Deny};
use opencode_proto::PermissionReply;
use opencode_proto::api::{ListAgents, Operation};
use serde_json::Value;

use super::*;

fn agents(rules: &[(&str, &str, PermissionAction)]) -> Vec<AgentInfo> {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(permission, pattern, action)| {
            json!({ "permission": permission, "pattern": pattern, "action": action.as_str() })
        })
        .collect();
    let listed = json!([{ "name": "build", "mode": "primary", "permission": rules }]);
    ListAgents::new().decode(http::Response::new(listed.to_string().into())).unwrap()
}

/// What of these rules is not asked.
fn unasked(policy: &Policy, rules: &[(&str, &str, PermissionAction)]) -> Option<String> {
    let tools = ["bash", "write", "invalid", "greet"].map(str::to_owned);
    let found = policy.unasked(&agents(rules), &[], &tools)?;
    assert_eq!(found.agent, "build");
    Some(format!("{} {}", found.permission, found.pattern))
}

#[test]
fn a_server_of_the_policy_asks_for_what_it_can_allow_and_hides_the_rest() {
    let policy = Policy::new()
        .within("/w")
        .allow("read")
        .allow("bash")
        .deny("bash")
        .ask("webfetch")
        .pattern("edit", "docs/*", Allow)
        .allow("github_*")
        .allow("question");
    let actions = |policy: &Policy, keys: &[&str]| -> Vec<_> {
        let permissions = policy.server_permissions();
        keys.iter().map(|key| permissions.decide(key, "*").unwrap()).collect()
    };
    let keys = ["read", "edit", "github_issue", "external_directory", "bash", "webfetch", "greet"];
    assert_eq!(actions(&policy, &keys), [Ask, Ask, Ask, Ask, Deny, Deny, Deny]);
    assert_eq!(
        actions(&policy, &["question", "plan_exit", "StructuredOutput"]),
        [Allow, Deny, Allow]
    );
    let confirmed = policy.with_confirm(|_| async { PermissionReply::Once });
    assert_eq!(actions(&confirmed, &keys), [Ask, Ask, Ask, Ask, Deny, Ask, Deny]);
    let all = Policy::new().allow("*");
    assert_eq!(actions(&all, &["greet", "bash", "task"]), [Ask; 3]);
    assert_eq!(actions(&all.without_subagents(), &["greet", "bash", "task"]), [Deny, Ask, Deny]);
}

#[test]
fn a_confined_session_needs_a_rule_for_commands() {
    let bash = |policy: Policy| policy.server_permissions().decide("bash", "*");
    let confirmed = Policy::new().with_confirm(|_| async { PermissionReply::Once });
    assert_eq!(bash(confirmed.clone()), Some(Ask));
    assert_eq!(bash(confirmed.clone().within("/w")), Some(Deny));
    assert_eq!(bash(confirmed.within("/w").ask("bash")), Some(Ask));
    assert_eq!(bash(Policy::new().within("/w").allow("*")), Some(Ask));
}

#[test]
fn what_a_server_allows_unasked_is_found() {
    let policy = Policy::new().within("/w").allow("read");
    let usual = [("*", "*", Allow), ("external_directory", "*", Ask)];
    assert_eq!(unasked(&policy, &usual).as_deref(), Some("* *"));
    let ours = [("*", "*", Deny), ("bash", "*", Ask), ("edit", "*", Ask)];
    let with = |more: &[(&'static str, &'static str, PermissionAction)]| {
        unasked(&policy, &[&usual[..], &ours[..], more].concat())
    };
    assert_eq!(with(&[]), None);
    assert_eq!(with(&[("external_directory", "/d/tool-output/*", Allow)]), None);
    assert_eq!(
        with(&[("external_directory", "/etc/*", Allow)]).as_deref(),
        Some("external_directory /etc/*")
    );
    assert_eq!(with(&[("bash", "git *", Allow)]).as_deref(), Some("bash git *"));
    assert_eq!(with(&[("bash", "git *", Allow), ("bash", "*", Ask)]), None);
    assert_eq!(
        with(&[("bash", "git *", Allow), ("bash", "git log *", Ask)]).as_deref(),
        Some("bash git *")
    );
    assert_eq!(with(&[("read", "*", Allow)]).as_deref(), Some("read *"), "reads are confined");
    assert_eq!(with(&[("greet", "*", Ask)]).as_deref(), Some("greet *"), "it never asks");
    assert_eq!(with(&[("greet", "x", Deny)]).as_deref(), Some("greet *"), "that hides nothing");
}

#[test]
fn what_a_policy_gives_away_need_not_be_asked() {
    let policy = Policy::new().allow("read").allow("greet");
    let rules = [("*", "*", Deny), ("read", "*", Allow), ("greet", "*", Ask)];
    assert_eq!(unasked(&policy, &rules), None);
    let counted = policy.with_tool_calls_max(9);
    assert_eq!(unasked(&counted, &rules).as_deref(), Some("read *"));
}
