//! The model of the server tells what the real one told.

use std::path::Path;
use std::time::Duration;

use opencode_client::api::AbortSession;
use opencode_client::{
    AttachRequest, CreateSession, PermissionReply, QuestionReply, ServerEvent, ServerNews, Session,
    TurnRequest,
};
use serde_json::Value;
use testkit::world::{AskKind, Script, Step, Tool, Weather, World};

/// What matters of an event: which kind, of which session and message, in which state. What the real server tells at some
/// time or other is left out: descriptions of sessions, changes of files, summaries of prompts, output of tools so far.
fn told(events: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut number = |id: &Value| {
        let id = id.as_str().unwrap_or_default().to_owned();
        let place = names.iter().position(|name| *name == id);
        place.unwrap_or_else(|| {
            names.push(id);
            names.len() - 1
        })
    };
    let mut told = Vec::new();
    let mut running = Vec::new();
    for event in events {
        let (kind, properties) = (event["type"].as_str().unwrap(), &event["properties"]);
        let line = match kind {
            "session.created" => format!("created {}", number(&properties["info"]["id"])),
            "session.status" => {
                let status = properties["status"]["type"].as_str().unwrap();
                format!("{status} {}", number(&properties["sessionID"]))
            }
            "session.idle" => format!("session.idle {}", number(&properties["sessionID"])),
            "session.error" => format!("error {}", properties["error"]["name"]),
            "message.updated" => {
                let info = &properties["info"];
                if !info["summary"].is_null() {
                    continue;
                }
                format!(
                    "{} {} to {} finish {} completed {} error {}",
                    info["role"],
                    number(&info["id"]),
                    number(&info["parentID"]),
                    info["finish"],
                    !info["time"]["completed"].is_null(),
                    info["error"]["name"],
                )
            }
            "message.part.updated" => {
                let part = &properties["part"];
                let status = part["state"]["status"].as_str().unwrap_or_default();
                // A tool tells that it works once, or as often as it has output.
                if status == "running" {
                    let id = part["id"].clone();
                    if running.contains(&id) {
                        continue;
                    }
                    running.push(id);
                }
                let ended = !part["time"]["end"].is_null();
                format!("{} of {} {status} {ended}", part["type"], number(&part["messageID"]))
            }
            "message.part.delta" => format!("delta {}", properties["field"]),
            "permission.asked" | "permission.replied" | "question.asked" | "question.replied"
            | "question.rejected" => kind.to_owned(),
            _ => continue,
        };
        told.push(line);
    }
    // Deltas come in any number.
    told.dedup_by(|one, other| one == other && one.starts_with("delta"));
    told
}

fn recorded(name: &str) -> Vec<Value> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../opencode-proto/tests/corpus/1.18.33/server");
    let recording = std::fs::read_to_string(folder.join(format!("{name}.sse"))).unwrap();
    let events = recording.lines().filter_map(|line| line.strip_prefix("data: "));
    events.map(|event| serde_json::from_str(event).unwrap()).collect()
}

/// How the turn goes in which the model plays a script.
#[derive(Clone, Copy)]
enum Course {
    /// It is aborted as soon as this was told.
    AbortedAfter(&'static str),
    Granted,
    Refused,
}

fn modelled(script: Script, course: Course) -> Vec<Value> {
    let world = World::new(1, Weather::CALM);
    world.server(4096, "/workspace").script("Go.", script);
    let (inhabitant, opencode) = (world.inhabitant(), world.opencode());
    let events = world.run(async move {
        let server = opencode.attach(AttachRequest::new("http://127.0.0.1:4096")).await.unwrap();
        let mut events = server.events();
        while !matches!(events.next().await, Some(ServerNews::Opened)) {}
        let session = server.create_session(CreateSession::new()).await.unwrap();
        let turn = inhabitant.spawn(turn(session.clone(), course));
        let mut told: Vec<Value> = Vec::new();
        let mut is_aborted = false;
        loop {
            let next = inhabitant.within(Duration::from_secs(200), events.next()).await;
            let Some(Some(ServerNews::Event(event))) = next else { break };
            let event = json(&event);
            if let Course::AbortedAfter(what) = course
                && event.to_string().contains(what)
                && !is_aborted
            {
                is_aborted = true;
                server.call(&AbortSession { session: session.id().clone() }).await.unwrap();
            }
            told.push(event);
        }
        turn.await;
        told
    });
    world.end();
    events
}

async fn turn(session: Session, course: Course) {
    let request = TurnRequest::new("Go.")
        .on_permission(move |_| async move {
            match course {
                Course::Granted => PermissionReply::Once,
                Course::AbortedAfter(_) => std::future::pending().await,
                Course::Refused => PermissionReply::reject(),
            }
        })
        .on_question(move |_| async move {
            match course {
                Course::Granted => QuestionReply::Answer(vec![vec!["A".to_owned()].into()]),
                Course::AbortedAfter(_) | Course::Refused => QuestionReply::Dismiss,
            }
        });
    let _ = session.send(request).outcome().await;
}

fn json(event: &ServerEvent) -> Value {
    serde_json::from_slice(&event.raw).unwrap()
}

#[track_caller]
fn check(name: &str, script: Script, course: Course) {
    let (recorded, modelled) = (told(&recorded(name)), told(&modelled(script, course)));
    assert_eq!(modelled.join("\n"), recorded.join("\n"), "{name}");
}

fn ask(kind: AskKind) -> Script {
    Script::default().then(Step::default().tool(Tool::that_asks(kind))).then(Step::text(["after"]))
}

#[test]
fn text_and_tools() {
    let tool = Tool::default().with_output(["hi\n"]);
    let script = Script::default()
        .then(Step::text(["I run."]).tool(tool.clone()))
        .then(Step::text(["Ran."]));
    check("srv_tool", script, Course::Granted);
    let mut step = Step::text(["ans ", "ans "]);
    step.reasoning = vec!["think ".to_owned()];
    check("srv_reasoning", Script::default().then(step), Course::Granted);
    let child = Script::default().then(Step::default().tool(tool)).then(Step::text(["sub result"]));
    let script = Script::default()
        .then(Step::default().tool(Tool::subagent(child)))
        .then(Step::text(["parent done"]));
    check("srv_task", script, Course::Granted);
}

#[test]
fn errors() {
    let mut step = Step { fails: Some("Invalid API key".to_owned()), ..Step::default() };
    check("srv_err_401", Script::default().then(step.clone()), Course::Granted);
    step = Step::text(["ok now"]);
    step.retries = 2;
    check("srv_err_429_retry", Script::default().then(step), Course::Granted);
}

#[test]
fn asks() {
    let twice = Script::default().then(Step::default().tool(Tool::that_asks(AskKind::Permission)));
    let once = ask(AskKind::Permission).steps;
    let twice = once.into_iter().fold(twice, Script::then);
    check("srv_perm_once_new", twice, Course::Granted);
    check("srv_perm_reject_new", ask(AskKind::Permission), Course::Refused);
    check("srv_question_v2reply", ask(AskKind::Question), Course::Granted);
    check("srv_question_reject", ask(AskKind::Question), Course::Refused);
}

#[test]
fn aborts() {
    let words = Step { text: vec!["w ".to_owned(); 100], ..Step::default() };
    check("srv_abort_text", Script::default().then(words), Course::AbortedAfter("delta"));
    let mut tool = Tool::default().with_output([""]);
    tool.time = Duration::from_secs(40);
    let script = Script::default().then(Step::default().tool(tool));
    check("srv_abort_tool", script, Course::AbortedAfter("\"metadata\":{\"output\""));
    let asks = ask(AskKind::Permission);
    check("srv_abort_permission2", asks, Course::AbortedAfter("\"running\""));
    let retries = Step { retries: 5, ..Step::text(["never"]) };
    check("srv_abort_during_retry", Script::default().then(retries), Course::AbortedAfter("retry"));
}
