use proptest::prelude::*;

use super::*;

/// The text that OpenCode makes of the variables, in which references are replaced once.
fn substituted(variables: &[(String, String)], name: &str) -> String {
    let value = |name: &str| {
        variables.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let mut rest = value(name);
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once("{env:") {
        text.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if !name.is_empty() => {
                text.push_str(value(name));
                rest = after;
            }
            _ => {
                text.push_str("{env:");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

fn assert_carried(document: &JsonObject) {
    let mut variables = variables(document).unwrap();
    for (name, value) in &variables {
        assert!(name.len() + value.len() + 2 <= STRING_SIZE_MAX, "{name}: {}", value.len());
        assert!(is_content(name), "{name}");
    }
    // One variable with the whole document, which no real environment could hold.
    variables.push(("WHOLE".to_owned(), document.to_string()));
    variables.push(("USER".to_owned(), "me".to_owned()));
    let expected = substituted(&variables, "WHOLE");
    assert!(substituted(&variables, CONTENT) == expected, "the document is another one");
}

#[test]
fn a_small_document_is_one_variable() {
    let document = r#"{"a": "{env:USER}", "b": {"c": [1]}}"#.parse().unwrap();
    let variables = variables(&document).unwrap();
    assert_eq!(variables, [(CONTENT.to_owned(), r#"{"a":"{env:USER}","b":{"c":[1]}}"#.to_owned())]);
}

#[test]
fn the_limit_of_one_variable_is_exact() {
    let overhead = r#"{"a":""}"#.len();
    let fitting = STRING_SIZE_MAX - CONTENT.len() - 2 - overhead;
    for (size, count) in [(fitting, 1), (fitting + 1, 3)] {
        let document = JsonObject::new().with("a", "x".repeat(size));
        assert_eq!(variables(&document).unwrap().len(), count, "{size}");
        assert_carried(&document);
    }
}

#[test]
fn a_large_document_is_cut_at_characters_and_keeps_its_references() {
    let long = "é{file:note.txt}\"\n".repeat(10_000);
    let document = JsonObject::new()
        .with("a", long.as_str())
        .with("b", "{env:USER}")
        .with("c", format!("{long}{{env:USER}}{long}"))
        .with("d", "{env:}");
    assert!(variables(&document).unwrap().len() > 4);
    assert_carried(&document);
}

#[test]
fn a_config_too_large_for_an_environment_is_refused() {
    let large = JsonObject::new().with("a", "x".repeat(CONFIG_SIZE_MAX));
    let size = CONFIG_SIZE_MAX + r#"{"a":""}"#.len();
    let error = RunConfigError::ConfigTooLarge { size, size_max: CONFIG_SIZE_MAX };
    assert_eq!(variables(&large), Err(error));
    let references = JsonObject::new().with("a", "{env:SOME_LONG_NAME}".repeat(10_000));
    assert!(matches!(variables(&references), Err(RunConfigError::ConfigTooLarge { .. })));
}

#[test]
fn a_reference_without_an_end_is_text() {
    let text = format!("write {{env: {}", "x".repeat(STRING_SIZE_MAX));
    let document = JsonObject::new().with("a", text);
    let variables = variables(&document).unwrap();
    assert_eq!(substituted(&variables, CONTENT), document.to_string());
}

#[test]
fn only_our_own_names_are_content() {
    for (name, ours) in [
        ("OPENCODE_CONFIG_CONTENT", true),
        ("OPENCODE_CONFIG_CONTENT_0", true),
        ("OPENCODE_CONFIG_CONTENT_12", true),
        ("OPENCODE_CONFIG_CONTENT_", false),
        ("OPENCODE_CONFIG_CONTENT_X", false),
        ("OPENCODE_CONFIG", false),
    ] {
        assert_eq!(is_content(name), ours, "{name}");
    }
}

proptest! {
    #[test]
    fn any_document_arrives_as_if_it_were_in_one_variable(
        texts in prop::collection::vec(r#"(\{env:USER\}|\{env:|\}|\{file:x\}|é|"|a){0,9}"#, 1..5),
        filler in prop::sample::select(vec![0_usize, 255, 256, 257, 60_000, 130_000]),
    ) {
        let filler = format!("}}{}", "é".repeat(filler / 2));
        let document = JsonObject::new().with("texts", texts.join(&filler)).with("more", texts);
        assert_carried(&document);
    }
}
