//! A run and a session of the real program.

use std::time::Duration;

use opencode_tokio::config::{Credentials, ServeFlags};
use opencode_tokio::turn::{BackgroundWork, FollowRequest, NothingToFollow, TurnSettings};
use opencode_tokio::{
    AttachRequest, CreateSession, PermissionReply, Permissions, Prompt, ServeRequest, TurnEnd,
    TurnEventKind, TurnRequest, blocking,
};
use testkit::conformance::real::background::{BACKGROUND_SUBAGENTS, asker, script_subagent};
use testkit::conformance::real::runs::{RunWorld, bash, object, types};
use testkit::model::{Gate, Reply, Script};

use crate::on;

#[test]
fn a_run_answers_and_leaves_nothing() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Hello from far away."));
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();

    let mut run = opencode.stream(world.request("Hello?"));
    let events: Vec<_> = run.by_ref().collect();
    let report = run.outcome().unwrap();

    assert_eq!(types(&events), ["step_start", "text", "step_finish"]);
    assert_eq!(report.text(), "Hello from far away.");
    drop(opencode);
    world.assert_nothing_left();
}

#[test]
fn a_refused_call_takes_no_granted_call_with_it() {
    let world = RunWorld::new(&on());
    for (script, commands) in [
        ("refused-first", ["touch refused-1", "touch granted-1"]),
        ("granted-first", ["touch granted-2", "touch refused-2"]),
    ] {
        let [one, other] = commands.map(bash);
        world.model.script(script, Reply::new().tool("bash", one).tool("bash", other));
    }
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();
    let request = ServeRequest::new().with_directory(world.project()).with_config(world.config());
    let server = opencode.serve(request).unwrap();
    let permission = Permissions::new().ask("bash");
    let create = CreateSession::new().with_title("a test").with_permission(permission);
    let session = server.create_session(create).unwrap().on_permission(|ask| {
        match ask.request.patterns.iter().any(|pattern| pattern.contains("refused")) {
            true => PermissionReply::reject(),
            false => PermissionReply::Once,
        }
    });
    for prompt in ["Go [[refused-first]]", "Go [[granted-first]]"] {
        let error = session.send(prompt).outcome().unwrap_err();
        assert_eq!(error.end().unwrap().name(), "rejected");
    }
    let there = |name| world.project().join(name).exists();
    let files = ["granted-1", "granted-2", "refused-1", "refused-2"];
    assert_eq!(files.map(there), [true, true, false, false]);
    drop((session, server, opencode));
    world.assert_nothing_left();
}

/// Reads the text of a turn as a page would show it. The attempt breaks off after the first text.
fn text_of(turn: &mut blocking::TurnStream, gate: &Gate) -> (String, usize) {
    let (mut text, mut abandoned) = (String::new(), 0);
    for event in turn.by_ref() {
        text.extend(event.text());
        if !text.is_empty() {
            gate.open();
        }
        if let TurnEventKind::AttemptAbandoned(_) = event.kind {
            text.clear();
            abandoned += 1;
        }
    }
    (text, abandoned)
}

#[test]
fn an_abandoned_attempt_is_void() {
    let world = RunWorld::new(&on());
    let gate = Gate::new();
    let half = Reply::new().text("Half").pause_until(&gate).hang_up();
    world.model.default_script(Script::new().then([half, Reply::new().text("Whole.")]));
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();
    let request = ServeRequest::new().with_directory(world.project()).with_config(world.config());
    let server = opencode.serve(request).unwrap();
    let session = server.create_session(CreateSession::new().with_title("a test")).unwrap();

    let mut turn = session.send("Go.");
    assert_eq!(text_of(&mut turn, &gate), ("Whole.".to_owned(), 1));
    let outcome = turn.outcome().unwrap();
    assert_eq!((&*outcome.text(), &*outcome.full_text()), ("Whole.", "Whole."));
    assert_eq!(session.ask("Again.").unwrap(), "Whole.");
    assert_eq!(opencode.run(world.request("Go.")).unwrap().text(), "Whole.");
    drop((session, server, opencode));
    world.assert_nothing_left();
}

#[test]
fn work_that_a_turn_left_is_waited_for() {
    let world = RunWorld::new(&on());
    let gate = Gate::new();
    world.model.default_script(Reply::new().text("Thanks."));
    script_subagent(&world.model, "parent", "child", &gate, "touch asked");
    let mut overrides = world.model.config();
    overrides["agent"]["asker"] = asker();
    let (variable, value) = BACKGROUND_SUBAGENTS;
    let config = world.config().with_overrides(object(&overrides)).with_env(variable, value);
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();
    let request = ServeRequest::new().with_directory(world.project()).with_config(config);
    let server = opencode.serve(request).unwrap();
    let session = server.create_session(CreateSession::new().with_title("a test")).unwrap();
    let session = session.on_permission(|_| PermissionReply::Once);
    let settings = TurnSettings::default().with_background(BackgroundWork::Leave);
    let request = TurnRequest::from(Prompt::from("Go [[parent]]")).with_settings(settings);
    let outcome = session.send(request).outcome().unwrap();
    assert_eq!((&*outcome.text(), outcome.still_running.len()), ("It has begun.", 1));

    let mut waiting = session.until_quiet(Duration::from_secs(1));
    waiting.find(|event| matches!(event.kind, TurnEventKind::Posted(_))).unwrap();
    gate.open();
    let outcome = waiting.outcome().unwrap();
    assert_eq!((&*outcome.text(), &*outcome.children[0].text()), ("Thanks.", "Found."));
    assert!(outcome.still_running.is_empty() && world.project().join("asked").exists());
    drop((session, server, opencode));
    world.assert_nothing_left();
}

#[test]
fn a_posted_prompt_is_followed_by_another_client() {
    let world = RunWorld::new(&on());
    world.model.default_script(
        Script::new()
            .then(Reply::new().tool("bash", bash("touch asked")))
            .then(Reply::new().text("Done.")),
    );
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();
    let credentials = || Credentials::new("the password of this test");
    let request = ServeRequest::new()
        .with_directory(world.project())
        .with_config(world.config())
        .with_flags(ServeFlags::new().with_credentials(credentials()));
    let server = opencode.serve(request).unwrap();
    let attach = || {
        AttachRequest::new(server.url())
            .with_credentials(credentials())
            .with_directory(world.project().to_str().unwrap())
    };
    let create =
        CreateSession::new().with_title("a test").with_permission(Permissions::new().ask("bash"));
    let posting = opencode.attach(attach()).unwrap();
    let posted = posting.create_session(create).unwrap().post("Go.").unwrap();
    drop(posting);

    let following = opencode.attach(attach()).unwrap();
    let session = following.session(posted.session.clone()).unwrap();
    let session = session.on_permission(|_| PermissionReply::Once);
    let outcome = session.follow(posted).outcome().unwrap();
    assert_eq!(outcome.text(), "Done.");
    assert!(world.project().join("asked").exists());
    let error = session.follow(FollowRequest::new()).outcome().unwrap_err();
    let end = error.end().unwrap();
    assert!(matches!(end, TurnEnd::NothingToFollow(NothingToFollow::Idle)), "{end:?}");
    drop((session, following, server, opencode));
    world.assert_nothing_left();
}
