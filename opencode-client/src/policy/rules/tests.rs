use opencode_config::PermissionAction::{Allow, Ask, Deny};
use serde_json::json;

use super::super::fixture::asked;
use super::*;

fn bash(commands: &[&str], line: &str) -> PermissionRequest {
    asked("bash", commands, &[], &json!({ "command": line }))
}

#[test]
fn all_patterns_of_an_ask_have_to_be_allowed() {
    let rules = Permissions::new()
        .pattern("bash", "git *", Allow)
        .pattern("bash", "git push *", Deny)
        .pattern("bash", "rm *", Ask);
    let decided = |commands: &[&str]| decide(&rules, &bash(commands, &commands.join(" && ")));
    assert_eq!(decided(&["git log", "git diff"]), Some(Allow));
    assert_eq!(decided(&["git log", "rm x"]), Some(Ask));
    assert_eq!(decided(&["git log", "ls"]), None);
    assert_eq!(decided(&["ls", "git push"]), Some(Deny));
    assert_eq!(decided(&["rm x", "git push"]), Some(Deny));
    assert_eq!(decided(&[]), None, "nothing is no reason to allow");
}

#[test]
fn a_line_that_does_more_than_it_shows_is_to_be_confirmed() {
    let some = Permissions::new().pattern("bash", "echo *", Allow);
    let all = Permissions::new().allow("bash");
    let line = bash(&["echo x"], "{ echo x; } > y");
    assert_eq!(decide(&some, &line), Some(Ask));
    assert_eq!(decide(&all, &line), Some(Allow));
    assert_eq!(decide(&some, &asked("bash", &["echo x"], &[], &json!({}))), Some(Ask));
}

#[test]
fn what_allows_all_that_a_rule_of_a_server_allows() {
    let rules = Permissions::new().allow("*").pattern("bash", "git push *", Ask).deny("edit");
    assert!(allow_all(&rules, "webfetch", "*"));
    assert!(allow_all(&rules, "bash", "ls"));
    assert!(!allow_all(&rules, "bash", "*"));
    assert!(!allow_all(&rules, "bash", "git *"), "some of it is not");
    assert!(!allow_all(&rules, "*", "*"));
    assert!(!allow_all(&rules, "e*", "*"));
    assert!(!allow_all(&Permissions::new(), "bash", "*"));
}

#[test]
fn what_can_be_allowed_some_day() {
    let rules = Permissions::new()
        .pattern("bash", "git *", Allow)
        .ask("edit")
        .pattern("read", "*.md", Allow)
        .deny("webfetch");
    assert!(can_allow(&rules, "bash", false) && can_allow(&rules, "read", false));
    assert!(!can_allow(&rules, "edit", false) && can_allow(&rules, "edit", true));
    assert!(!can_allow(&rules, "webfetch", true));
    assert!(!can_allow(&rules, "grep", false) && can_allow(&rules, "grep", true));
    let overruled = Permissions::new().pattern("bash", "git *", Allow).deny("*");
    assert!(!can_allow(&overruled, "bash", true));
}
