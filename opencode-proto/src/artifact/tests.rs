use bytes::Bytes;

use super::*;
use crate::part::Part;

/// A call as the server tells it.
fn call(tool: &str, state: &str) -> ToolPart {
    let json = format!(
        r#"{{"id":"prt_1","messageID":"msg_1","sessionID":"ses_1","type":"tool","callID":"call_1","tool":"{tool}","state":{state}}}"#
    );
    let line = Bytes::from(json);
    let raw: &RawValue = serde_json::from_slice(&line).unwrap();
    let Part::Tool(part) = Part::decode(&line, raw).unwrap() else { panic!("no tool part") };
    *part
}

fn of(tool: &str, state: &str) -> Vec<(String, ArtifactChange)> {
    let artifacts = Artifact::of(&call(tool, state), 1000);
    assert!(artifacts.iter().all(|artifact| artifact.call == "call_1"));
    artifacts.into_iter().map(|artifact| (artifact.path, artifact.change)).collect()
}

#[test]
fn write_has_the_content_and_the_absolute_path() {
    let changes = of(
        "write",
        r#"{"status":"completed","input":{"filePath":"a.txt","content":"eins\n\"zwei\"\n"},"output":"Wrote file successfully.",
            "metadata":{"diagnostics":{},"filepath":"/src/app/a.txt","exists":false},"time":{"start":1,"end":2}}"#,
    );
    let content = ArtifactChange::Content("eins\n\"zwei\"\n".to_owned());
    assert_eq!(changes, [("/src/app/a.txt".to_owned(), content)]);
}

#[test]
fn edit_has_a_diff() {
    let state = r#"{"status":"completed","input":{"filePath":"/src/a","oldString":"x","newString":"y"},"output":"",
        "metadata":{"diff":"-x\n+y\n","filediff":{"file":"/src/app/a","patch":"-x\n+y\n","additions":1,"deletions":1}}}"#;
    let patch = ArtifactChange::Patch("-x\n+y\n".to_owned());
    assert_eq!(of("edit", state), [("/src/app/a".to_owned(), patch.clone())]);
    let old = r#"{"status":"completed","input":{"filePath":"/src/a"},"output":"","metadata":{"diff":"-x\n+y\n"}}"#;
    assert_eq!(of("edit", old), [("/src/a".to_owned(), patch)]);
}

#[test]
fn a_patch_is_about_several_files() {
    let changes = of(
        "apply_patch",
        r#"{"status":"completed","input":{"patchText":"*** Begin Patch"},"output":"","metadata":{"diff":"all","files":[
            {"filePath":"/a/x","relativePath":"x","type":"add","patch":"+1","additions":1,"deletions":0},
            {"filePath":"/b/x","type":"update","diff":"+2"},
            {"filePath":"/c","type":"move","patch":"+3","movePath":"/d"},
            {"filePath":"/e","type":"delete","patch":"-4"},
            {"type":"update","patch":"nowhere"},
            17]}}"#,
    );
    let moved = ArtifactChange::Moved { from: "/c".to_owned(), patch: "+3".to_owned() };
    assert_eq!(
        changes,
        [
            ("/a/x".to_owned(), ArtifactChange::Patch("+1".to_owned())),
            ("/b/x".to_owned(), ArtifactChange::Patch("+2".to_owned())),
            ("/d".to_owned(), moved),
            ("/e".to_owned(), ArtifactChange::Deleted),
        ]
    );
}

#[test]
fn more_than_is_wanted_is_left_out() {
    let state =
        r#"{"status":"completed","input":{"filePath":"/a","content":"1234\n"},"output":""}"#;
    let change = |size_max| Artifact::of(&call("write", state), size_max).remove(0).change;
    assert_eq!(change(5), ArtifactChange::Content("1234\n".to_owned()));
    assert_eq!(change(4), ArtifactChange::TooLarge { size: 5 });
}

#[test]
fn what_wrote_nothing_has_none() {
    let input = r#""input":{"filePath":"/a","content":"x"}"#;
    for (tool, state) in [
        ("write", format!(r#"{{"status":"running",{input}}}"#)),
        ("write", format!(r#"{{"status":"error",{input},"error":"no"}}"#)),
        ("write", r#"{"status":"completed","input":{"filePath":"/a"},"output":""}"#.to_owned()),
        ("write", r#"{"status":"completed","output":""}"#.to_owned()),
        ("read", format!(r#"{{"status":"completed",{input},"output":""}}"#)),
        ("apply_patch", r#"{"status":"completed","output":"","metadata":{"files":{}}}"#.to_owned()),
    ] {
        assert_eq!(of(tool, &state), [], "{tool} {state}");
    }
}
