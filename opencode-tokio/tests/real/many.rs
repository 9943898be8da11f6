//! Parallel runs.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use testkit::conformance::real::runs::{RunWorld, alone, bash};
use testkit::model::{Reply, Script};

use crate::on;

const RUNS: usize = 8;

#[tokio::test]
async fn parallel_runs_are_independent() {
    let world = RunWorld::new(&on());
    for run in 0..RUNS {
        let tool = bash(&format!("echo tool {run}"));
        let script = Script::new()
            .then(Reply::new().tool("bash", tool))
            .then(Reply::new().text(format!("Answer {run}.")));
        world.model.script(&format!("run-{run}"), script);
    }
    let _permit = alone();

    let request = |run| world.opencode.run(world.request(format!("[[run-{run}]]")));
    let reports = join_all((0..RUNS).map(request)).await;

    let mut sessions = BTreeSet::new();
    for (run, report) in reports.into_iter().enumerate() {
        let report = report.unwrap();
        let answer = report.answer();
        assert_eq!(answer.full_text(), format!("Answer {run}."));
        let [tool] = answer.tools() else { panic!("{:?}", answer.tools()) };
        assert_eq!(*tool.state.output().unwrap(), *format!("tool {run}\n"));
        assert_eq!(report.attempts, 1);
        sessions.insert(answer.session().unwrap().clone());
    }
    assert_eq!(sessions.len(), RUNS);
    world.assert_nothing_left();
}
