//! Sessions, turns, asks, policies and batches, over a server.

use std::sync::{Arc, Mutex};

use opencode_tokio::api::ListSessions;
use opencode_tokio::config::{PermissionAction, RunConfigError};
use opencode_tokio::event::RawJson;
use opencode_tokio::process::Version;
use opencode_tokio::{
    AnswerSchema, BatchRequest, CreateSession, Job, PermissionReply, Policy, Prompt, QuestionReply,
    ServeError, ServeRequest, TurnEventKind,
};
use serde_json::{Value, json};
use testkit::conformance::real::runs::bash;
use testkit::model::{Reply, RequestKind, Script};

use crate::cell::{Cell, Limit};
use crate::world::{World, outcome, prompt, scenarios};

scenarios! {
    serve
    text
    title
    parallel
    messages
    permission_once
    permission_reject
    permission_reason
    question
    abort
    credentials
    model
    agent
    retry
    structured
    subagent
    policy
    batch
}

/// Plays one command, and then `Done.`
fn command(world: &World, name: &str, command: &str) {
    let script = Script::new()
        .then(Reply::new().tool("bash", bash(command)))
        .then(Reply::new().text("Done."));
    world.script(name, script);
}

async fn serve(world: &World) -> Cell {
    let server = world.server().await;
    assert_eq!(server.version(), Some(&world.version()));
    assert!(server.health().await.unwrap().healthy);
    Cell::Passed
}

async fn text(world: &World) -> Cell {
    world.script("text", Reply::new().deltas(["Hel", "lo ", "you."]));
    let session = world.session().await;
    let mut turn = session.send(prompt("Hello? [[text]]"));
    let (mut text, mut deltas) = (String::new(), 0);
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
        deltas += usize::from(matches!(event.kind, TurnEventKind::PartDelta { .. }));
    }
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((&*text, &*outcome.text()), ("Hello you.", "Hello you."));
    assert_eq!(outcome.version, Some(world.version()));
    assert!(deltas > 0 && outcome.tokens().total > 0, "{deltas} deltas");
    Cell::Passed
}

async fn title(world: &World) -> Cell {
    world.script("title", Reply::new().text("Hello."));
    let outcome = outcome(&world.session().await, "Hello? [[title]]").await;
    assert_eq!(outcome.text(), "Hello.");
    // An idle session has sent all requests.
    let requests = world.runs.model.requests();
    let titles = requests.iter().filter(|request| {
        request.kind() == RequestKind::Title && request.body().to_string().contains("[[title]]")
    });
    match titles.count() {
        0 => Cell::Passed,
        _ if world.version() < Version::new(1, 2, 11) => Cell::Limited(Limit::TitleAnyway),
        count => panic!("{count} requests for a title"),
    }
}

async fn parallel(world: &World) -> Cell {
    let (one, other) = (world.session().await, world.session().await);
    world.script("one", Reply::new().text("One."));
    world.script("other", Reply::new().text("Other."));
    let turns = tokio::join!(outcome(&one, "Hello? [[one]]"), outcome(&other, "Hello? [[other]]"));
    assert_eq!((&*turns.0.text(), &*turns.1.text()), ("One.", "Other."));
    let sessions = world.server().await.call(&ListSessions::new()).await.unwrap();
    for session in [&one, &other] {
        assert!(sessions.iter().any(|info| info.id == *session.id()), "{sessions:?}");
    }
    Cell::Passed
}

async fn messages(world: &World) -> Cell {
    let session = world.session().await;
    let first = outcome(&session, "Hello?").await;
    let again = outcome(&session, "Again?").await;
    assert_eq!(first.text(), again.text());
    assert_eq!(session.messages().await.unwrap().len(), 4);
    Cell::Passed
}

async fn permission_once(world: &World) -> Cell {
    command(world, "once", "echo one");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let session = world.asking().await.on_permission(move |ask| {
        log.lock().unwrap().extend(ask.request.patterns);
        std::future::ready(PermissionReply::Once)
    });
    let outcome = outcome(&session, "Go [[once]]").await;
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "Done."));
    let tool = outcome.tools().next().unwrap();
    assert_eq!(tool.state.output().unwrap().to_str(), "one\n");
    assert_eq!(*asked.lock().unwrap(), ["echo one"]);
    Cell::Passed
}

async fn permission_reject(world: &World) -> Cell {
    command(world, "reject", "touch rejected");
    let outcome = outcome(&world.asking().await, "Go [[reject]]").await;
    assert_eq!(outcome.end.name(), "rejected");
    assert_eq!(world.calls("reject").len(), 1);
    assert!(!world.runs.path("project/rejected").exists());
    Cell::Passed
}

async fn permission_reason(world: &World) -> Cell {
    command(world, "reason", "touch reasoned");
    let session = world.asking().await;
    let session = session.on_permission(|_| async { PermissionReply::reject_with("rather not") });
    let outcome = outcome(&session, "Go [[reason]]").await;
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "Done."));
    let results = world.calls("reason")[1].tool_results();
    assert!(results[0].text.contains("rather not"), "{results:?}");
    Cell::Passed
}

async fn question(world: &World) -> Cell {
    let question = json!({
        "question": "Which color?", "header": "Color",
        "options": [
            { "label": "Red", "description": "as blood" },
            { "label": "Blue", "description": "as the sky" },
        ],
    });
    let script = Script::new()
        .then(Reply::new().tool("question", json!({ "questions": [question] })))
        .then(Reply::new().text("Thanks."));
    world.script("question", script);
    let session =
        world.session().await.on_question(|_| async { QuestionReply::Answer(vec!["Blue".into()]) });
    let outcome = outcome(&session, "Ask [[question]]").await;
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "Thanks."));
    let results = world.calls("question")[1].tool_results();
    assert!(results[0].text.contains("Blue"), "{results:?}");
    Cell::Passed
}

async fn abort(world: &World) -> Cell {
    let started = world.runs.path("project/abort");
    let line = format!("touch {} && sleep 300", started.display());
    let reply = Reply::new().text("I wait.").tool("bash", bash(&line));
    world.script("abort", Script::new().then(reply));
    let session = world.session().await;
    let mut turn = session.send(prompt("Wait [[abort]]"));
    while !started.exists() {
        let wait = tokio::time::timeout(std::time::Duration::from_millis(50), turn.next_event());
        if let Ok(None) = wait.await {
            panic!("the turn has ended: {:?}", turn.outcome().await)
        }
    }
    turn.cancel();
    let error = turn.outcome().await.unwrap_err();
    let cancelled = error.outcome().unwrap();
    assert_eq!((cancelled.end.name(), &*cancelled.text()), ("cancelled", "I wait."));
    // The session goes on.
    assert_eq!(outcome(&session, "Hello?").await.end.name(), "completed");
    Cell::Passed
}

async fn credentials(world: &World) -> Cell {
    world.script("401", Script::new().then(Reply::error(401, "who are you")).repeat_last());
    let outcome = outcome(&world.session().await, "Hello? [[401]]").await;
    assert_eq!(outcome.end.name(), "agent_error");
    assert!(outcome.end.to_string().contains("who are you"), "{}", outcome.end);
    Cell::Passed
}

async fn model(world: &World) -> Cell {
    let prompt = Prompt::from("Hello?").with_model("scripted/unheard-of".parse().unwrap());
    let outcome = outcome(&world.session().await, prompt).await;
    assert!(outcome.end.to_string().contains("unheard-of"), "{}", outcome.end);
    Cell::Passed
}

async fn agent(world: &World) -> Cell {
    let request = prompt(Prompt::from("Hello?").with_agent("unheard-of"));
    let error = world.session().await.send(request).outcome().await.unwrap_err();
    assert!(error.to_string().contains("unheard-of"), "{error:?}");
    Cell::Passed
}

async fn retry(world: &World) -> Cell {
    let busy = Reply::error(429, "busy").header("retry-after-ms", 10);
    world.script("429", Script::new().then(vec![busy, Reply::new().text("At last.")]));
    let outcome = outcome(&world.session().await, "Hello? [[429]]").await;
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "At last."));
    Cell::Passed
}

async fn structured(world: &World) -> Cell {
    let answer = Reply::new().tool("StructuredOutput", json!({ "files": 3 }));
    world.script("structured", answer);
    let schema = json!({ "type": "object", "properties": { "files": { "type": "integer" } },
        "required": ["files"] });
    let schema = AnswerSchema::of::<Value>(RawJson::parse(schema.to_string()).unwrap());
    let session = world.session().await;
    let request = prompt("How many? [[structured]]");
    let outcome = session.send_structured(request, &schema).outcome().await.unwrap();
    assert_eq!(outcome.parse::<Value>().unwrap(), json!({ "files": 3 }));
    assert_eq!(world.calls("structured").len(), 1);
    Cell::Passed
}

async fn subagent(world: &World) -> Cell {
    let task = json!({ "description": "asks on", "prompt": "Work. [[subagent-child]]",
        "subagent_type": "general" });
    let script =
        Script::new().then(Reply::new().tool("task", task)).then(Reply::new().text("All done."));
    world.script("subagent", script);
    world.script("subagent-child", Reply::new().text("Worked."));
    let outcome = outcome(&world.session().await, "Go [[subagent]]").await;
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "All done."));
    assert_eq!(outcome.children.len(), 1);
    assert_eq!(outcome.children[0].text(), "Worked.");
    Cell::Passed
}

async fn policy(world: &World) -> Cell {
    let directory = world.runs.path("governed");
    std::fs::create_dir_all(directory.join("project")).unwrap();
    let policy =
        Policy::new().within(".").allow("edit").pattern("bash", "echo *", PermissionAction::Allow);
    let config = policy.server_config(world.runs.config());
    let request = ServeRequest::new().with_config(config).with_directory(directory.join("project"));
    let server = match world.runs.opencode.serve(request).await {
        Ok(server) => server,
        Err(ServeError::Config(RunConfigError::Unsupported(_))) => {
            return Cell::Limited(Limit::Refused);
        }
        Err(error) => panic!("{error:?}"),
    };
    let verdicts = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&verdicts);
    let policy = policy.on_verdict(move |verdict| log.lock().unwrap().push(format!("{verdict:?}")));
    let create = || CreateSession::new().with_title("a test");
    let session = server.create_session(create()).await.unwrap();
    let session = session.with_policy(policy.clone()).await.unwrap();
    command(world, "policy-echo", "echo one");
    let allowed = outcome(&session, "Go [[policy-echo]]").await;
    let shown = || format!("{:?}", verdicts.lock().unwrap());
    assert_eq!((allowed.end.name(), &*allowed.text()), ("completed", "Done."), "{}", shown());
    let output = allowed.tools().next().unwrap().state.output().unwrap().to_str().into_owned();
    assert_eq!(output, "one\n", "{}", shown());
    let inside = json!({ "filePath": directory.join("project/new.txt"), "content": "x" });
    let write =
        Script::new().then(Reply::new().tool("write", inside)).then(Reply::new().text("Written."));
    world.script("policy-write", write);
    let written = outcome(&session, "Go [[policy-write]]").await;
    assert_eq!(&*written.text(), "Written.", "{}", shown());
    assert!(directory.join("project/new.txt").exists(), "{}", shown());

    // OpenCode finds no command in this line, and asks for no permission.
    command(world, "policy-gate", "{touch,../outside.txt}");
    outcome(&session, "Go [[policy-gate]]").await;
    assert!(!directory.join("outside.txt").exists(), "the gate is open");
    command(world, "policy-touch", "touch ../outside.txt");
    let refused = outcome(&session, "Go [[policy-touch]]").await;
    assert!(!directory.join("outside.txt").exists(), "{refused:?}");
    let outside = json!({ "filePath": directory.join("outside.txt"), "content": "x" });
    let write =
        Script::new().then(Reply::new().tool("write", outside)).then(Reply::new().text("Tried."));
    world.script("policy-outside", write);
    outcome(&session, "Go [[policy-outside]]").await;
    assert!(!directory.join("outside.txt").exists(), "{}", shown());
    server.stop().await.unwrap();
    Cell::Passed
}

async fn batch(world: &World) -> Cell {
    command(world, "batch", "echo one");
    let job = |prompt: &str| {
        let config = world.runs.config();
        Job::new(prompt).with_directory(world.runs.project()).with_config(config)
    };
    let jobs = [job("Hello?"), job("Go [[batch]]")];
    let report = world.runs.opencode.batch(BatchRequest::new(jobs)).outcome().await.unwrap();
    let texts: Vec<_> = report.jobs.iter().map(|job| job.text().to_owned()).collect();
    assert_eq!(texts, ["Hello from the scripted model.", "Done."]);
    assert!(report.jobs.iter().all(|job| job.record.version == Some(world.version())));
    assert!(report.leftovers.is_empty());
    Cell::Passed
}
