//! The simulated server publishes the events of the real one.

use std::path::Path;
use std::time::Duration;

use opencode_client::api::AbortSession;
use opencode_client::event::ServerEvent;
use opencode_client::server::ServerNews;
use opencode_client::{
    AttachRequest, CreateSession, PermissionReply, QuestionReply, Session, TurnRequest,
};
use serde_json::Value;
use testkit::world::{AgentScript, AgentStep, AgentTool, AskKind, Weather, World};

/// Reduces events to the facts that the simulated server has to reproduce: kind, session, message
/// and state. Events whose time varies at the real server are left out: updates of sessions,
/// changed files, summaries of prompts, partial output of tools.
fn facts(events: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut number = |id: &Value| {
        let id = id.as_str().unwrap_or_default().to_owned();
        let place = names.iter().position(|name| *name == id);
        place.unwrap_or_else(|| {
            names.push(id);
            names.len() - 1
        })
    };
    let mut facts = Vec::new();
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
                // The real server publishes "running" once, or as often as a tool has output.
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
        facts.push(line);
    }
    // The number of deltas varies.
    facts.dedup_by(|one, other| one == other && one.starts_with("delta"));
    facts
}

fn recorded(name: &str) -> Vec<Value> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../opencode-proto/tests/corpus/1.18.33/server");
    let recording = std::fs::read_to_string(folder.join(format!("{name}.sse"))).unwrap();
    let events = recording.lines().filter_map(|line| line.strip_prefix("data: "));
    events.map(|event| serde_json::from_str(event).unwrap()).collect()
}

/// Reaction of the client to the turn of a script.
#[derive(Clone, Copy)]
enum TurnCourse {
    /// Aborts as soon as an event contains this text.
    AbortedAfter(&'static str),
    Granted,
    Refused,
}

fn modelled(script: AgentScript, course: TurnCourse) -> Vec<Value> {
    let world = World::new(1, Weather::CALM);
    world.server(4096, "/workspace").script("Go.", script);
    let (inhabitant, opencode) = (world.inhabitant(), world.opencode());
    let events = world.run(async move {
        let server = opencode.attach(AttachRequest::new("http://127.0.0.1:4096")).await.unwrap();
        let mut events = server.events();
        while !matches!(events.next_event().await, Some(ServerNews::Opened)) {}
        let session = server.create_session(CreateSession::new()).await.unwrap();
        let turn = inhabitant.spawn(turn(session.clone(), course));
        let mut facts: Vec<Value> = Vec::new();
        let mut is_aborted = false;
        loop {
            let next = inhabitant.within(Duration::from_secs(200), events.next_event()).await;
            let Some(Some(ServerNews::Event(event))) = next else { break };
            let event = json(&event);
            if let TurnCourse::AbortedAfter(text) = course
                && event.to_string().contains(text)
                && !is_aborted
            {
                is_aborted = true;
                server.call(&AbortSession::new(session.id().clone())).await.unwrap();
            }
            facts.push(event);
        }
        turn.await;
        facts
    });
    world.end();
    events
}

async fn turn(session: Session, course: TurnCourse) {
    let request = TurnRequest::new("Go.")
        .on_permission(move |_| async move {
            match course {
                TurnCourse::Granted => PermissionReply::Once,
                TurnCourse::AbortedAfter(_) => std::future::pending().await,
                TurnCourse::Refused => PermissionReply::reject(),
            }
        })
        .on_question(move |_| async move {
            match course {
                TurnCourse::Granted => QuestionReply::Answer(vec![vec!["A".to_owned()].into()]),
                TurnCourse::AbortedAfter(_) | TurnCourse::Refused => QuestionReply::Dismiss,
            }
        });
    let _ = session.send(request).outcome().await;
}

fn json(event: &ServerEvent) -> Value {
    serde_json::from_slice(&event.raw).unwrap()
}

#[track_caller]
fn check(name: &str, script: AgentScript, course: TurnCourse) {
    let (recorded, modelled) = (facts(&recorded(name)), facts(&modelled(script, course)));
    assert_eq!(modelled.join("\n"), recorded.join("\n"), "{name}");
}

fn ask(kind: AskKind) -> AgentScript {
    AgentScript::default()
        .then(AgentStep::default().tool(AgentTool::asking(kind)))
        .then(AgentStep::text(["after"]))
}

#[test]
fn text_and_tools() {
    let tool = AgentTool::default().with_output(["hi\n"]);
    let script = AgentScript::default()
        .then(AgentStep::text(["I run."]).tool(tool.clone()))
        .then(AgentStep::text(["Ran."]));
    check("srv_tool", script, TurnCourse::Granted);
    let mut step = AgentStep::text(["ans ", "ans "]);
    step.reasoning = vec!["think ".to_owned()];
    check("srv_reasoning", AgentScript::default().then(step), TurnCourse::Granted);
    let child = AgentScript::default()
        .then(AgentStep::default().tool(tool))
        .then(AgentStep::text(["sub result"]));
    let script = AgentScript::default()
        .then(AgentStep::default().tool(AgentTool::subagent(child)))
        .then(AgentStep::text(["parent done"]));
    check("srv_task", script, TurnCourse::Granted);
}

#[test]
fn errors() {
    let mut step = AgentStep { fails: Some("Invalid API key".to_owned()), ..AgentStep::default() };
    check("srv_err_401", AgentScript::default().then(step.clone()), TurnCourse::Granted);
    step = AgentStep::text(["ok now"]);
    step.retries = 2;
    check("srv_err_429_retry", AgentScript::default().then(step), TurnCourse::Granted);
}

#[test]
fn asks() {
    let twice = AgentScript::default()
        .then(AgentStep::default().tool(AgentTool::asking(AskKind::Permission)));
    let once = ask(AskKind::Permission).steps;
    let twice = once.into_iter().fold(twice, AgentScript::then);
    check("srv_perm_once_new", twice, TurnCourse::Granted);
    check("srv_perm_reject_new", ask(AskKind::Permission), TurnCourse::Refused);
    check("srv_question_v2reply", ask(AskKind::Question), TurnCourse::Granted);
    check("srv_question_reject", ask(AskKind::Question), TurnCourse::Refused);
}

#[test]
fn aborts() {
    let words = AgentStep { text: vec!["w ".to_owned(); 100], ..AgentStep::default() };
    check("srv_abort_text", AgentScript::default().then(words), TurnCourse::AbortedAfter("delta"));
    let mut tool = AgentTool::default().with_output([""]);
    tool.time = Duration::from_secs(40);
    let script = AgentScript::default().then(AgentStep::default().tool(tool));
    check("srv_abort_tool", script, TurnCourse::AbortedAfter("\"metadata\":{\"output\""));
    let asks = ask(AskKind::Permission);
    check("srv_abort_permission2", asks, TurnCourse::AbortedAfter("\"running\""));
    let retries = AgentStep { retries: 5, ..AgentStep::text(["never"]) };
    check(
        "srv_abort_during_retry",
        AgentScript::default().then(retries),
        TurnCourse::AbortedAfter("retry"),
    );
}
