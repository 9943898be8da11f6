use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::api::FileDiff;
use crate::part::Part;
use crate::server_event::{Choice, PermissionRequest};

fn part(tool: &str, state: &str) -> ToolPart {
    let json = format!(
        r#"{{"id":"prt_1","messageID":"msg_1","type":"tool","callID":"c","tool":"{tool}",
        "state":{state}}}"#
    );
    let line = Bytes::from(json);
    let raw: &RawValue = serde_json::from_slice(&line).unwrap();
    let Part::Tool(part) = Part::decode(&line, raw).unwrap() else { panic!("no tool part") };
    *part
}

fn input(tool: &str, input: &str) -> Result<ToolInput, String> {
    let state = format!(r#"{{"status":"running","input":{input},"time":{{"start":1}}}}"#);
    part(tool, &state).decode_input().map_err(|error| error.to_string())
}

fn metadata(tool: &str, metadata: &str) -> Result<ToolMetadata, String> {
    let state =
        format!(r#"{{"status":"completed","input":{{}},"output":"","metadata":{metadata}}}"#);
    part(tool, &state).decode_metadata().map_err(|error| error.to_string())
}

fn permission(permission: &str, metadata: &str) -> PermissionRequest {
    let json = format!(
        r#"{{"id":"per_1","sessionID":"ses_1","permission":"{permission}","patterns":["*"],
        "metadata":{metadata}}}"#
    );
    let line = Bytes::from(json);
    PermissionRequest::decode(&line, serde_json::from_slice(&line).unwrap()).unwrap()
}

#[test]
fn arguments_of_each_tool_have_a_type() {
    let Ok(ToolInput::Bash(bash)) = input("bash", r#"{"command":"ls","timeout":1e3,"new":[1]}"#)
    else {
        panic!()
    };
    assert_eq!((&*bash.command, bash.timeout_ms, bash.workdir), ("ls", Some(1000), None));
    let edit = r#"{"filePath":"/a","oldString":"x","newString":"y","replaceAll":true}"#;
    let Ok(ToolInput::Edit(edit)) = input("edit", edit) else { panic!() };
    assert!(edit.is_for_all);
    let question = r#"{"questions":[{"question":"Which?","header":"H","multiple":true,
        "options":[{"label":"A","description":"a"}]}]}"#;
    let Ok(ToolInput::Question(ask)) = input("question", question) else { panic!() };
    assert_eq!(ask.questions[0].choice, Choice::Many);
    let todos = r#"{"todos":[{"content":"x","status":"pending","priority":"low"}]}"#;
    let Ok(ToolInput::TodoWrite(list)) = input("todowrite", todos) else { panic!() };
    assert_eq!(&*list.todos[0].priority, "low");
    let task = r#"{"description":"d","prompt":"p","subagent_type":"general","task_id":"ses_9"}"#;
    let Ok(ToolInput::Task(task)) = input("task", task) else { panic!() };
    assert_eq!((task.task_id, task.is_background), (Some("ses_9".into()), false));
    let others = [
        ("apply_patch", r#"{"patchText":"*** Begin Patch"}"#),
        ("glob", r#"{"pattern":"*.rs","path":null}"#),
        ("grep", r#"{"pattern":"x","include":"*.rs"}"#),
        ("invalid", r#"{"tool":"x","error":"no such tool"}"#),
        ("lsp", r#"{"operation":"hover","filePath":"/a","line":1,"character":2}"#),
        ("read", r#"{"filePath":"/a","offset":1,"limit":2}"#),
        ("skill", r#"{"name":"x"}"#),
        ("webfetch", r#"{"url":"http://x","format":"text","timeout":1.5}"#),
        ("websearch", r#"{"query":"x","numResults":3,"type":"fast"}"#),
        ("write", r#"{"filePath":"/a","content":"\ud800"}"#),
    ];
    for (tool, json) in others {
        let decoded = input(tool, json).unwrap();
        assert!(!matches!(decoded, ToolInput::Other(_)), "{tool}");
    }
}

#[test]
fn an_unknown_tool_keeps_the_json_and_a_malformed_one_names_the_field() {
    let other = input("weather_today", r#"{"city":"Kiel"}"#).unwrap();
    assert_eq!(other, ToolInput::Other(RawJson::parse(r#"{"city":"Kiel"}"#).unwrap()));
    let cases = [
        ("bash", "{}", "arguments of `bash`: command: the field is missing"),
        ("bash", "[]", "arguments of `bash`: expected an object, found an array"),
        (
            "read",
            r#"{"filePath":"/a","limit":-1}"#,
            "arguments of `read`: limit: expected an integer from 0, found a number",
        ),
        (
            "question",
            r#"{"questions":[{"question":"?","header":"","options":[{"label":7}]}]}"#,
            "arguments of `question`: questions[0].options[0].label: expected a string, found a \
             number",
        ),
    ];
    for (tool, json, error) in cases {
        assert_eq!(input(tool, json).unwrap_err(), error);
    }
    let error = metadata("bash", r#"{"exit":"3"}"#).unwrap_err();
    assert_eq!(error, "metadata of `bash`: exit: expected an integer, found a string");
}

#[test]
fn arguments_that_the_model_is_writing_are_none_yet() {
    let pending = part("bash", r#"{"status":"pending","input":{},"raw":""}"#);
    assert_eq!(pending.decode_input(), Ok(ToolInput::Unwritten));
    let aborted = part("bash", r#"{"status":"error","input":{},"error":"Tool execution aborted"}"#);
    assert_eq!(aborted.decode_input(), Ok(ToolInput::Unwritten));
    let running = part("bash", r#"{"status":"running","input":{}}"#);
    assert!(running.decode_input().is_err());
}

#[test]
fn metadata_of_each_tool_have_a_type() {
    let bash = r#"{"output":"x","exit":null,"truncated":true,"outputPath":"/tmp/x"}"#;
    let Ok(ToolMetadata::Bash(bash)) = metadata("bash", bash) else { panic!() };
    assert_eq!((bash.exit, bash.is_truncated), (None, true));
    assert_eq!(bash.output_path.as_deref(), Some("/tmp/x"));
    let edit = r#"{"diff":"d","diagnostics":{},"truncated":false,
        "filediff":{"file":"/a","patch":"p","additions":2,"deletions":1}}"#;
    let Ok(ToolMetadata::Edit(edit)) = metadata("edit", edit) else { panic!() };
    let Some(FileDiff { additions: 2, deletions: 1, .. }) = edit.file else { panic!("{edit:?}") };
    let patch = r#"{"diff":"d","diagnostics":{},"files":[{"filePath":"/a","relativePath":"b",
        "type":"move","patch":"p","additions":1,"deletions":0,"movePath":"/b"}]}"#;
    let Ok(ToolMetadata::ApplyPatch(patch)) = metadata("apply_patch", patch) else { panic!() };
    assert_eq!((&*patch.files[0].change, &patch.files[0].move_path), ("move", &Some("/b".into())));
    let read = r#"{"preview":"x","truncated":false,"loaded":["/AGENTS.md"],"display":{
        "type":"file","path":"/a","text":"x","lineStart":1,"lineEnd":1,"totalLines":1,
        "truncated":false}}"#;
    let Ok(ToolMetadata::Read(read)) = metadata("read", read) else { panic!() };
    let Some(ReadDisplay::File { total_lines: 1, .. }) = read.display else { panic!("{read:?}") };
    let task = r#"{"parentSessionId":"ses_1","sessionId":"ses_2","background":true,"jobId":"j",
        "model":{"providerID":"p","modelID":"m"}}"#;
    let Ok(ToolMetadata::Task(task)) = metadata("task", task) else { panic!() };
    assert_eq!((task.session, task.is_background), (Some("ses_2".into()), true));
    let answers = r#"{"answers":[["A"],[]]}"#;
    let Ok(ToolMetadata::Question(question)) = metadata("question", answers) else { panic!() };
    assert_eq!(question.answers.unwrap(), [vec!["A".to_owned()], Vec::new()]);
    let tools = ["glob", "grep", "question", "skill", "todowrite", "websearch", "write"];
    for tool in tools {
        let empty = metadata(tool, "{}").unwrap();
        assert!(!matches!(empty, ToolMetadata::Other(_)), "{tool}");
    }
    assert!(matches!(metadata("webfetch", "{}"), Ok(ToolMetadata::Other(_))));
    let new = r#"{"display":{"type":"image","new":1}}"#;
    let Ok(ToolMetadata::Read(read)) = metadata("read", new) else { panic!() };
    assert!(matches!(read.display, Some(ReadDisplay::Other(_))));
}

#[test]
fn a_permission_request_shows_the_change_of_files() {
    let request = permission("edit", r#"{"filepath":"/a","diff":"-x\n+y\n"}"#);
    assert_eq!(request.diff().as_deref(), Some("-x\n+y\n"));
    let patch = r#"{"filepath":"a, b","diff":"d","files":[{"filePath":"/a","relativePath":"a",
        "type":"add","patch":"p","additions":1,"deletions":0}]}"#;
    let Ok(PermissionDetails::Edit(edit)) = permission("edit", patch).decode_metadata() else {
        panic!()
    };
    assert_eq!(edit.files[0].file_path, "/a");
    assert_eq!(permission("bash", r#"{"command":"ls"}"#).diff(), None);
}

#[test]
fn data_of_each_permission_have_a_type() {
    let details = |name: &str, json: &str| permission(name, json).decode_metadata().unwrap();
    let bash = details("bash", r#"{"command":"ls"}"#);
    assert_eq!(bash, PermissionDetails::Bash { command: "ls".to_owned() });
    let outside = r#"{"command":"cat /x/y","directories":["/x"],"patterns":["/x/*"]}"#;
    let PermissionDetails::ExternalDirectory(outside) = details("external_directory", outside)
    else {
        panic!()
    };
    assert_eq!(outside.directories.unwrap(), ["/x"]);
    let repeated = details("doom_loop", r#"{"tool":"bash","input":{"command":"ls"}}"#);
    assert!(matches!(repeated, PermissionDetails::RepeatedCall { .. }));
    let task = details("task", r#"{"description":"d","subagent_type":"general"}"#);
    assert!(matches!(task, PermissionDetails::Task { .. }));
    let lsp = details("lsp", r#"{"operation":"workspaceSymbol"}"#);
    assert!(matches!(lsp, PermissionDetails::Lsp(_)));
    let page = details("webfetch", r#"{"url":"http://x","format":"text"}"#);
    assert!(matches!(page, PermissionDetails::WebFetch(_)));
    assert!(matches!(details("todowrite", "{}"), PermissionDetails::Other(_)));
    assert!(matches!(details("bash", "{}"), PermissionDetails::Other(_)));
    let error = permission("bash", r#"{"command":1}"#).decode_metadata().unwrap_err();
    let text = "metadata of permission `bash`: command: expected a string, found a number";
    assert_eq!(error.to_string(), text);
}

const TOOLS: [&str; 16] = [
    "apply_patch",
    "bash",
    "edit",
    "glob",
    "grep",
    "invalid",
    "lsp",
    "other",
    "question",
    "read",
    "skill",
    "task",
    "todowrite",
    "webfetch",
    "websearch",
    "write",
];

const FIELDS: [&str; 16] = [
    "answers",
    "command",
    "diff",
    "display",
    "exit",
    "filePath",
    "filediff",
    "files",
    "input",
    "limit",
    "metadata",
    "model",
    "new",
    "pattern",
    "questions",
    "todos",
];

fn any_json() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>().prop_map(|number| if number.is_finite() {
            number.to_string()
        } else {
            "0".into()
        }),
        any::<i64>().prop_map(|number| number.to_string()),
        Just(r#""\ud800 text""#.to_owned()),
    ];
    plain.prop_recursive(3, 24, 4, |inner| {
        let field = (prop::sample::select(&FIELDS[..]), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(field, 0..6).prop_map(|fields| {
                let fields = fields.iter().map(|(name, value)| format!("{name:?}:{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_data_are_read_or_an_error_that_names_the_tool(
        tool in prop::sample::select(&TOOLS[..]),
        json in any_json(),
    ) {
        let raw = RawJson::parse(json.clone()).unwrap();
        for error in [
            ToolInput::decode(tool, &raw).err(),
            ToolMetadata::decode(tool, &raw).err(),
        ].into_iter().flatten() {
            prop_assert!(error.to_string().contains(tool), "{error}");
        }
        prop_assert!(tool != "other" || ToolInput::decode(tool, &raw) == Ok(ToolInput::Other(raw)));
        let request = permission(tool, &json);
        prop_assert!(request.diff().is_none() || tool == "edit");
    }
}
