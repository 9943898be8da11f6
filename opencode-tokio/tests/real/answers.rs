//! Answers of runs.

use opencode_tokio::config::{Reasoning, RunFlags};
use testkit::conformance::real::runs::{RunWorld, types};
use testkit::model::{Reply, RequestKind};

use crate::on;

#[tokio::test]
async fn reasoning_is_shown_on_request() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().reasoning("Let me ").reasoning("see.").text("Seen."));
    // Without a title in the flags, OpenCode requests one.
    let config = world.config().with_flags(RunFlags::new().with_reasoning(Reasoning::Show));

    let mut run = world.start(world.request_with("Look.", config));
    let events = run.events().await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events), ["step_start", "reasoning", "text", "step_finish"]);
    assert_eq!(report.answer().reasoning(), "Let me see.");
    assert_eq!(report.text(), "Seen.");
    let title =
        world.model.requests().into_iter().find(|request| request.kind() == RequestKind::Title);
    assert_eq!(title.unwrap().model(), "small");
}
