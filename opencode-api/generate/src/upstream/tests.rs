use super::difference::differences;
use super::*;

fn document(paths: &str, schemas: &str) -> Json {
    format!(r#"{{"paths": {paths}, "components": {{"schemas": {schemas}}}}}"#).parse().unwrap()
}

fn found(old: &Json, new: &Json) -> Vec<String> {
    differences(old, new).iter().map(ToString::to_string).collect()
}

fn found_in_operation(old: &str, new: &str) -> Vec<String> {
    let with = |operation: &str| document(&format!(r#"{{"/a": {{"post": {operation}}}}}"#), "{}");
    found(&with(old), &with(new))
}

fn found_in_schema(old: &str, new: &str) -> Vec<String> {
    let with = |schema: &str| document("{}", &format!(r#"{{"A": {schema}}}"#));
    found(&with(old), &with(new))
}

fn event(name: &str, properties: &str) -> String {
    format!(
        r#"{{"type": "object", "properties": {{"type": {{"type": "string", "enum": ["{name}"]}},
            "properties": {properties}}}}}"#
    )
}

#[test]
fn new_and_lost_operations_are_found() {
    let old = document(r#"{"/a": {"get": {}}, "/b": {"get": {}}}"#, "{}");
    let new = document(r#"{"/b": {"get": {}, "post": {}}}"#, "{}");
    assert_eq!(found(&old, &new), ["- operation GET /a", "+ operation POST /b"]);
    assert!(found(&old, &old).is_empty());
}

#[test]
fn another_id_and_other_parameters_are_found() {
    let old = r#"{"operationId": "a.x", "parameters": [
        {"name": "one", "in": "query", "schema": {"type": "string"}},
        {"name": "two", "in": "query", "required": true, "schema": {"type": "string"}},
        {"name": "gone", "in": "query", "schema": {"type": "string"}}]}"#;
    let new = r#"{"operationId": "a.y", "parameters": [
        {"name": "one", "in": "query", "required": true, "schema": {"type": "number"}},
        {"name": "two", "in": "query", "schema": {"type": "string"}},
        {"name": "new", "in": "query", "required": true, "schema": {"type": "string"}}]}"#;
    let expected = "~ operation POST /a\n    operation id `a.x` is now `a.y`\n    query parameter \
                    `gone` is gone\n    query parameter `new` is new, and required\n    query \
                    parameter `one` is required now\n    query parameter `one`: `string` is now \
                    `number`\n    query parameter `two` is optional now";
    assert_eq!(found_in_operation(old, new), [expected]);
}

#[test]
fn a_field_of_the_body_that_becomes_required_is_found() {
    let with = |required: &str| {
        format!(
            r#"{{"requestBody": {{"content": {{"application/json": {{"schema": {{"type": "object",
                "properties": {{"x": {{"type": "object", "properties": {{"y": {{}}}},
                "required": [{required}]}}}}}}}}}}}}}}"#
        )
    };
    let expected = "~ operation POST /a: field `body.x.y` is required now";
    assert_eq!(found_in_operation(&with(""), &with(r#""y""#)), [expected]);
    let expected = "~ operation POST /a: field `body.x.y` is optional now";
    assert_eq!(found_in_operation(&with(r#""y""#), &with("")), [expected]);
    assert_eq!(found_in_operation("{}", &with("")), ["~ operation POST /a: a body is sent now"]);
    assert_eq!(
        found_in_operation(&with(""), "{}"),
        ["~ operation POST /a: no body is sent any more"]
    );
}

#[test]
fn other_replies_are_found() {
    let with = |status: &str, name: &str| {
        format!(
            r##"{{"responses": {{"{status}": {{"content": {{"application/json": {{"schema":
                {{"$ref": "#/components/schemas/{name}"}}}}}}}}}}}}"##
        )
    };
    assert_eq!(
        found_in_operation(&with("200", "A"), &with("200", "B")),
        ["~ operation POST /a: reply 200: `A` is now `B`"]
    );
    assert_eq!(
        found_in_operation(&with("404", "A"), &with("409", "A")),
        ["~ operation POST /a\n    status 404 is gone\n    status 409 is new"]
    );
}

#[test]
fn other_events_are_found() {
    let old = document(
        "{}",
        &format!(
            r##"{{"Event": {{"anyOf": [{{"$ref": "#/x/EventA"}}, {{"$ref": "#/x/EventB"}}]}},
                "EventA": {}, "EventB": {}}}"##,
            event("a.done", r#"{"type": "object", "properties": {"x": {"type": "string"}}}"#),
            event("b.done", "{}"),
        ),
    );
    let new = document(
        "{}",
        &format!(
            r##"{{"Event": {{"anyOf": [{{"$ref": "#/x/EventA"}}, {{"$ref": "#/x/EventC"}}]}},
                "EventA": {}, "EventC": {}}}"##,
            event("a.done", r#"{"type": "object", "properties": {}}"#),
            event("c.done", "{}"),
        ),
    );
    assert_eq!(
        found(&old, &new),
        ["~ event a.done: field `properties.x` is gone", "- event b.done", "+ event c.done",]
    );
}

#[test]
fn other_fields_values_and_variants_of_schemas_are_found() {
    let fields = |fields: &str, required: &str| {
        format!(r#"{{"type": "object", "properties": {fields}, "required": [{required}]}}"#)
    };
    let old = fields(r#"{"a": {"type": "string"}, "b": {"type": "array", "items": {}}}"#, "");
    let new = fields(
        r#"{"b": {"type": "array", "items": {"type": "string"}}, "c": {"type": "null"}}"#,
        r#""c""#,
    );
    let expected = "~ schema A\n    field `a` is gone\n    `b[]`: {} is now `string`\n    field \
                    `c` is new, and required";
    assert_eq!(found_in_schema(&old, &new), [expected]);
    let values = |values: &str| format!(r#"{{"type": "string", "enum": [{values}]}}"#);
    let expected = "~ schema A\n    value `x` is gone\n    value `y` is new";
    assert_eq!(found_in_schema(&values(r#""x""#), &values(r#""y""#)), [expected]);
    let union = |variant: &str| format!(r#"{{"anyOf": [{{"type": "null"}}, {variant}]}}"#);
    let expected = "~ schema A\n    variant `string` is gone\n    variant `number` is new";
    let (old, new) = (union(r#"{"type": "string"}"#), union(r#"{"type": "number"}"#));
    assert_eq!(found_in_schema(&old, &new), [expected]);
    let old = document("{}", r#"{"A": {}}"#);
    let new = document("{}", r#"{"B": {}}"#);
    assert_eq!(found(&old, &new), ["- schema A", "+ schema B"]);
}

#[test]
fn other_permissions_are_found() {
    let with = |names: &str| {
        let config =
            format!(r#"{{"PermissionConfig": {{"anyOf": [{{}}, {{"properties": {names}}}]}}}}"#);
        document("{}", &config)
    };
    let found = found(&with(r#"{"read": {}, "list": {}}"#), &with(r#"{"read": {}, "run": {}}"#));
    assert_eq!(found[1..], ["- permission list", "+ permission run"]);
}

#[test]
fn a_report_names_the_uses_in_the_core() {
    let old = document(r#"{"/a": {"get": {}}, "/b": {"get": {}}}"#, r#"{"FileDiff": {}}"#);
    let sources = Sources::of(&[
        ("one.rs", "/// Reads it. `GET\n/// /a`, since 1.0."),
        ("two.rs", "/// Mirrors `FileDiff`."),
    ]);
    let upstream = |document: &Json| Upstream {
        version: "1.0.0".to_owned(),
        document: document.clone(),
        flags: None,
    };
    let new = document("{}", "{}");
    let found = differences(&old, &new);
    let report = Report::new(&upstream(&old), &upstream(&new), found, &sources).to_string();
    let expected = "OpenCode 1.0.0, compared with the pinned 1.0.0\nflags were not compared: a \
                    server does not list them\n- operation GET /a\n    used in one.rs\n- operation \
                    GET /b\n- schema FileDiff\n    used in two.rs\n3 differences, 2 of them used \
                    by the core";
    assert_eq!(report, expected);
}

#[test]
fn the_tested_version_is_the_pinned_one() {
    let binary = testkit::opencode::binary().unwrap();

    let (current, report) = compare(binary.to_str().unwrap()).unwrap();

    assert!(report.is_empty(), "{report}");
    assert_eq!(current.version, testkit::opencode::VERSION);
    assert!(current.flags.is_some());
}

#[test]
fn the_core_names_what_it_uses() {
    let sources = Sources::of_core().unwrap();
    let pinned = Upstream::pinned().unwrap();
    let empty = document("{}", "{}");
    let mut found = differences(&pinned.document, &empty);
    found.extend(pinned.flags.unwrap().differences(&Flags::default()));
    let used = |name: &str| {
        let difference = found.iter().find(|difference| difference.name == name);
        !sources.uses(difference.unwrap_or_else(|| panic!("{name}"))).is_empty()
    };
    let names = [
        "GET /session/{sessionID}/message",
        "POST /session/{sessionID}/prompt_async",
        "session.idle",
        "message.part.delta",
        "SnapshotFileDiff",
        "external_directory",
        "run --format",
        "serve --port",
    ];
    for name in names {
        assert!(used(name), "{name}");
    }
    assert!(!used("GET /lsp") && !used("serve --mdns-domain"));
}
