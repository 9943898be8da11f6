//! Arguments, metadata and permission requests of OpenCode's own tools, decoded.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use opencode_tokio::event::ToolPart;
use opencode_tokio::tool::{PermissionDetails, ReadDisplay, ToolInput, ToolMetadata};
use opencode_tokio::turn::{QuestionAnswer, QuestionReply};
use opencode_tokio::{CreateSession, PermissionReply, Permissions, Prompt, TurnEventKind};
use serde_json::json;
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Reply, Script};

use crate::on;

#[tokio::test]
async fn arguments_and_metadata_of_tools_are_typed() {
    let world = SessionWorld::in_directory(&on(), "tool-data").await;
    std::fs::write(world.project().join("old.txt"), "one\ntwo\n").unwrap();
    let calls = Reply::new()
        .tool("bash", json!({ "command": "exit 3", "timeout": 60_000, "workdir": "." }))
        .tool("read", json!({ "filePath": "old.txt", "offset": 2 }))
        .tool("read", json!({ "filePath": "." }))
        .tool("write", json!({ "filePath": "new.txt", "content": "new\n" }))
        .tool(
            "todowrite",
            json!({ "todos": [{ "content": "x", "status": "pending", "priority": "low" }] }),
        )
        .tool(
            "question",
            json!({ "questions": [{ "question": "Which?", "header": "H",
            "options": [{ "label": "A", "description": "a" }] }] }),
        )
        .tool("task", json!({ "description": "d", "prompt": "Hello", "subagent_type": "general" }))
        .tool("frobnicate", json!({ "a": 1 }));
    let edit = json!({ "filePath": "old.txt", "oldString": "two", "newString": "three" });
    let script = Script::new()
        .then(calls)
        .then(Reply::new().tool("edit", edit))
        .then(Reply::new().text("Done."));
    world.model().script("tool-data", script);
    let session = world.session().await.on_question(|_| {
        ready(QuestionReply::Answer(vec![QuestionAnswer::from(vec!["A".to_owned()])]))
    });

    let mut turn = session.send(prompt("Go [[tool-data]]"));
    while let Some(event) = turn.next_event().await {
        // Every state of every call, the unfinished ones included.
        if let TurnEventKind::ToolProgressed(part) = &event.kind {
            part.decode_input().unwrap();
            part.decode_metadata().unwrap();
            let near_ms = part.state.time().start_ms.unwrap_or_default();
            let created_ms = event.created_ms(near_ms);
            assert!(created_ms.is_none_or(|ms| ms.abs_diff(near_ms) < 3_600_000), "{event:?}");
        }
    }
    let outcome = turn.outcome().await.unwrap();

    let tools: BTreeMap<&str, &ToolPart> =
        outcome.tools().map(|part| (part.call.as_str(), part)).collect();
    let data = |call: &str| {
        let part = tools[call];
        assert_eq!(part.state.status(), "completed", "{part:?}");
        (part.decode_input().unwrap(), part.decode_metadata().unwrap())
    };
    let (ToolInput::Bash(input), ToolMetadata::Bash(bash)) = data("call_0_0") else { panic!() };
    assert_eq!((&*input.command, input.timeout_ms, bash.exit), ("exit 3", Some(60_000), Some(3)));
    let (ToolInput::Read(input), ToolMetadata::Read(read)) = data("call_0_1") else { panic!() };
    let Some(ReadDisplay::File { line_start: 2, total_lines: 2, text, .. }) = read.display else {
        panic!("{read:?}")
    };
    assert_eq!((input.offset, &*text), (Some(2), "two"));
    let (_, ToolMetadata::Read(list)) = data("call_0_2") else { panic!() };
    assert!(matches!(list.display, Some(ReadDisplay::Directory { .. })), "{list:?}");
    let (ToolInput::Write(_), ToolMetadata::Write(write)) = data("call_0_3") else { panic!() };
    assert!(write.file_path.unwrap().ends_with("/new.txt") && !write.has_replaced);
    let (_, ToolMetadata::TodoWrite(list)) = data("call_0_4") else { panic!() };
    assert_eq!(list.todos.unwrap().len(), 1);
    let (_, ToolMetadata::Question(question)) = data("call_0_5") else { panic!() };
    assert_eq!(question.answers.unwrap(), [["A"]]);
    let (ToolInput::Task(input), ToolMetadata::Task(task)) = data("call_0_6") else { panic!() };
    assert_eq!(
        (&*input.subagent_type, task.parent_session.as_ref()),
        ("general", Some(session.id()))
    );
    let children = session.children().await.unwrap();
    assert_eq!(task.session.as_ref(), Some(&children[0].id));
    let (ToolInput::Invalid(input), _) = data("call_0_7") else { panic!() };
    assert_eq!(input.tool, "frobnicate");
    let (ToolInput::Edit(_), ToolMetadata::Edit(edit)) = data("call_1_0") else { panic!() };
    let file = edit.file.unwrap();
    assert_eq!((file.additions, file.deletions), (1, 1));
    assert!(edit.diff.unwrap().contains("-two\n+three\n"));
}

#[tokio::test]
async fn a_permission_request_has_the_diff_that_waits() {
    let world = SessionWorld::in_directory(&on(), "permission-data").await;
    std::fs::write(world.project().join("old.txt"), "one\ntwo\n").unwrap();
    let patch = "*** Begin Patch\n*** Update File: old.txt\n@@\n-two\n+three\n*** Add File: b.txt\n\
                 +b\n*** End Patch\n";
    let calls = [
        ("apply_patch", json!({ "patchText": patch })),
        ("bash", json!({ "command": "cat /etc/hostname" })),
        ("glob", json!({ "pattern": "*.txt" })),
        ("grep", json!({ "pattern": "two", "include": "*.txt" })),
        ("webfetch", json!({ "url": "http://127.0.0.1:1/", "format": "text" })),
        ("task", json!({ "description": "d", "prompt": "Hello", "subagent_type": "general" })),
    ];
    // One call after the other: OpenCode refuses all requests that wait with one of them.
    let script = calls
        .into_iter()
        .fold(Script::new(), |script, (tool, input)| script.then(Reply::new().tool(tool, input)));
    world.model().script("permission-data", script.then(Reply::new().text("Done.")));
    let asked = Arc::new(Mutex::new(BTreeMap::new()));
    let log = Arc::clone(&asked);
    let names = ["bash", "edit", "external_directory", "glob", "grep", "task", "webfetch"];
    let permissions = names.into_iter().fold(Permissions::new(), |all, name| all.ask(name));
    let session = world.session_with(CreateSession::new().with_permission(permissions)).await;
    let session = session.on_permission(move |ask| {
        let request = &ask.request;
        log.lock().unwrap().insert(request.permission.clone(), request.decode_metadata());
        let reply = match request.diff() {
            Some(diff) if diff.contains("+three") => PermissionReply::Once,
            _ => PermissionReply::reject_with("not in this test"),
        };
        ready(reply)
    });

    let request =
        Prompt::from("Go [[permission-data]]").with_model("scripted/gpt-patches".parse().unwrap());
    let (_, outcome) = play(session.send(prompt(request))).await;

    let mut asked = std::mem::take(&mut *asked.lock().unwrap());
    let mut details = |name: &str| asked.remove(name).unwrap_or_else(|| panic!("{name}")).unwrap();
    let PermissionDetails::Edit(edit) = details("edit") else { panic!() };
    let kinds: Vec<_> = edit.files.iter().map(|file| &*file.change).collect();
    assert_eq!(kinds, ["update", "add"]);
    assert!(edit.diff.contains("-two\n+three\n"), "{}", edit.diff);
    let PermissionDetails::ExternalDirectory(outside) = details("external_directory") else {
        panic!()
    };
    assert_eq!(outside.directories.unwrap(), ["/etc"]);
    let PermissionDetails::Grep(grep) = details("grep") else { panic!() };
    assert_eq!(grep.include.as_deref(), Some("*.txt"));
    assert!(matches!(details("glob"), PermissionDetails::Glob(_)));
    assert!(matches!(details("task"), PermissionDetails::Task { .. }));
    let PermissionDetails::WebFetch(page) = details("webfetch") else { panic!() };
    assert_eq!(page.format.as_deref(), Some("text"));
    let patched = outcome.tools().find(|part| &*part.tool == "apply_patch").unwrap();
    let ToolMetadata::ApplyPatch(patch) = patched.decode_metadata().unwrap() else { panic!() };
    assert_eq!((patch.files.len(), patch.files[0].additions), (2, 1));
}
