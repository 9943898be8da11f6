//! A run of the real program.

use opencode_tokio::blocking;
use testkit::conformance::real::runs::{RunWorld, types};
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
