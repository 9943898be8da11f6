//! The answer and the report of a run.

use opencode_client::RunEventKind;
use opencode_client::run::{Exit, StepRole};

use super::runs::{RunWorld, types};
use crate::conformance::Host;
use crate::model::{Reply, RequestKind, Usage};

pub(crate) async fn a_plain_answer_has_a_full_report(on: &Host) {
    let world = RunWorld::new(on);
    let usage = Usage { input: 1000, output: 50, cached: 200, reasoning: 20 };
    let reply = Reply::new().reasoning("Hm.").deltas(["Hel", "lo ", "\u{1f980}\n"]).usage(usage);
    world.model.default_script(reply);
    let prompt = "Say \"hello\".";

    let mut run = world.start(world.request(prompt));
    let events = run.events().await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events), ["step_start", "text", "step_finish"]);
    let session = report.answer().session().unwrap();
    assert!(session.as_str().starts_with("ses_"), "{session}");
    let mut printed = 0;
    for event in &events {
        assert_eq!(event.session.as_ref(), Some(session));
        let now = event.timestamp_ms.unwrap();
        assert!(now >= printed, "{now} after {printed}");
        printed = now;
    }
    let RunEventKind::Text(text) = &events[1].kind else { panic!("{:?}", events[1]) };
    assert_eq!(text.text, "Hello \u{1f980}\n");
    assert!(text.time.duration_ms().is_some());

    let answer = report.answer();
    assert_eq!(report.text(), "Hello \u{1f980}\n");
    assert_eq!(answer.full_text(), report.text());
    assert_eq!(answer.reasoning(), "", "reasoning is not requested");
    assert_eq!(answer.finish().unwrap(), "stop");
    let tokens = answer.tokens();
    assert_eq!((tokens.total, tokens.input, tokens.cache_read), (1050, 800, 200));
    assert_eq!((tokens.output, tokens.reasoning), (30, 20));
    // Dollars per million: 1 for input, 2 for output and reasoning, 0.1 from the cache.
    let cost = (800.0 + 2.0 * 50.0 + 0.1 * 200.0) / 1e6;
    assert!((answer.cost() - cost).abs() < 1e-9, "{} instead of {cost}", answer.cost());
    let [step] = answer.steps() else { panic!("{:?}", answer.steps()) };
    assert_eq!((step.text(), step.role()), (report.text(), StepRole::Answer));
    assert!(step.message().unwrap().as_str().starts_with("msg_"));

    let outcome = &report.outcome;
    assert_eq!((outcome.exit, &*outcome.stderr), (Some(Exit::Code(0)), ""));
    assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (3, 0));
    assert!(outcome.notices.is_empty() && report.warnings.is_empty(), "{report:?}");
    assert_eq!(report.attempts, 1);
    assert!(!outcome.elapsed.is_zero());
    assert!(report.command.contains(" run --format json "), "{}", report.command);
    assert!(!format!("{report:?}").contains(prompt), "the prompt is in the debug output");

    let [request] = &world.model.requests()[..] else { panic!("{:?}", world.model.requests()) };
    assert_eq!((request.kind(), request.prompt().unwrap()), (RequestKind::Turn, prompt.into()));
    assert_eq!(request.session(), Some(session.as_str()));
}
