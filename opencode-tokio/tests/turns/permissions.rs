//! Who may grant what a turn asks for, and what becomes of it.

mod concurrent;
mod stream;
mod subagents;

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencode_tokio::{
    CreateSession, Deadline, Deadlines, HttpLimits, HubSettings, Pending, PermissionReply,
    PermissionRequest, Permissions, Session, ToolPart, TurnEnd, TurnEventKind, TurnOutcome,
    api::ListPermissions,
};
use serde_json::json;
use testkit::model::{Gate, Reply, Script};

use crate::world::{World, fail, play, prompt};

const REJECTED: &str = "The user rejected permission to use this specific tool call.";

/// What a handler was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Pending<PermissionRequest>>>>);

impl Asked {
    /// A handler that always replies this.
    fn reply(
        &self,
        reply: PermissionReply,
    ) -> impl Fn(Pending<PermissionRequest>) -> Ready<PermissionReply> + use<> {
        let asked = self.clone();
        move |ask| {
            asked.0.lock().unwrap().push(ask);
            ready(reply.clone())
        }
    }

    fn all(&self) -> Vec<Pending<PermissionRequest>> {
        self.0.lock().unwrap().clone()
    }

    fn patterns(&self) -> Vec<String> {
        self.all().into_iter().flat_map(|ask| ask.request.patterns).collect()
    }
}

#[tokio::test]
async fn what_nobody_decides_is_refused_and_the_turn_ends_there() {
    let world = World::new().await;
    world.model().script("permissions-nobody", commands(["echo one"]));
    let session = asking(&world).await;

    let mut turn = session.send(prompt("Go [[permissions-nobody]]"));
    let mut told = Vec::new();
    while let Some(event) = turn.next_event().await {
        match event.kind {
            TurnEventKind::PermissionAsked(request) => told.push(request.permission),
            TurnEventKind::PermissionReplied { reply, .. } => told.push(reply.into()),
            _ => {}
        }
    }
    let outcome = fail(turn).await;

    assert_eq!(told, ["bash", "reject"]);
    assert_eq!(refused(&outcome), "bash (echo one)");
    assert_eq!(tools(&outcome), [("error".to_owned(), REJECTED.to_owned())]);
    assert_eq!(world.asked("permissions-nobody").len(), 1, "the model is not told");
    assert_eq!(pending(&session, &world).await, 0);
    // The session goes on.
    let (_, outcome) = play(session.send(prompt("Hello"))).await;
    assert_eq!(outcome.text(), "Hello from the scripted model.");
}

#[tokio::test]
async fn once_is_for_one_call() {
    let world = World::new().await;
    world.model().script("permissions-once", commands(["echo one", "echo one"]));
    let asked = Asked::default();
    let session = asking(&world).await.on_permission(asked.reply(PermissionReply::Once));

    let (text, outcome) = play(session.send(prompt("Go [[permissions-once]]"))).await;

    assert_eq!(text, "Done.");
    assert_eq!(asked.patterns(), ["echo one", "echo one"]);
    let ask = &asked.all()[0];
    assert_eq!(ask.session, *session.id());
    assert_eq!((&*ask.request.permission, &*ask.request.always), ("bash", &["echo *".into()][..]));
    let call = outcome.tools().next().unwrap();
    let tool = ask.request.tool.as_ref().unwrap();
    assert_eq!((&tool.call, &tool.message), (&call.call, &call.key.message));
    assert_eq!(tools(&outcome), [completed("one\n"), completed("one\n")]);
    assert_eq!(world.asked("permissions-once")[2].tool_results()[1].text, "one\n");
}

#[tokio::test]
async fn always_is_for_all_sessions_of_the_directory() {
    let world = World::elsewhere("always").await;
    world.model().script("permissions-always", commands(["echo one", "echo two"]));
    let asked = Asked::default();
    let always = || asked.reply(PermissionReply::Always);

    let session = asking(&world).await.on_permission(always());
    play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one"]);

    let session = asking(&world).await.on_permission(always());
    let (_, outcome) = play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one"], "the next session is not asked either");
    assert_eq!(tools(&outcome), [completed("one\n"), completed("two\n")]);

    // Another directory is.
    let session = asking(&World::new().await).await;
    let session = session.on_permission(asked.reply(PermissionReply::Once));
    play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one", "echo one", "echo two"]);
}

#[tokio::test]
async fn a_handler_can_refuse() {
    let world = World::new().await;
    world.model().script("permissions-refuse", commands(["echo one", "echo two"]));
    let asked = Asked::default();
    let session = asking(&world).await.on_permission(asked.reply(PermissionReply::reject()));

    let outcome = fail(session.send(prompt("Go [[permissions-refuse]]"))).await;

    assert_eq!(asked.patterns(), ["echo one"]);
    assert_eq!(refused(&outcome), "bash (echo one)");
    assert_eq!(outcome.end.to_string(), "stopped where it was refused: bash (echo one)");
    assert_eq!(world.asked("permissions-refuse").len(), 1);
}

#[tokio::test]
async fn a_refusal_that_says_why_lets_the_turn_go_on() {
    let world = World::new().await;
    world.model().script("permissions-why", commands(["echo one"]));
    let reply = PermissionReply::reject_with("Not \"that\" one,\nbut echo two \u{1f980}.");
    let session = asking(&world).await.on_permission(Asked::default().reply(reply));

    let (_, outcome) = play(session.send(prompt("Go [[permissions-why]]"))).await;

    assert_eq!(outcome.text(), "Done.");
    let told = &world.asked("permissions-why")[1].tool_results()[0].text;
    let why = "The user rejected permission to use this specific tool call with the following \
               feedback: Not \"that\" one,\nbut echo two \u{1f980}.";
    assert_eq!(told, why);
    assert_eq!(tools(&outcome), [("error".to_owned(), why.to_owned())]);
}

#[tokio::test]
async fn the_handler_of_a_turn_comes_before_that_of_the_session() {
    let world = World::new().await;
    world.model().script("permissions-turn", commands(["echo one"]));
    let (of_session, of_turn) = (Asked::default(), Asked::default());
    let session = asking(&world).await.on_permission(of_session.reply(PermissionReply::reject()));

    let once = of_turn.reply(PermissionReply::Once);
    let turn = session.send(prompt("Go [[permissions-turn]]").on_permission(once));
    assert_eq!(play(turn).await.1.text(), "Done.");
    assert_eq!((of_session.all().len(), of_turn.all().len()), (0, 1));

    // The next turn has none of its own.
    let outcome = fail(session.send(prompt("Go [[permissions-turn]]"))).await;
    assert_eq!(outcome.end.name(), "rejected");
    assert_eq!((of_session.all().len(), of_turn.all().len()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_panics_refuses() {
    let world = World::new().await;
    world.model().script("permissions-panic", commands(["echo one"]));
    let session = asking(&world).await;

    let turn = prompt("Go [[permissions-panic]]")
        .on_permission(|_| async { panic!("a handler's mistake, on purpose") });
    assert_eq!(refused(&fail(session.send(turn)).await), "bash (echo one)");

    // Before it has a future, too.
    fn at_once(_: Pending<PermissionRequest>) -> Ready<PermissionReply> {
        panic!("a handler's mistake, on purpose")
    }
    let turn = prompt("Go [[permissions-panic]]").on_permission(at_once);
    assert_eq!(refused(&fail(session.send(turn)).await), "bash (echo one)");
}

/// Longer than this test may take, and shorter than the pause that it makes of it.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn no_deadline_counts_while_a_handler_thinks() {
    let world = World::attached("project", |request| {
        let day = Duration::from_secs(86_400);
        request
            .with_events(HubSettings::default().with_silence_limit(day).with_give_up(None))
            .with_limits(HttpLimits::default().with_reply(day).with_connect(day))
    })
    .await;
    world.model().script("permissions-slow", commands(["echo one", "echo two"]));
    let stalled = Gate::new();
    world.model().script("permissions-stalled", Reply::new().text("I").pause_until(&stalled));
    let session = asking(&world).await;
    let limited = |text: &str| {
        let deadlines =
            Deadlines::NONE.with_overall(LIMIT).with_idle(LIMIT).with_first_event(LIMIT);
        prompt(text).with_deadlines(deadlines)
    };

    let turn = limited("Go [[permissions-slow]]").on_permission(|_| async {
        let_pass(2 * LIMIT).await;
        PermissionReply::Once
    });
    let (_, outcome) = play(session.send(turn)).await;
    assert_eq!(tools(&outcome), [completed("one\n"), completed("two\n")]);
    assert!(outcome.elapsed > 4 * LIMIT, "the time has passed");

    // The same pause where nobody is asked.
    let mut turn = session.send(limited("Go [[permissions-stalled]]"));
    while let Some(event) = turn.next_event().await {
        if event.text().is_some_and(|text| text == "I") {
            let_pass(2 * LIMIT).await;
        }
    }
    let end = fail(turn).await.end;
    assert!(matches!(end, TurnEnd::TimedOut(Deadline::Idle | Deadline::Overall)), "{end:?}");
    stalled.open();
}

/// Moves the clock of the runtime.
async fn let_pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_directory_outside_of_the_project_is_asked_for() {
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    let directory = outside.path().canonicalize().unwrap();
    let file = directory.join("a secret.txt");
    std::fs::write(&file, "what it says\n").unwrap();
    let script = Script::new()
        .then(Reply::new().tool("read", json!({ "filePath": file.to_str().unwrap() })))
        .then(Reply::new().text("Read."));
    world.model().script("permissions-outside", script);
    let asked = Asked::default();
    let session = world.session().await;

    let turn =
        prompt("Go [[permissions-outside]]").on_permission(asked.reply(PermissionReply::Once));
    let (_, outcome) = play(session.send(turn)).await;

    let [ask] = &asked.all()[..] else { panic!("{:?}", asked.all()) };
    assert_eq!(ask.request.permission, "external_directory");
    assert_eq!(asked.patterns(), [format!("{}/*", directory.display())]);
    let (status, output) = tools(&outcome).remove(0);
    assert_eq!(status, "completed");
    assert!(output.contains("what it says"), "{output}");

    let outcome = fail(session.send(prompt("Go [[permissions-outside]]"))).await;
    assert_eq!(refused(&outcome), format!("external_directory ({}/*)", directory.display()));
}

/// Calls `bash` with one command after the other, and then says `Done.`
fn commands<const N: usize>(commands: [&str; N]) -> Script {
    let script = commands
        .into_iter()
        .fold(Script::new(), |script, command| script.then(command_of(Reply::new(), command)));
    script.then(Reply::new().text("Done."))
}

fn command_of(reply: Reply, command: &str) -> Reply {
    reply.tool("bash", json!({ "command": command, "description": "says it" }))
}

/// A session that has to ask before it runs a command.
async fn asking(world: &World) -> Session {
    let permission = Permissions::new().ask("bash");
    world.session_with(CreateSession::new().with_permission(permission)).await
}

fn refused(outcome: &TurnOutcome) -> &str {
    let TurnEnd::Rejected { refused, .. } = &outcome.end else { panic!("{:?}", outcome.end) };
    refused
}

/// Status and output of each tool call.
fn tools(outcome: &TurnOutcome) -> Vec<(String, String)> {
    let told = |tool: &ToolPart| {
        let output = tool.state.output().map(|output| output.to_str().into_owned());
        (tool.state.status().to_owned(), output.unwrap_or_default())
    };
    outcome.tools().map(told).collect()
}

fn completed(output: &str) -> (String, String) {
    ("completed".to_owned(), output.to_owned())
}

/// How many permissions the session waits for, as the server sees it.
async fn pending(session: &Session, world: &World) -> usize {
    let pending = world.server.call(&ListPermissions).await.unwrap();
    pending.iter().filter(|ask| ask.session == *session.id()).count()
}
