//! Conversations that exceed the context of the model.

use opencode_tokio::config::{DataHome, Isolation, Resume, RunFlags};
use opencode_tokio::event::ErrorName;
use opencode_tokio::run::{Exit, StepRole};
use opencode_tokio::{RunEnd, RunError};
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{Reply, RequestKind, Script};

use crate::on;

#[tokio::test]
async fn a_summary_is_not_the_answer() {
    let world = RunWorld::new(&on());
    world.model.answer_compactions(Reply::new().text("## Summary"));
    let kept = Isolation::new().with_data(DataHome::At(world.path("data")));
    let first = world.config().with_isolation(kept);
    // With an earlier prompt in the session, OpenCode repeats the last prompt instead of the usual
    // text.
    let second = first.clone().with_flags(RunFlags::new().with_resume(Resume::latest()));

    for (prompt, config) in [("First question.", first), ("Second question.", second)] {
        let text = format!("Answer to: {prompt}");
        let replies = [Reply::context_overflow(), Reply::new().text(&text)];
        world.model.default_script(Script::new().then(replies));

        let report = world.run(world.request_with(prompt, config)).await.unwrap();

        let answer = report.answer();
        assert_eq!((answer.text(), answer.full_text()), ((&text).into(), (&text).into()));
        let roles: Vec<_> = answer.steps().iter().map(|step| step.role()).collect();
        assert_eq!(roles, [StepRole::Summary, StepRole::Answer]);
        assert_eq!(answer.steps()[0].text(), "## Summary");
        assert_eq!(answer.tokens().total, 2 * 110, "the summary and the answer");
        assert_eq!(answer.errors()[0].name, ErrorName::CONTEXT_OVERFLOW);
        assert_eq!(answer.fatal_error(), None);
        assert_eq!(report.outcome.exit, Some(Exit::Code(1)), "for the overflow");
    }
    let summaries = world.model.requests();
    let summaries = summaries.iter().filter(|request| request.kind() == RequestKind::Compaction);
    assert_eq!(summaries.count(), 2);
}

#[tokio::test]
async fn a_failing_summary_is_an_error() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::context_overflow());
    world.model.answer_compactions(Reply::context_overflow());

    let error = world.run(world.request("A long question.")).await.unwrap_err();

    let RunError::Ended(report) = &error else { panic!("{error}") };
    let RunEnd::AgentError(agent) = &report.outcome.end else { panic!("{error}") };
    assert_eq!(agent.name, ErrorName::CONTEXT_OVERFLOW);
    assert!(agent.message.contains("exceeds the context window"), "{agent}");
    assert_eq!(report.text(), "");
    assert_eq!(world.model.requests().len(), 2, "one for the prompt, one for its summary");
}

#[tokio::test]
async fn a_conversation_that_no_summary_shortens_enough_is_an_error() {
    let world = RunWorld::new(&on());
    world.model.default_script(Script::new().then(Reply::context_overflow()).repeat_last());

    let error = world.run(world.request("A long question.")).await.unwrap_err();

    let RunError::Ended(report) = &error else { panic!("{error}") };
    let RunEnd::AgentError(agent) = &report.outcome.end else { panic!("{error}") };
    assert_eq!(agent.name, ErrorName::CONTEXT_OVERFLOW);
    let summaries = report.answer().steps().iter().filter(|step| step.role() == StepRole::Summary);
    // The run is ended at the fifth overflow; OpenCode itself would not stop.
    assert!((4..30).contains(&summaries.count()), "{error}");
}
