use opencode_config::PermissionAction::{Allow, Ask, Deny};

use super::*;
use crate::policy::fixture::{asked, quoted};

fn bash(commands: &[&str], line: &str) -> PermissionRequest {
    asked("bash", commands, &[], &format!(r#"{{"command":{}}}"#, quoted(line)))
}

#[test]
fn every_pattern_of_a_request_has_to_be_allowed() {
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
fn rules_cover_a_rule_of_a_server() {
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
fn rules_that_can_allow_some_use() {
    let rules = Permissions::new()
        .pattern("bash", "git *", Allow)
        .ask("edit")
        .pattern("read", "*.md", Allow)
        .deny("webfetch");
    assert!(
        can_allow(&rules, "bash", Unruled::Refuse) && can_allow(&rules, "read", Unruled::Refuse)
    );
    assert!(
        !can_allow(&rules, "edit", Unruled::Refuse) && can_allow(&rules, "edit", Unruled::Confirm)
    );
    assert!(!can_allow(&rules, "webfetch", Unruled::Confirm));
    assert!(
        !can_allow(&rules, "grep", Unruled::Refuse) && can_allow(&rules, "grep", Unruled::Confirm)
    );
    let overruled = Permissions::new().pattern("bash", "git *", Allow).deny("*");
    assert!(!can_allow(&overruled, "bash", Unruled::Confirm));
}

#[test]
fn approvals_hold_for_the_patterns_of_always() {
    let mut memory = Approvals::new();
    let always = ["git log *", "ls *"];
    let line = |commands: &[&str], line: &str| {
        asked("bash", commands, &always, &format!(r#"{{"command":{}}}"#, quoted(line)))
    };
    let bash = |commands: &[&str]| line(commands, &commands.join("; "));
    assert!(!memory.allows(&bash(&["ls"])));
    memory.remember(&bash(&["git log && ls"]));
    assert!(memory.allows(&bash(&["git log -1", "ls"])));
    assert!(!memory.allows(&bash(&["git log", "rm x"])));
    assert!(!memory.allows(&line(&["ls"], "{ ls; } > x")));
    assert!(!memory.allows(&bash(&[])));
    assert!(!memory.allows(&asked("edit", &["ls"], &[], "{}")));
}
