use super::PermissionAction::{Allow, Ask, Deny};
use super::*;

fn text(permissions: &Permissions) -> String {
    serde_json::to_string(permissions).unwrap()
}

#[test]
fn rules_are_written_in_the_order_they_were_made() {
    let permissions =
        Permissions::new().deny("*").allow("bash").ask("webfetch").pattern("edit", "*.py", Deny);
    assert_eq!(
        text(&permissions),
        r#"{"*":"deny","bash":"allow","webfetch":"ask","edit":{"*.py":"deny"}}"#
    );
    assert_eq!(permissions.to_json().to_string(), text(&permissions));
}

#[test]
fn a_rule_set_again_moves_to_the_end() {
    let permissions = Permissions::new().allow("bash").deny("*").allow("bash");
    assert_eq!(text(&permissions), r#"{"*":"deny","bash":"allow"}"#);
}

#[test]
fn a_pattern_refines_the_rule_of_its_key() {
    let permissions = Permissions::new()
        .allow("edit")
        .deny("bash")
        .pattern("edit", "*.py", Deny)
        .pattern("edit", "test_*.py", Allow)
        .pattern("edit", "*.py", Ask);
    assert_eq!(
        text(&permissions),
        r#"{"bash":"deny","edit":{"*":"allow","test_*.py":"allow","*.py":"ask"}}"#
    );
}

#[test]
fn a_pattern_does_not_revive_an_overruled_rule() {
    let permissions = Permissions::new().allow("edit").deny("*").pattern("edit", "*.md", Allow);
    assert_eq!(text(&permissions), r#"{"*":"deny","edit":{"*.md":"allow"}}"#);
    let star = Permissions::new().deny("*").pattern("*", "x", Allow);
    assert_eq!(text(&star), r#"{"*":{"*":"deny","x":"allow"}}"#);
}

#[test]
fn json_is_read_in_order_with_unknown_keys() {
    let source = r#"{"zebra_*":"allow","edit":{"b":"deny","a":"ask"},"bash":"deny"}"#;
    let permissions: Permissions = serde_json::from_str(source).unwrap();
    assert_eq!(text(&permissions), source);
    assert_eq!(
        permissions.iter().nth(1),
        Some(("edit", &PermissionRule::Patterns(vec![("b".into(), Deny), ("a".into(), Ask)])))
    );
}

#[test]
fn one_action_for_everything_is_a_star_rule() {
    let permissions = Permissions::from_json(&json!("deny")).unwrap();
    assert_eq!(permissions, Permissions::new().deny("*"));
}

#[test]
fn wrong_rules_are_named_by_their_path() {
    let error = |value: Json| Permissions::from_json(&value).unwrap_err();
    assert_eq!(
        error(json!({"edit": {"*.py": "never"}})),
        PermissionError::UnknownAction { path: "edit.*.py".into(), action: "never".into() }
    );
    assert_eq!(
        error(json!({"edit": true})),
        PermissionError::NotARule { path: "edit".into(), found: "a boolean" }
    );
    assert_eq!(
        error(json!({"edit": {"a": {"b": "deny"}}})),
        PermissionError::NotARule { path: "edit.a".into(), found: "an object" }
    );
    assert_eq!(
        error(json!(["deny"])),
        PermissionError::NotARule { path: String::new(), found: "an array" }
    );
}

#[test]
fn asking_is_refused_for_run_mode_with_its_path() {
    let error = Permissions::new().ask("bash").check_for_run().unwrap_err();
    assert_eq!(error, PermissionError::Ask { path: "bash".into() });
    let error =
        Permissions::new().allow("bash").pattern("edit", "*.py", Ask).check_for_run().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the permission rule `edit.*.py` is `ask`, which `opencode run` cannot follow: \
         use `allow` or `deny`, or run over a server"
    );
}

#[test]
fn allow_and_deny_are_fine_in_run_mode() {
    let permissions = Permissions::new()
        .pattern("external_directory", "~/projects/**", Allow)
        .pattern("edit", "~/projects/**", Deny)
        .deny("bash");
    assert_eq!(permissions.check_for_run(), Ok(()));
}
