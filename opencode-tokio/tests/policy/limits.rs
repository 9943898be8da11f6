//! Call limits, confirmation, and remembered grants.

use std::future::ready;
use std::sync::{Arc, Mutex};

use opencode_tokio::config::ToolSwitch;
use opencode_tokio::policy::PolicyReason;
use opencode_tokio::turn::{Pending, PermissionRequest, ToolSwitchError, TurnEnd};
use opencode_tokio::{PermissionReply, Policy, Prompt};
use serde_json::{Value, json};
use testkit::model::{Reply, Script};
use tokio::sync::Semaphore;

use crate::world::{PolicyWorld, Verdicts, prompt, tools};

fn bash(command: &str) -> (&'static str, Value) {
    ("bash", json!({ "command": command, "description": "a command" }))
}

/// Patterns that a confirm function received.
#[derive(Clone, Default)]
struct ConfirmLog(Arc<Mutex<Vec<String>>>);

impl ConfirmLog {
    fn confirm(&self, policy: Policy, reply: PermissionReply) -> Policy {
        let asked = self.clone();
        policy.with_confirm(move |ask: Pending<PermissionRequest>| {
            asked.0.lock().unwrap().extend(ask.request.patterns);
            ready(reply.clone())
        })
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn every_tool_call_of_the_tree_counts_once() {
    let world = PolicyWorld::new("counted").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().allow("*").with_tool_calls_max(3);
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();
    let child = Script::new()
        .then(Reply::new().tool("todowrite", json!({ "todos": [] })))
        .then(Reply::new().tool("todowrite", json!({ "todos": [] })))
        .then(Reply::new().text("I tried."));
    world.model().script("counted-child", child);
    let task = json!({ "description": "a task", "prompt": "Go [[counted-child]]",
        "subagent_type": "general" });

    // Needs two permissions: for the directory, and for the file.
    let read = ("read", json!({ "filePath": world.outside("deep/other.txt") }));
    let outcome = world.play(&session, "counted", [read, ("task", task), bash("echo x")]).await;

    assert_eq!(outcome.text(), "Done.");
    let reasons: Vec<_> = verdicts
        .all()
        .into_iter()
        .map(|verdict| {
            (verdict.request.permission, verdict.reason == PolicyReason::ToolCalls { max: 3 })
        })
        .collect();
    let counted = [
        ("external_directory", false),
        ("read", false),
        ("task", false),
        ("todowrite", false),
        ("todowrite", true),
        ("bash", true),
    ];
    assert_eq!(reasons, counted.map(|(permission, over)| (permission.to_owned(), over)));
    let result = &world.model_requests("counted")[3].tool_results()[2].text;
    assert!(result.ends_with("no more than 3 tool calls are allowed."), "{result}");
}

#[tokio::test]
async fn always_grants_one_session() {
    let world = PolicyWorld::new("always").await;
    let asked = ConfirmLog::default();
    let policy = asked.confirm(Policy::new(), PermissionReply::Always);
    let session = world.session().await.with_policy(policy.clone()).await.unwrap();
    let other = world.session().await.with_policy(policy).await.unwrap();
    let calls = || [bash("echo one"), bash("echo two"), bash("echo three > three.txt")];

    let outcome = world.play(&session, "always", calls()).await;
    let lines = ["echo one", "echo three > three.txt"];
    assert_eq!(asked.all(), lines, "a remembered grant covered a redirection");
    let all = |status: &str| vec![("bash".to_owned(), status.to_owned()); 3];
    assert_eq!(tools(&outcome), all("completed"));

    let outcome = world.play(&session.clone(), "always", calls()).await;
    assert_eq!(asked.all()[2..], ["echo three > three.txt"], "a later turn has no grant");
    assert_eq!(tools(&outcome), all("completed"));

    world.play(&other, "always", calls()).await;
    assert_eq!(asked.all()[3..], lines, "a grant covered another session of the directory");
}

#[tokio::test]
async fn handlers_of_a_turn_do_not_overrule_a_policy() {
    let world = PolicyWorld::new("handlers").await;
    let session = world.session().await.with_policy(Policy::new()).await.unwrap();
    let session = session.on_permission(|_| ready(PermissionReply::Always));
    let script = Script::new()
        .then(Reply::new().tool("bash", bash("touch ../outside/new.txt").1))
        .then(Reply::new().text("Done."));
    world.model().script("handlers", script);
    for request in [
        prompt("Go [[handlers]]").on_permission(|_| ready(PermissionReply::Once)),
        prompt("Go [[handlers]]").with_asks_in_stream(),
    ] {
        let outcome = session.send(request).outcome().await.unwrap();
        assert_eq!(tools(&outcome), [("bash".to_owned(), "error".to_owned())]);
    }
    let switched = Prompt::from("Go [[handlers]]").with_tool("bash", ToolSwitch::Enabled);
    let error = session.send(prompt(switched)).outcome().await.unwrap_err();
    let end = error.end().unwrap();
    assert!(matches!(end, TurnEnd::ToolSwitches(ToolSwitchError::OwnRules)), "{end}");
    world.assert_outside_is_untouched();
}

#[tokio::test]
async fn a_panicking_confirm_function_rejects() {
    let world = PolicyWorld::new("panics").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().with_confirm(|_| -> std::future::Ready<PermissionReply> {
        panic!("the confirm function panics on purpose")
    });
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();

    let outcome = world.play(&session, "panics", [bash("echo x > new.txt")]).await;

    assert_eq!(tools(&outcome), [("bash".to_owned(), "error".to_owned())]);
    assert!(!world.project().join("new.txt").exists());
}

/// OpenCode rejects all pending permissions of a session when one of them is rejected.
#[tokio::test]
async fn parallel_calls_get_separate_verdicts() {
    let world = PolicyWorld::new("at-once").await;
    let thinking = Arc::new(Semaphore::new(0));
    let thought = Arc::clone(&thinking);
    let policy = Policy::new().deny("webfetch").with_confirm(move |_| {
        let thought = Arc::clone(&thought);
        async move {
            thought.acquire().await.unwrap().forget();
            PermissionReply::Once
        }
    });
    let verdicts = Verdicts::default();
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();
    let at_once = Reply::new()
        .tool("webfetch", json!({ "url": "http://127.0.0.1:1/", "format": "text" }))
        .tool("bash", bash("echo one").1)
        .tool("webfetch", json!({ "url": "http://127.0.0.1:1/x", "format": "text" }))
        .tool("bash", bash("echo two").1);
    world.model().script("at-once", Script::new().then(at_once).then(Reply::new().text("Done.")));

    let mut turn = session.send(prompt("Go [[at-once]]"));
    let mut asks = 0;
    while let Some(event) = turn.next_event().await {
        if matches!(event.kind, opencode_tokio::TurnEventKind::PermissionAsked(_)) {
            asks += 1;
        }
        if asks == 4 {
            asks = 0;
            thinking.add_permits(2);
        }
    }
    let outcome = turn.outcome().await.unwrap();

    assert_eq!(outcome.text(), "Done.");
    let mut called = tools(&outcome);
    called.sort();
    let expected = [
        ("bash", "completed"),
        ("bash", "completed"),
        ("webfetch", "error"),
        ("webfetch", "error"),
    ];
    assert_eq!(called, expected.map(|(tool, status)| (tool.to_owned(), status.to_owned())));
}

#[tokio::test]
async fn repeated_calls_are_decided_one_by_one() {
    let world = PolicyWorld::new("doom").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().allow("todowrite");
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();
    let call = |reply: Reply| reply.tool("todowrite", json!({ "todos": [] }));
    let script =
        Script::new().then(call(call(call(Reply::new())))).then(Reply::new().text("Done."));
    world.model().script("doom", script);

    let outcome = session.send(prompt("Go [[doom]]")).outcome().await.unwrap();

    assert_eq!(outcome.text(), "Done.");
    let once = "todowrite once: decided by a rule";
    let repeated = "doom_loop once: each of the repeated calls is decided by itself";
    assert_eq!(verdicts.texts(), [once, once, once, repeated]);
}
