//! Turns outside a runtime of tokio, and on a clock that the test moves.

use std::time::Duration;

use opencode_tokio::event::{Deadline, ErrorName};
use opencode_tokio::server::{HttpLimits, HubSettings};
use opencode_tokio::{Deadlines, PermissionReply, TurnEnd};
use testkit::conformance::real::asking::{asking, commands, completed, tools};
use testkit::conformance::real::sessions::{SessionWorld, failed_outcome, play, prompt};
use testkit::model::{Gate, Reply};

use crate::on;

#[test]
fn a_stream_can_be_dropped_outside_a_runtime() {
    let gate = Gate::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, session, mut turn) = runtime.block_on(async {
        let world = SessionWorld::new(&on()).await;
        let held = Reply::new().text("So").pause_until(&gate).text(" far.");
        world.model().script("answers-dropped", held);
        world.model().script("answers-after", Reply::new().text("I am here."));
        let session = world.session().await;
        let turn = session.send(prompt("Begin [[answers-dropped]]"));
        (world, session, turn)
    });
    runtime.block_on(async {
        while let Some(event) = turn.next_event().await {
            if event.text().is_some_and(|text| text.contains("So")) {
                return;
            }
        }
        panic!("the turn ended without the text");
    });
    drop(turn);
    let outcome = runtime.block_on(session.send(prompt("Next [[answers-after]]")).outcome());
    assert_eq!(outcome.unwrap().text(), "I am here.");
    let messages = runtime.block_on(session.messages()).unwrap();
    let errors: Vec<_> =
        messages.iter().filter_map(|message| message.info.error.as_ref()).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].name, ErrorName::MESSAGE_ABORTED);
    gate.open();
    drop(world);
}

/// Deadline that is longer than the test takes, and shorter than the pauses on the moved clock.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn no_deadline_counts_time_in_a_handler() {
    let world = SessionWorld::attached(&on(), "project", |request| {
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
    assert!(outcome.elapsed > 4 * LIMIT, "the clock did not move");

    // The same pause outside a handler times out.
    let mut turn = session.send(limited("Go [[permissions-stalled]]"));
    while let Some(event) = turn.next_event().await {
        if event.text().is_some_and(|text| text == "I") {
            let_pass(2 * LIMIT).await;
        }
    }
    let end = failed_outcome(turn).await.end;
    assert!(
        matches!(end, TurnEnd::TimedOut { deadline: Deadline::Idle | Deadline::Overall, .. }),
        "{end:?}"
    );
    stalled.open();
}

/// Moves the clock of the runtime.
async fn let_pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
