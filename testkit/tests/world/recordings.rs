//! The simulated server publishes the events of the real one.

use std::path::Path;
use std::time::Duration;

use opencode_client::api::AbortSession;
use opencode_client::event::RawJson;
use opencode_client::event::ServerEvent;
use opencode_client::server::ServerNews;
use opencode_client::turn::{OutputFormat, ShellRequest, TurnPost};
use opencode_client::{
    AttachRequest, CreateSession, PermissionReply, Prompt, QuestionReply, Session, TurnRequest,
};
use serde_json::Value;
use testkit::world::{
    Activity, AgentAttempt, AgentScript, AgentStep, AgentTool, AskKind, OutputPlan, RivalAct,
    Weather, World,
};

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
    let mut summaries = Vec::new();
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
                if info["summary"].is_object() {
                    continue;
                }
                // The first event of a summary may describe the message as it will be.
                let id = info["id"].clone();
                if info["summary"] == true && !summaries.contains(&id) {
                    facts.push(format!("summary {}", number(&id)));
                    summaries.push(id);
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
            "session.compacted" | "permission.asked" | "permission.replied" | "question.asked"
            | "question.replied" | "question.rejected" => kind.to_owned(),
            _ => continue,
        };
        facts.push(line);
    }
    // The number of deltas varies.
    facts.dedup_by(|one, other| one == other && one.starts_with("delta"));
    facts
}

fn recorded(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../opencode-proto/tests/corpus/1.18.33/server", "tests/world/recorded"];
    let paths =
        folders.map(|name_of_folder| folder.join(name_of_folder).join(format!("{name}.sse")));
    let recording = paths.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap();
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
    /// Another client does this as soon as an event contains this text.
    RivalAfter(&'static str, Rival),
}

#[derive(Clone, Copy)]
enum Rival {
    Prompt,
    Summarize,
}

/// Events of turns, one after the other, all with one course.
fn modelled(
    posts: Vec<TurnPost>,
    scripts: &[(&str, AgentScript)],
    course: TurnCourse,
    activity: Activity,
) -> Vec<Value> {
    let world = World::new(1, Weather::CALM).with_activity(activity);
    let model = world.server(4096, "/workspace");
    for (prompt, script) in scripts {
        model.script(*prompt, script.clone());
    }
    let (inhabitant, opencode) = (world.inhabitant(), world.opencode());
    let events = world.run(async move {
        let server = opencode.attach(AttachRequest::new("http://127.0.0.1:4096")).await.unwrap();
        let mut events = server.events();
        while !matches!(events.next_event().await, Some(ServerNews::Opened)) {}
        let session = server.create_session(CreateSession::new()).await.unwrap();
        let id = session.id().clone();
        let turn = inhabitant.spawn(async move {
            for post in posts {
                turn(&session, post, course).await;
            }
        });
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
                server.call(&AbortSession::new(id.clone())).await.unwrap();
            }
            if let TurnCourse::RivalAfter(text, rival) = course
                && event.to_string().contains(text)
                && !is_aborted
            {
                is_aborted = true;
                let act = match rival {
                    Rival::Prompt => RivalAct::Prompt("Two.".to_owned()),
                    Rival::Summarize => RivalAct::Summarize,
                };
                model.rival(id.as_str(), &act);
            }
            facts.push(event);
        }
        turn.await;
        facts
    });
    world.end();
    events
}

async fn turn(session: &Session, post: TurnPost, course: TurnCourse) {
    let request = TurnRequest::new(post)
        .on_permission(move |_| async move {
            match course {
                TurnCourse::Granted | TurnCourse::RivalAfter(..) => PermissionReply::Once,
                TurnCourse::AbortedAfter(_) => std::future::pending().await,
                TurnCourse::Refused => PermissionReply::reject(),
            }
        })
        .on_question(move |_| async move {
            match course {
                TurnCourse::Granted | TurnCourse::RivalAfter(..) => {
                    QuestionReply::Answer(vec![vec!["A".to_owned()].into()])
                }
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
    let recorded = facts(&recorded(name));
    let scripts = [("Go.", script)];
    let modelled = facts(&modelled(vec!["Go.".into()], &scripts, course, Activity::NONE));
    assert_eq!(modelled.join("\n"), recorded.join("\n"), "{name}");
}

/// As [`check`], for recordings in which the first event with the reason of a step's end describes
/// the message as it will be: when it does, depends on the load of the server.
#[track_caller]
fn check_loosely(
    name: &str,
    posts: Vec<TurnPost>,
    scripts: &[(&str, AgentScript)],
    course: TurnCourse,
    activity: Activity,
) {
    let loosely = |facts: Vec<String>| {
        let ended = |fact: String| match fact.split_once(" completed ") {
            Some((message, _)) if !message.ends_with("finish null") => message.to_owned(),
            _ => fact,
        };
        // Another prompt may come between two deltas, or after the last one.
        let is_kept =
            |fact: &String| !(fact.starts_with("delta") && name.starts_with("srv_prompt"));
        let mut facts: Vec<String> = facts.into_iter().filter(is_kept).map(ended).collect();
        facts.dedup();
        facts.join("\n")
    };
    let recorded = loosely(facts(&recorded(name)));
    let modelled = loosely(facts(&modelled(posts, scripts, course, activity)));
    assert_eq!(modelled, recorded, "{name}");
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
    step.retries = vec![Duration::from_secs(2); 2];
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
    let retries = vec![Duration::from_secs(2); 5];
    let retries = AgentStep { retries, ..AgentStep::text(["never"]) };
    check(
        "srv_abort_during_retry",
        AgentScript::default().then(retries),
        TurnCourse::AbortedAfter("retry"),
    );
}

#[test]
fn attempts_that_are_broken_off() {
    let attempt = AgentAttempt {
        reasoning: vec!["Hm.".to_owned()],
        text: vec!["Half".to_owned()],
        ..AgentAttempt::default()
    };
    let step = AgentStep { broken_attempts: vec![attempt], ..AgentStep::text(["Whole."]) };
    let whole = AgentScript::default().then(step);
    let posts = || vec!["Go.".into()];
    let granted = TurnCourse::Granted;
    check_loosely("srv_break_off", posts(), &[("Go.", whole)], granted, Activity::NONE);

    let text = vec!["I look.".to_owned()];
    let attempt = AgentAttempt { text, has_tool: true, ..AgentAttempt::default() };
    let step = AgentStep { broken_attempts: vec![attempt], ..AgentStep::text(["I look again."]) };
    let fails = Some("no more".to_owned());
    let script = AgentScript::default()
        .then(step.tool(AgentTool::default().with_output(["a\n"])))
        .then(AgentStep { fails, ..AgentStep::default() });
    check_loosely("srv_break_off_tool", posts(), &[("Go.", script)], granted, Activity::NONE);
}

#[test]
fn compactions() {
    let check = |name: &str, prompts: &[&'static str], scripts: &[(&str, AgentScript)]| {
        let refused_summaries = if name.ends_with("refused") { 1_000 } else { 0 };
        let activity = Activity { refused_summaries, ..Activity::NONE };
        let posts = prompts.iter().map(|prompt| (*prompt).into()).collect();
        check_loosely(name, posts, scripts, TurnCourse::Granted, activity);
    };
    let overflows = AgentStep { overflows: true, ..AgentStep::text(["After."]) };
    let overflows = AgentScript::default().then(overflows);
    check("srv_compact_overflow", &["Go."], &[("Go.", overflows.clone())]);
    check("srv_compact_refused", &["Go."], &[("Go.", overflows.clone())]);
    let scripts = [("Go.", AgentScript::text(["First."])), ("Go on.", overflows)];
    check("srv_compact_overflow_again", &["Go.", "Go on."], &scripts);
    let full = AgentStep { fills_context: true, ..AgentStep::text(["The answer."]) };
    let after = AgentScript::default().then(full.clone());
    check("srv_compact_after_answer", &["Go."], &[("Go.", after)]);
    let between = AgentScript::default()
        .then(full.tool(AgentTool::default().with_output(["a\n"])))
        .then(AgentStep::text(["Done."]));
    check("srv_compact_between_steps", &["Go."], &[("Go.", between)]);
}

#[test]
fn structured_output() {
    let schema = RawJson::parse(r#"{"type":"object"}"#).unwrap();
    let prompt = Prompt::from("Go.").with_format(OutputFormat::json_schema(schema));
    let check = |name: &str, step: AgentStep| {
        let scripts = [("Go.", AgentScript::default().then(step))];
        let posts = vec![prompt.clone().into()];
        check_loosely(name, posts, &scripts, TurnCourse::Granted, Activity::NONE);
    };
    let structured = Some(OutputPlan::Number(5));
    check("srv_json_schema", AgentStep { structured, ..AgentStep::default() });
    let structured = Some(OutputPlan::Missing);
    check("srv_json_schema_missing", AgentStep { structured, ..AgentStep::text(["In words."]) });
}

#[test]
fn command_lines() {
    let post = || vec![ShellRequest::new("build", "Go.").into()];
    check_loosely("srv_shell", post(), &[], TurnCourse::Granted, Activity::NONE);
    let aborted = TurnCourse::AbortedAfter("line");
    check_loosely("srv_shell_abort", post(), &[], aborted, Activity::NONE);
}

#[test]
fn rivals() {
    let check = |name: &str, script: AgentScript, text: &'static str, rival: Rival| {
        let course = TurnCourse::RivalAfter(text, rival);
        check_loosely(name, vec!["Go.".into()], &[("Go.", script)], course, Activity::NONE);
    };
    // So many pieces that the other client acts between two of them.
    let words = || AgentStep { text: vec!["w ".to_owned(); 100], ..AgentStep::default() };
    let begun = || AgentScript::default().then(words());
    check("srv_summarize_busy", begun(), "delta", Rival::Summarize);
    check(
        "srv_summarize_idle",
        AgentScript::text(["The answer."]),
        "session.idle",
        Rival::Summarize,
    );
    check("srv_prompt_queued", begun(), "delta", Rival::Prompt);
    let looks = words().tool(AgentTool::default().with_output(["a\n"]));
    let joined = AgentScript::default().then(looks).then(AgentStep::text(["First answer."]));
    check("srv_prompt_joined", joined, "delta", Rival::Prompt);
    check("srv_plugin_prompt", AgentScript::text(["First."]), "session.idle", Rival::Prompt);
}
