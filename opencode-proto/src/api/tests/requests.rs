//! What each operation sends, to the byte.

use opencode_config::PermissionAction::Ask;
use opencode_config::Permissions;

use super::*;
use crate::json::RawJson;

/// `METHOD target body`.
fn sent(operation: &impl Operation) -> String {
    let request = operation.request();
    let body = str::from_utf8(request.body()).unwrap();
    let content_type = request.headers().get("content-type").map(|value| value.to_str().unwrap());
    assert_eq!(content_type, (!body.is_empty()).then_some("application/json"));
    assert_eq!(request.headers().len(), usize::from(!body.is_empty()));
    format!("{} {} {body}", request.method(), request.uri()).trim_end().to_owned()
}

/// Whether it may be sent twice, and how long a reply may take.
fn manner(operation: &impl Operation) -> (Repeat, Pace) {
    (operation.repeat(), operation.pace())
}

const SAFE: (Repeat, Pace) = (Repeat::Safe, Pace::Quick);
const BOOT: (Repeat, Pace) = (Repeat::Safe, Pace::Boot);
const ONCE: (Repeat, Pace) = (Repeat::Never, Pace::Quick);
const TURN: (Repeat, Pace) = (Repeat::Never, Pace::Turn);

macro_rules! sends {
    ($($operation:expr => $manner:expr, $sent:expr;)*) => {$(
        let operation = $operation;
        assert_eq!(sent(&operation), $sent);
        assert_eq!(manner(&operation), $manner, "{operation:?}");
    )*};
}

fn model(text: &str) -> opencode_config::ModelRef {
    text.parse().unwrap()
}

#[test]
fn of_the_server() {
    sends! {
        Health::new() => SAFE, "GET /global/health";
        NextVersion::new() => SAFE, "GET /api/info";
        NextVersion::early() => SAFE, "GET /api/health";
        ConfiguredModel::new() => BOOT, "GET /config";
        ListAgents::new() => BOOT, "GET /agent";
        ListToolIds::new() => BOOT, "GET /experimental/tool/ids";
        ReadPaths::new() => BOOT, "GET /path";
        CheckDirectory::new() => (Repeat::Never, Pace::Boot), "GET /file?path=.";
    }
}

#[test]
fn of_sessions() {
    let session = || "ses_1";
    let created = CreateSession::new()
        .with_title("T")
        .with_parent("ses_0")
        .with_agent("plan")
        .with_model(model("openrouter/meta/llama"))
        .with_variant("high")
        .with_permission(Permissions::new().deny("*").pattern("bash", "git *", Ask))
        .with_metadata(RawJson::parse(r#"{"a": 1}"#).unwrap());
    let listed = ListSessions::new()
        .with_directory("/a b/50%")
        .with_roots(SessionRoots::Only)
        .with_start_ms(1_700_000_000_000)
        .with_search("a&b=é")
        .with_limit(5);
    let updated = UpdateSession::new("ses_1")
        .with_title("T2")
        .with_permission(Permissions::new().allow("read"))
        .with_archived_ms(12);
    sends! {
        CreateSession::new() => (Repeat::Never, Pace::Boot), "POST /session {}";
        created => (Repeat::Never, Pace::Boot), concat!(
            r#"POST /session {"parentID":"ses_0","title":"T","agent":"plan","#,
            r#""model":{"id":"meta/llama","providerID":"openrouter","variant":"high"},"metadata":{"a": 1},"#,
            r#""permission":[{"permission":"*","pattern":"*","action":"deny"},"#,
            r#"{"permission":"bash","pattern":"git *","action":"ask"}]}"#,
        );
        ListSessions::new() => BOOT, "GET /session";
        listed => BOOT, "GET /session?directory=%2Fa%20b%2F50%2525&roots=true&start=1700000000000&search=a%26b%3D%C3%A9&limit=5";
        ReadSession::new(session()) => SAFE, "GET /session/ses_1";
        UpdateSession::new("ses_1") => ONCE, "PATCH /session/ses_1 {}";
        updated => ONCE, concat!(
            r#"PATCH /session/ses_1 {"title":"T2","#,
            r#""permission":[{"permission":"read","pattern":"*","action":"allow"}],"time":{"archived":12}}"#,
        );
        DeleteSession::new(session()) => ONCE, "DELETE /session/ses_1";
        ListChildren::new(session()) => SAFE, "GET /session/ses_1/children";
        AbortSession::new(session()) => SAFE, "POST /session/ses_1/abort";
        SessionStatuses::new() => SAFE, "GET /session/status";
        SessionTodos::new(session()) => SAFE, "GET /session/ses_1/todo";
        SessionDiff::new(session()) => SAFE, "GET /session/ses_1/diff";
        SessionDiff::new(session()).with_message("msg_1") => SAFE, "GET /session/ses_1/diff?messageID=msg_1";
        ForkSession::new(session()) => ONCE, "POST /session/ses_1/fork {}";
        ForkSession::new(session()).with_before("msg_1") => ONCE,
            r#"POST /session/ses_1/fork {"messageID":"msg_1"}"#;
        RevertSession::new(session(), "msg_1") => ONCE,
            r#"POST /session/ses_1/revert {"messageID":"msg_1"}"#;
        RevertSession::new(session(), "msg_1").with_part("prt_1") => ONCE,
            r#"POST /session/ses_1/revert {"messageID":"msg_1","partID":"prt_1"}"#;
        UnrevertSession::new(session()) => ONCE, "POST /session/ses_1/unrevert";
        ShareSession::new(session()) => ONCE, "POST /session/ses_1/share";
        UnshareSession::new(session()) => ONCE, "DELETE /session/ses_1/share";
    }
}

#[test]
fn of_messages() {
    let session = || "ses_1";
    let page = ListMessages::new("ses_1").with_limit(10).with_before("eyJ=".into());
    sends! {
        ListMessages::new("ses_1") => SAFE, "GET /session/ses_1/message";
        page => SAFE, "GET /session/ses_1/message?limit=10&before=eyJ%3D";
        ReadMessage::new(session(), "msg_1") => SAFE, "GET /session/ses_1/message/msg_1";
        DeleteMessage::new(session(), "msg_1") => SAFE, "DELETE /session/ses_1/message/msg_1";
        DeletePart::new(session(), "msg_1", "prt_1") => SAFE,
            "DELETE /session/ses_1/message/msg_1/part/prt_1";
    }
}

#[test]
fn of_what_a_turn_waits_for() {
    let permission = |reply| ReplyPermission::new("per_1", reply);
    let old = |reply| RespondPermission::new("ses_1", "per_1", reply);
    let several = ["A", "B"].into_iter().collect();
    let answers = vec!["Yes".into(), several, QuestionAnswer::default()];
    sends! {
        ListPermissions::new() => SAFE, "GET /permission";
        ListQuestions::new() => SAFE, "GET /question";
        permission(PermissionReply::Once) => ONCE, r#"POST /permission/per_1/reply {"reply":"once"}"#;
        permission(PermissionReply::Always) => ONCE, r#"POST /permission/per_1/reply {"reply":"always"}"#;
        permission(PermissionReply::reject()) => ONCE, r#"POST /permission/per_1/reply {"reply":"reject"}"#;
        permission(PermissionReply::reject_with("use \"ls\"")) => ONCE,
            r#"POST /permission/per_1/reply {"reply":"reject","message":"use \"ls\""}"#;
        old(PermissionReply::Always) => ONCE, r#"POST /session/ses_1/permissions/per_1 {"response":"always"}"#;
        old(PermissionReply::reject_with("lost")) => ONCE, r#"POST /session/ses_1/permissions/per_1 {"response":"reject"}"#;
        ReplyQuestion::new("que_1", answers) => ONCE,
            r#"POST /question/que_1/reply {"answers":[["Yes"],["A","B"],[]]}"#;
        RejectQuestion::new("que_1") => ONCE, "POST /question/que_1/reject";
    }
}

#[test]
fn of_turns() {
    let command = |request| Command::new("ses_1", "msg_1", request);
    let full = CommandRequest::new("review")
        .with_arguments("HEAD~1")
        .with_agent("plan")
        .with_model(model("p/m/n"))
        .with_variant("low")
        .with_file(PromptFile::path("/a"));
    let shell = || Shell::new("ses_1", "msg_1", ShellRequest::new("build", "ls -l"));
    sends! {
        PromptAsync::new("ses_1", "msg_1", "Hi") => ONCE,
            r#"POST /session/ses_1/prompt_async {"messageID":"msg_1","parts":[{"type":"text","text":"Hi"}]}"#;
        SendMessage::new("ses_1", "msg_1", "Hi") => TURN,
            r#"POST /session/ses_1/message {"messageID":"msg_1","parts":[{"type":"text","text":"Hi"}]}"#;
        command(CommandRequest::new("review")) => TURN, r#"POST /session/ses_1/command {"messageID":"msg_1","arguments":"","command":"review"}"#;
        command(full) => TURN, concat!(
            r#"POST /session/ses_1/command {"messageID":"msg_1","agent":"plan","model":"p/m/n","arguments":"HEAD~1","#,
            r#""command":"review","variant":"low","#,
            r#""parts":[{"type":"file","mime":"text/plain","filename":"a","url":"file:///a"}]}"#,
        );
        shell() => TURN, r#"POST /session/ses_1/shell {"messageID":"msg_1","agent":"build","command":"ls -l"}"#;
        shell().with_model(model("p/m")) => TURN, concat!(
            r#"POST /session/ses_1/shell {"messageID":"msg_1","agent":"build","#,
            r#""model":{"providerID":"p","modelID":"m"},"command":"ls -l"}"#,
        );
        Summarize::new("ses_1", model("p/m")) => TURN,
            r#"POST /session/ses_1/summarize {"providerID":"p","modelID":"m"}"#;
        Init::new("ses_1", "msg_1", InitRequest::new(model("p/m"))) => TURN,
            r#"POST /session/ses_1/init {"providerID":"p","modelID":"m","messageID":"msg_1"}"#;
    }
}

#[test]
fn what_people_write_is_not_shown() {
    let secret = "hunter2";
    for shown in [
        format!("{:?}", CommandRequest::new("x").with_arguments(secret)),
        format!("{:?}", ShellRequest::new("build", secret)),
        format!("{:?}", PromptAsync::new("ses_1", "msg_1", secret)),
    ] {
        assert!(!shown.contains(secret) && shown.contains("7 bytes"), "{shown}");
    }
}
