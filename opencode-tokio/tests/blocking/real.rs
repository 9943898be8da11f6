//! A run and a session of the real program.

use opencode_tokio::{CreateSession, PermissionReply, Permissions, ServeRequest, blocking};
use testkit::conformance::real::runs::{RunWorld, bash, types};
use testkit::model::Reply;

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
