use serde_json::json;

use super::super::fixture::asked;
use super::*;

#[test]
fn what_always_allows_is_remembered_by_its_patterns() {
    let memory = Memory::default();
    let always = ["git log *", "ls *"];
    let line = |commands: &[&str], line: &str| {
        asked("bash", commands, &always, &json!({ "command": line }))
    };
    let bash = |commands: &[&str]| line(commands, &commands.join("; "));
    assert!(!memory.allows(&bash(&["ls"])));
    memory.remember(&bash(&["git log && ls"]));
    assert!(memory.allows(&bash(&["git log -1", "ls"])));
    assert!(!memory.allows(&bash(&["git log", "rm x"])));
    assert!(!memory.allows(&line(&["ls"], "{ ls; } > x")));
    assert!(!memory.allows(&bash(&[])));
    assert!(!memory.allows(&asked("edit", &["ls"], &[], &json!({}))));
}
