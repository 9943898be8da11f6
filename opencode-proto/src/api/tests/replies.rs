//! What each operation reads, from replies of 1.18.33.

use std::error::Error;

use opencode_config::PermissionAction;

use super::*;
use crate::{Artifact, ArtifactChange, Part, Role, SessionStatus, TextOrigin};

/// Two steps that wrote and changed a file, and the answer.
const MESSAGES: &str = include_str!("messages.json");

fn read<O: Operation>(operation: &O, body: &str) -> O::Output {
    operation.decode(json(body)).unwrap()
}

/// Why a body cannot be read.
fn unreadable<O: Operation<Output: std::fmt::Debug>>(operation: &O, body: &str) -> String {
    let error = operation.decode(json(body)).unwrap_err();
    assert!(matches!(error.kind, ApiErrorKind::Unreadable(_)), "{error:?}");
    error.source().unwrap().to_string()
}

#[test]
fn messages_with_parts() {
    let page = read(&ListMessages::new("ses_1"), MESSAGES);
    assert_eq!(page.next, None);
    let ids: Vec<_> = page.messages.iter().map(|message| message.info.id.as_str()).collect();
    assert!(ids.is_sorted() && ids.len() == 4, "{ids:?}");
    let [prompt, steps @ ..] = &page.messages[..] else { panic!("no messages") };
    assert_eq!(prompt.info.role, Role::User);
    let Part::Text(text) = &prompt.parts[0] else { panic!("no text first") };
    assert_eq!((&text.text.to_str()[..], text.origin), ("[[write]] go", TextOrigin::Model));
    for step in steps {
        assert_eq!(step.info.role, Role::Assistant);
        assert_eq!(step.info.parent.as_ref(), Some(&prompt.info.id));
        assert!(step.info.completed_ms.is_some());
        assert!(step.parts.iter().all(|part| part.key().message.as_ref() == Some(&step.info.id)));
    }
    let Some(Part::Text(answer)) = steps[2].parts.iter().find(|part| matches!(part, Part::Text(_)))
    else {
        panic!("no answer")
    };
    assert_eq!(answer.text, "done");
}

#[test]
fn what_the_tools_of_the_messages_wrote() {
    let page = read(&ListMessages::new("ses_1"), MESSAGES);
    let parts = page.messages.iter().flat_map(|message| &message.parts);
    let written: Vec<_> = parts
        .filter_map(|part| if let Part::Tool(part) = part { Some(part) } else { None })
        .flat_map(|part| Artifact::of(part, 1000))
        .collect();
    let [write, edit] = &written[..] else { panic!("{written:?}") };
    assert_eq!(write.path, "/srv/w a%ç/out/new.txt");
    assert_eq!(write.change, ArtifactChange::Content("hello\n".to_owned()));
    assert_eq!(edit.path, write.path);
    let ArtifactChange::Patch(patch) = &edit.change else { panic!("{edit:?}") };
    assert!(patch.ends_with("@@ -1,1 +1,1 @@\n-hello\n+bye\n"), "{patch}");
}

#[test]
fn a_page_names_the_next() {
    let mut response = json("[]");
    response.headers_mut().insert("x-next-cursor", "eyJ9".parse().unwrap());
    let page = ListMessages::new("ses_1").decode(response).unwrap();
    assert_eq!(page.next, Some("eyJ9".into()));
}

#[test]
fn an_element_that_cannot_be_read_is_named() {
    let good = r#"{"info":{"id":"msg_1","role":"user"},"parts":[]}"#;
    let bad = r#"{"info":{"id":"msg_2","role":"user"},"parts":[{"type":"new"},{"type":"text"}]}"#;
    assert_eq!(
        unreadable(&ListMessages::new("ses_1"), &format!("[{good},{bad}]")),
        "element 1: parts of msg_2: element 1: missing or unreadable field `part.text`"
    );
    let why = unreadable(&ListSessions::new(), r#"[{"id":"ses_1"},{"title":"x"}]"#);
    assert!(why.starts_with("element 1: missing field `id`"), "{why}");
    let why = unreadable(&SessionStatuses::new(), r#"{"ses_1":{"type":"busy"},"ses_2":{}}"#);
    assert!(why.starts_with("status of ses_2: missing field `type`"), "{why}");
    let why = unreadable(
        &ListPermissions::new(),
        r#"[{"id":"per_1","permission":"bash","patterns":[]}]"#,
    );
    assert!(why.starts_with("element 0: missing field `sessionID`"), "{why}");
}

#[test]
fn a_session() {
    let body = r#"{"id":"ses_1","slug":"cosmic-mountain","projectID":"global","directory":"/srv/w a%ç","path":"work",
        "parentID":"ses_0","summary":{"additions":0,"deletions":0,"files":0},"cost":0.00096,
        "tokens":{"input":800,"output":80,"reasoning":0,"cache":{"read":0,"write":0}},"share":{"url":"https://x/s/1"},
        "title":"X","agent":"build","model":{"id":"m1","providerID":"scripted"},"version":"1.18.33","metadata":{"k":1},
        "time":{"created":1795267163172,"updated":1795267167624,"archived":5},
        "permission":[{"permission":"edit","pattern":"*","action":"allow"}],
        "revert":{"messageID":"msg_12","partID":"prt_3"}}"#;
    let session = read(&ReadSession::new("ses_1"), body);
    assert_eq!(session.id, "ses_1");
    assert_eq!(session.parent, Some("ses_0".into()));
    assert_eq!(session.title, "X");
    assert_eq!(session.project.as_deref(), Some("global"));
    assert_eq!(session.directory.as_deref(), Some("/srv/w a%ç"));
    assert_eq!(session.agent.as_deref(), Some("build"));
    assert_eq!(session.version.as_deref(), Some("1.18.33"));
    assert_eq!(session.share_url.as_deref(), Some("https://x/s/1"));
    let revert = session.revert.unwrap();
    assert_eq!((revert.message, revert.part), ("msg_12".into(), Some("prt_3".into())));
    assert_eq!(session.created_ms, Some(1_795_267_163_172));
    assert_eq!(session.updated_ms, Some(1_795_267_167_624));
    assert_eq!(session.archived_ms, Some(5));
    assert_eq!((session.cost, session.tokens.input), (0.000_96, 800));
    assert_eq!(session.raw.as_str(), body);
}

/// Details of a session in another shape are left out.
#[test]
fn a_session_of_another_version() {
    let body = r#"{"id":"ses_1","agent":7,"version":null,"share":"no","revert":{"part":1},"time":[1],"projectID":{}}"#;
    let session = read(&ReadSession::new("ses_1"), body);
    assert_eq!((session.agent, session.version, session.share_url), (None, None, None));
    assert_eq!((session.revert, session.created_ms, session.project), (None, None, None));
}

#[test]
fn what_sessions_do() {
    let body = r#"{"ses_2":{"type":"retry","attempt":2,"message":"slow","next":5},"ses_1":{"type":"busy"}}"#;
    let statuses = read(&SessionStatuses::new(), body);
    assert_eq!(statuses.len(), 2);
    assert_eq!(statuses[&"ses_1".into()], SessionStatus::Busy);
    let retry = SessionStatus::Retry { attempt: 2, message: "slow".to_owned(), next_ms: 5 };
    assert_eq!(statuses[&"ses_2".into()], retry);
    assert!(read(&SessionStatuses::new(), "{}").is_empty());
}

#[test]
fn what_turns_wait_for() {
    let body = r#"[{"id":"per_1","sessionID":"ses_1","permission":"bash","patterns":["echo hi"],"metadata":{"command":"echo hi"},
        "always":["echo *"],"tool":{"messageID":"msg_1","callID":"call_3_0"}}]"#;
    let [pending] = &read(&ListPermissions::new(), body)[..] else { panic!("not one") };
    assert_eq!(pending.session, "ses_1");
    assert_eq!(pending.request.id, "per_1");
    assert_eq!(pending.request.patterns, ["echo hi"]);
    assert_eq!(pending.request.tool.as_ref().unwrap().call, "call_3_0");
    let body = r#"[{"id":"que_1","sessionID":"ses_2","questions":[{"question":"Q?","header":"H",
        "options":[{"label":"A","description":"a"}]}],"tool":{"messageID":"msg_1","callID":"call_1_0"}}]"#;
    let [pending] = &read(&ListQuestions::new(), body)[..] else { panic!("not one") };
    assert_eq!((&pending.session, &pending.request.id), (&"ses_2".into(), &"que_1".into()));
    assert_eq!(pending.request.questions[0].options[0].label, "A");
}

#[test]
fn diffs_of_all_versions() {
    let body = r#"[{"file":"a","patch":"@@\n+x\n","additions":1,"deletions":0,"status":"added"},
        {"file":"b","before":"1","after":"2","additions":1.0,"deletions":1}]"#;
    let operation = SessionDiff::new("ses_1");
    let diffs = read(&operation, body);
    assert_eq!(diffs, FileDiff::list(&crate::RawJson::parse(body).unwrap()).unwrap());
    let [new, old] = &diffs[..] else { panic!("{diffs:?}") };
    assert_eq!((new.file.as_deref(), new.status.as_deref()), (Some("a"), Some("added")));
    assert_eq!((new.additions, new.deletions), (1, 0));
    assert_eq!(new.patch.as_ref().unwrap(), &"@@\n+x\n");
    assert_eq!(old.before.as_ref().unwrap(), &"1");
    assert_eq!((old.additions, old.status.as_deref()), (1, None));
    for bad in ["{}", "7", r#"{"file":"a","additions":1}"#] {
        let body = format!(r#"[{{"additions":1,"deletions":0}},{bad}]"#);
        assert!(unreadable(&operation, &body).starts_with("element 1: "), "{bad}");
    }
}

#[test]
fn the_server_and_its_model() {
    let health = read(&Health::new(), r#"{"healthy":true,"version":"1.18.33"}"#);
    assert_eq!((health.healthy, &*health.version), (true, "1.18.33"));
    let model = |body| read(&ConfiguredModel::new(), body).map(|model| model.as_str().to_owned());
    assert_eq!(model(r#"{"command":{},"model":"scripted/m1"}"#).as_deref(), Some("scripted/m1"));
    assert_eq!(
        [model("{}"), model(r#"{"model":null}"#), model(r#"{"model":""}"#)],
        [None, None, None]
    );
}

#[test]
fn things_to_do() {
    let body = r#"[{"content":"x","status":"in-progress","priority":"high"}]"#;
    let [todo] = &read(&SessionTodos::new("ses_1"), body)[..] else { panic!("not one") };
    assert_eq!((&todo.content[..], &*todo.status, &*todo.priority), ("x", "in_progress", "high"));
}

#[test]
fn bytes_that_are_no_text_lose_nothing_else() {
    let body = Bytes::from_static(b"{\"id\":\"ses_1\",\"title\":\"a\xff\"}");
    let response = Response::builder().status(200).body(body).unwrap();
    let session = ReadSession::new("ses_1").decode(response).unwrap();
    assert_eq!(session.title, "a\u{fffd}");
}

#[test]
fn a_status_says_enough_where_nothing_else_is_asked() {
    let abort = AbortSession::new("ses_1");
    for (status, body) in [(200, "true"), (204, ""), (200, "<not looked at")] {
        abort.decode(reply(status, "application/json", body)).unwrap();
    }
}

#[test]
fn agents_with_their_rules_and_where_a_server_looks() {
    let body = r#"[{"name":"build","mode":"primary","native":true,"options":{},"permission":[
        {"permission":"*","pattern":"*","action":"allow"},
        {"permission":"read","pattern":"*.env","action":"ask"}]}]"#;
    let agents = read(&ListAgents::new(), body);
    let rules = [("*", "*", PermissionAction::Allow), ("read", "*.env", PermissionAction::Ask)];
    let rules = rules.map(|(permission, pattern, action)| ServerRule {
        permission: permission.to_owned(),
        pattern: pattern.to_owned(),
        action,
    });
    assert_eq!((&*agents[0].name, &agents[0].permission[..]), ("build", &rules[..]));
    // Without their rules, nobody knows what they may do.
    assert!(unreadable(&ListAgents::new(), r#"[{"name":"build"}]"#).contains("permission"));

    let session =
        r#"{"id":"ses_1","permission":[{"permission":"*","pattern":"*","action":"allow"}]}"#;
    let session = read(&ReadSession::new("ses_1"), session);
    assert_eq!(ServerRule::of_session(&session), Some(rules[..1].to_vec()));
    let plain = read(&ReadSession::new("ses_1"), r#"{"id":"ses_1"}"#);
    assert_eq!(ServerRule::of_session(&plain), Some(Vec::new()));
    let odd = read(&ReadSession::new("ses_1"), r#"{"id":"ses_1","permission":1}"#);
    assert_eq!(ServerRule::of_session(&odd), None);

    assert_eq!(read(&ListToolIds::new(), r#"["bash","greet"]"#), ["bash", "greet"]);
    let paths = r#"{"home":"/home/x","state":"/s","config":"/c","worktree":"/","directory":"/w"}"#;
    let paths = read(&ReadPaths::new(), paths);
    assert_eq!((&*paths.directory, &*paths.worktree), ("/w", "/"));
    assert_eq!(paths.home.as_deref(), Some("/home/x"));
}
