use opencode_config::PermissionAction::{Allow, Ask, Deny};

use super::*;
use crate::policy::fixture::{asked, quoted};
use crate::policy::rules;

fn request(line: &str, patterns: &[&str]) -> PermissionRequest {
    asked("bash", patterns, &[], &format!(r#"{{"command":{}}}"#, quoted(line)))
}

fn is_read(line: &str, patterns: &[&str]) -> bool {
    read(&request(line, patterns)).is_some()
}

#[test]
fn commands_are_read_when_the_request_shows_each_of_them() {
    assert!(is_read("git log", &["git log"]));
    assert!(is_read(
        "git add . && git commit -m x; git log | head",
        &["git add .", "git commit -m x", "git log", "head"]
    ));
    assert!(is_read("cargo test 2>&1 | tail", &["cargo test 2>&1", "tail"]));
    assert!(is_read("echo one && echo two 2>&1", &["echo one", "echo two"]));
    assert!(is_read("make > /dev/null 2>&1", &["make > /dev/null 2>&1"]));
    assert!(is_read("ls; ls", &["ls"]));
}

#[test]
fn lines_that_the_request_does_not_show_are_not_read() {
    let lines: [(&str, &[&str]); 11] = [
        ("git log; ls", &["git log"]),
        ("git log", &["git log", "ls"]),
        ("git log", &[]),
        ("git log", &["git"]),
        ("echo x && echo y > /etc/x", &["echo x", "echo y"]),
        ("{ echo x; } > /etc/x", &["echo x"]),
        ("echo x > /etc/x", &["echo x > /etc/x"]),
        ("echo \"$(</etc/x)\"", &["echo \"$(</etc/x)\""]),
        ("echo `id`", &["echo `id`", "id"]),
        ("cd x; echo x", &["echo x"]),
        ("> /etc/x; echo x", &["echo x"]),
    ];
    for (line, patterns) in lines {
        assert!(!is_read(line, patterns), "{line}");
    }
    assert!(read(&asked("bash", &["ls"], &[], "{}")).is_none());
}

#[test]
fn rules_are_about_words_and_not_about_quotes() {
    let rules =
        Permissions::new().pattern("bash", "git *", Allow).pattern("bash", "git push *", Deny);
    let decided = |line: &str| rules::decide(&rules, &request(line, &[line.trim()]));
    assert_eq!(decided("git log"), Some(Allow));
    for line in ["git push", "git 'push'", "git pu\"sh\" x", "git  push"] {
        assert_eq!(decided(line), Some(Deny), "{line}");
    }
    assert_eq!(decided("git p\\ush"), Some(Ask));
    assert_eq!(decided("ls"), None);
    assert_eq!(decided("ls $x"), None);
}

#[test]
fn a_rule_for_everything_needs_no_reading_unless_a_later_rule_is_stricter() {
    let line = request("echo $x > y", &["echo $x > y"]);
    let all = Permissions::new().allow("bash");
    assert_eq!(rules::decide(&all, &line), Some(Allow));
    let wide = Permissions::new().pattern("bash", "rm *", Deny).allow("*");
    assert_eq!(rules::decide(&wide, &line), Some(Allow));
    let more = all.clone().pattern("bash", "ls *", Allow);
    assert_eq!(rules::decide(&more, &line), Some(Allow));
    for action in [Ask, Deny] {
        let strict = all.clone().pattern("bash", "rm *", action);
        assert_eq!(rules::decide(&strict, &line), Some(Ask));
        assert_eq!(rules::decide(&strict, &request("ls", &["ls"])), Some(Allow));
    }
}

#[test]
fn names_of_files_must_not_reach_a_stricter_rule() {
    let line = request("cat src/*", &["cat src/*"]);
    let rules = Permissions::new().deny("bash").pattern("bash", "cat *", Allow);
    assert_eq!(rules::decide(&rules, &line), Some(Allow));
    let rules = rules.pattern("bash", "cat src/key", Deny);
    assert_eq!(rules::decide(&rules, &line), Some(Ask));
}
