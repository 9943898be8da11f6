use super::super::PermissionAction::{Allow, Ask, Deny};
use super::*;

#[test]
fn patterns_match_as_the_regular_expressions_that_opencode_makes_of_them() {
    let yes = [
        ("", ""),
        ("", "*"),
        ("", " *"),
        (" ", " *"),
        ("a", "*"),
        ("a\nb", "a*"),
        ("a\nb", "a?b"),
        ("abcbc", "a*bc"),
        ("ls", "ls *"),
        ("ls -l", "ls *"),
        ("ls  x", "ls *"),
        ("docs/a.md", "docs\\*"),
        ("docs\\a.md", "docs/*"),
        ("src/a/b.rs", "src/**/*.rs"),
        ("a.(b)", "a.(b)"),
        // Two UTF-16 units.
        ("\u{1f980}", "??"),
        ("ls *", "ls *"),
    ];
    for (text, pattern) in yes {
        assert!(wildcard_matches(text, pattern), "{text:?} {pattern:?}");
    }
    let no = [
        ("a", ""),
        ("", "?"),
        ("lsx", "ls *"),
        ("ls", "ls  *"),
        ("axb", "a.b"),
        ("Ls", "ls"),
        ("src/b.rs", "src/**/*.rs"),
        ("\u{1f980}", "?"),
        ("ls -l\n", "ls -l"),
        ("abcb", "a*bc"),
    ];
    for (text, pattern) in no {
        assert!(!wildcard_matches(text, pattern), "{text:?} {pattern:?}");
    }
}

#[test]
fn long_texts_are_matched_fast() {
    let text = "a".repeat(20_000);
    assert!(!wildcard_matches(&text, "*a*a*a*a*a*a*a*a*b"));
}

#[test]
fn the_last_rule_that_matches_decides() {
    let rules = Permissions::new()
        .allow("bash")
        .deny("*")
        .ask("edit")
        .pattern("edit", "docs/*", Allow)
        .pattern("github_*", "*", Ask);
    let decided = |permission, pattern| rules.decide(permission, pattern);
    assert_eq!(decided("bash", "ls"), Some(Deny), "a star overrules earlier rules");
    assert_eq!(decided("edit", "src/a.rs"), Some(Ask));
    assert_eq!(decided("edit", "docs/a.md"), Some(Allow));
    assert_eq!(decided("github_issue", "*"), Some(Ask));
    assert_eq!(
        rules.deciding("edit", "docs/a.md"),
        Some(RulesetRule { permission: "edit", pattern: "docs/*", action: Allow })
    );
    assert_eq!(Permissions::new().allow("bash").decide("edit", "a"), None);
}
