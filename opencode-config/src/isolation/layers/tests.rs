use std::convert::Infallible;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().fold(Environment::new(), |env, (name, value)| env.with_var(name, value))
}

/// The merged document, and the variables that were left out.
fn merged(variables: &[(&str, &str)], config: &str) -> (String, Vec<&'static str>) {
    let mut faults = Vec::new();
    let document = layered(&environment(variables), config.parse().unwrap(), |fault| {
        faults.push(fault.variable);
        Ok::<(), Infallible>(())
    });
    (document.unwrap().to_string(), faults)
}

#[test]
fn the_config_of_a_run_is_laid_over_the_variables() {
    let variables = [
        (CONTENT, r#"{"share": "auto", "permission": {"bash": "deny", "edit": "ask"},} // mine"#),
        (PERMISSION, r#"{"edit": "allow", "webfetch": "deny"}"#),
    ];
    let (document, faults) = merged(&variables, r#"{"permission": {"*": "ask", "bash": "allow"}}"#);
    assert_eq!(
        document,
        concat!(
            r#"{"share":"auto","permission":"#,
            r#"{"edit":"allow","webfetch":"deny","*":"ask","bash":"allow"}}"#,
        )
    );
    assert_eq!(faults, [""; 0]);
}

#[test]
fn one_action_for_everything_is_a_rule_like_others() {
    let (document, _) =
        merged(&[(PERMISSION, r#""deny""#)], r#"{"permission": {"read": "allow"}}"#);
    assert_eq!(document, r#"{"permission":{"*":"deny","read":"allow"}}"#);
}

#[test]
fn unset_and_empty_variables_add_nothing() {
    for variables in [&[][..], &[(CONTENT, ""), (PERMISSION, "")]] {
        assert_eq!(merged(variables, r#"{"a":1}"#), (r#"{"a":1}"#.to_owned(), vec![]));
    }
}

#[test]
fn references_stay_inside_of_strings_and_are_filled_in_elsewhere() {
    let variables = |content| [(CONTENT, content), ("KEY", "sk-1"), ("COUNT", "7")];
    let (document, _) = merged(&variables(r#"{"key": "{env:KEY}"}"#), "{}");
    assert_eq!(document, r#"{"key":"{env:KEY}"}"#);
    let (document, faults) =
        merged(&variables(r#"{"steps": {env:COUNT}, "key": "{env:KEY}"}"#), "{}");
    assert_eq!((&*document, faults), (r#"{"steps":7,"key":"sk-1"}"#, vec![]));
}

#[test]
fn a_document_that_was_cut_up_is_whole_again() {
    let variables = [
        (CONTENT, "{env:OPENCODE_CONFIG_CONTENT_0}{env:OPENCODE_CONFIG_CONTENT_1}"),
        ("OPENCODE_CONFIG_CONTENT_0", r#"{"username": "{env:"#),
        ("OPENCODE_CONFIG_CONTENT_1", r#"USER}", "a": 1}"#),
        ("USER", "me"),
    ];
    let (document, faults) = merged(&variables, r#"{"a":2}"#);
    assert_eq!((&*document, faults), (r#"{"username":"{env:USER}","a":2}"#, vec![]));
}

#[test]
fn variables_that_are_no_config_are_left_out() {
    let variables = [(CONTENT, "[1]"), (PERMISSION, "{")];
    let expected = (r#"{"a":1}"#.to_owned(), vec![CONTENT, PERMISSION]);
    assert_eq!(merged(&variables, r#"{"a":1}"#), expected);
}

#[test]
fn lists_that_opencode_concatenates_are_concatenated() {
    let variables = [(CONTENT, r#"{"instructions": ["a", "b"], "plugin": ["p"], "x": [1]}"#)];
    let (document, _) =
        merged(&variables, r#"{"instructions": ["b", "c"], "plugin": ["q"], "x": [2]}"#);
    assert_eq!(document, r#"{"instructions":["a","b","c"],"plugin":["p","q"],"x":[2]}"#);
}
