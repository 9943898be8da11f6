use opencode_config::PermissionAction::{Allow, Ask, Deny};

use super::*;
use crate::api::{ListAgents, Operation};

fn agents(rules: &[(&str, &str, PermissionAction)]) -> Vec<AgentInfo> {
    let rule = |(permission, pattern, action): &(&str, &str, PermissionAction)| {
        format!(r#"{{"permission":"{permission}","pattern":"{pattern}","action":"{action}"}}"#)
    };
    let rules: Vec<String> = rules.iter().map(rule).collect();
    let agent =
        format!(r#"{{"name":"build","mode":"primary","permission":[{}]}}"#, rules.join(","));
    ListAgents::new().decode(http::Response::new(format!("[{agent}]").into())).unwrap()
}

/// The first use that these rules allow unasked.
fn unasked(settings: &PolicySettings, rules: &[(&str, &str, PermissionAction)]) -> Option<String> {
    let tools = ["bash", "write", "invalid", "greet"].map(str::to_owned);
    let agents = agents(rules);
    let found = settings.unasked(&ServerRights::new(&agents).with_tools(&tools))?;
    assert_eq!(found.agent, "build");
    Some(format!("{} {}", found.permission, found.pattern))
}

#[test]
fn a_server_asks_for_all_that_the_policy_can_allow_and_hides_the_rest() {
    let settings = PolicySettings::new()
        .within("/w")
        .allow("read")
        .allow("bash")
        .deny("bash")
        .ask("webfetch")
        .pattern("edit", "docs/*", Allow)
        .allow("github_*")
        .allow("question");
    let actions = |settings: &PolicySettings, keys: &[&str]| -> Vec<_> {
        let permissions = settings.server_permissions();
        keys.iter().map(|key| permissions.decide(key, "*").unwrap()).collect()
    };
    let keys = ["read", "edit", "github_issue", "external_directory", "bash", "webfetch", "greet"];
    assert_eq!(actions(&settings, &keys), [Ask, Ask, Ask, Ask, Deny, Deny, Deny]);
    assert_eq!(
        actions(&settings, &["question", "plan_exit", "StructuredOutput"]),
        [Allow, Deny, Allow]
    );
    let confirmed = settings.with_unruled(Unruled::Confirm);
    assert_eq!(actions(&confirmed, &keys), [Ask, Ask, Ask, Ask, Deny, Ask, Deny]);
    let all = PolicySettings::new().allow("*");
    assert_eq!(actions(&all, &["greet", "bash", "task"]), [Ask; 3]);
    assert_eq!(actions(&all.without_subagents(), &["greet", "bash", "task"]), [Deny, Ask, Deny]);
}

#[test]
fn a_confined_session_needs_a_rule_for_commands() {
    let bash = |settings: PolicySettings| settings.server_permissions().decide("bash", "*");
    let confirmed = PolicySettings::new().with_unruled(Unruled::Confirm);
    assert_eq!(bash(confirmed.clone()), Some(Ask));
    assert_eq!(bash(confirmed.clone().within("/w")), Some(Deny));
    assert_eq!(bash(confirmed.within("/w").ask("bash")), Some(Ask));
    assert_eq!(bash(PolicySettings::new().within("/w").allow("*")), Some(Ask));
}

#[test]
fn unasked_uses_of_a_server_are_found() {
    let settings = PolicySettings::new().within("/w").allow("read");
    let usual = [("*", "*", Allow), ("external_directory", "*", Ask)];
    assert_eq!(unasked(&settings, &usual).as_deref(), Some("* *"));
    let ours = [("*", "*", Deny), ("bash", "*", Ask), ("edit", "*", Ask)];
    let with = |more: &[(&'static str, &'static str, PermissionAction)]| {
        unasked(&settings, &[&usual[..], &ours[..], more].concat())
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
    assert_eq!(with(&[("greet", "*", Ask)]).as_deref(), Some("greet *"), "the tool never asks");
    assert_eq!(with(&[("greet", "x", Deny)]).as_deref(), Some("greet *"), "the tool is not hidden");
}

#[test]
fn uses_that_a_policy_allows_as_they_are_need_not_be_asked() {
    let settings = PolicySettings::new().allow("read").allow("greet");
    let rules = [("*", "*", Deny), ("read", "*", Allow), ("greet", "*", Ask)];
    assert_eq!(unasked(&settings, &rules), None);
    let counted = settings.with_tool_calls_max(9);
    assert_eq!(unasked(&counted, &rules).as_deref(), Some("read *"));
}

#[test]
fn rules_of_the_session_hold_for_the_session_only() {
    let rule = |permission: &str, action| ServerRule {
        permission: permission.to_owned(),
        pattern: "*".to_owned(),
        action,
    };
    let agents = agents(&[("*", "*", Deny), ("read", "*", Allow)]);
    let rights = |rules| ServerRights::new(&agents).with_session_rules(rules);
    let settings = PolicySettings::new();
    let denied = [rule("*", Deny)];
    assert!(settings.unasked(&rights(&denied)).is_some(), "subagents have the agent's rules");
    assert_eq!(settings.clone().without_subagents().unasked(&rights(&denied)), None);
    let allowed = [rule("*", Deny), rule("bash", Allow)];
    let found = settings.without_subagents().unasked(&rights(&allowed)).unwrap();
    assert_eq!((&*found.permission, &*found.pattern), ("bash", "*"));
}

#[test]
fn unasked_commands_need_a_rule_for_all_commands() {
    let rules = [("*", "*", Deny), ("bash", "git *", Allow)];
    let some = PolicySettings::new().pattern("bash", "git *", Allow);
    assert_eq!(unasked(&some, &rules).as_deref(), Some("bash git *"), "`git $(x)` is unasked");
    assert_eq!(unasked(&PolicySettings::new().allow("bash"), &rules), None);
}

#[test]
fn a_policy_for_some_commands_needs_a_gate() {
    let gate = |settings: PolicySettings| {
        let config = settings.server_config(RunConfig::new());
        let is_approved = config.command_gate() == CommandGate::Approved;
        assert_eq!(is_approved, settings.needs_command_gate());
        is_approved
    };
    let some = PolicySettings::new().pattern("bash", "git *", Allow);
    assert!(gate(some.clone()));
    assert!(gate(PolicySettings::new().with_unruled(Unruled::Confirm)));
    assert!(gate(PolicySettings::new().allow("bash").pattern("bash", "rm *", Deny)));
    assert!(!gate(PolicySettings::new()), "no command can run");
    assert!(!gate(PolicySettings::new().allow("bash")), "every command can run");
    assert!(!gate(PolicySettings::new().allow("*").deny("bash")));
    assert!(!gate(some.with_unasked_commands()));
}
