//! Two turns of one session at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opencode_client::{CreateSession, PermissionReply, TurnRequest};
use testkit::world::{AskKind, PromptEnd, Script, Step, Tool, Weather, World};

fn ask_then_say(text: &'static str) -> Script {
    let asks = Step::default().tool(Tool::that_asks(AskKind::Permission));
    Script::default().then(asks).then(Step::text([text]))
}

/// What the first asks is not taken for the second's, whoever of them reads first; and one of them answers.
#[test]
fn each_ask_is_answered_once() {
    for seed in 0..40 {
        let world = World::new(seed, Weather::CALM);
        let model = world.server(4096, "/src");
        model.script("One.", ask_then_say("One is done."));
        model.script("Two.", ask_then_say("Two is done."));
        let (inhabitant, opencode) = (world.inhabitant(), world.opencode());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let texts = world.run(async move {
            let server = opencode.attach("http://127.0.0.1:4096").await.unwrap();
            let session = server.create_session(CreateSession::new()).await.unwrap();
            let session = session.on_permission(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                async { PermissionReply::Once }
            });
            let turns = ["One.", "Two."].map(|prompt| {
                let turn = session.send(TurnRequest::new(prompt));
                inhabitant.spawn(async move { turn.outcome().await })
            });
            let mut texts = Vec::new();
            for turn in turns {
                let outcome = inhabitant.within(Duration::from_secs(300), turn).await;
                let outcome = outcome.expect("what is asked is answered");
                texts.push(outcome.expect("an answer").text().into_owned());
            }
            texts
        });
        assert!(texts.iter().all(|text| text.ends_with("is done.")), "{seed}: {texts:?}");
        let asks = model.asks();
        assert!(asks.iter().all(|ask| ask.accepted.len() == 1), "{seed}: {asks:?}");
        assert_eq!(asked.load(Ordering::Relaxed), asks.len(), "{seed}: nobody is asked twice");
        let ends = model.prompts().into_iter().map(|(_, prompt)| prompt.end);
        assert!(ends.into_iter().all(|end| end == PromptEnd::Completed));
        world.end();
    }
}

/// What a turn was to answer that is dropped keeps nobody waiting.
#[test]
fn a_turn_beside_one_that_is_dropped_has_an_end() {
    let world = World::new(1, Weather::CALM);
    let model = world.server(4096, "/src");
    model.script("One.", ask_then_say("One is done."));
    let (inhabitant, opencode) = (world.inhabitant(), world.opencode());
    let ended = world.run(async move {
        let server = opencode.attach("http://127.0.0.1:4096").await.unwrap();
        let session = server.create_session(CreateSession::new()).await.unwrap();
        let thinks = TurnRequest::new("One.").on_permission(|_| std::future::pending());
        let thinking = session.send(thinks);
        let one =
            inhabitant.spawn({
                let inhabitant = inhabitant.clone();
                async move {
                    inhabitant.within(Duration::from_secs(20), thinking.outcome()).await.is_none()
                }
            });
        inhabitant.sleep(Duration::from_secs(5)).await;
        let two = session
            .send(TurnRequest::new("Two.").on_permission(|_| async { PermissionReply::Once }));
        let two = inhabitant.within(Duration::from_secs(300), two.outcome()).await;
        assert!(one.await, "it was dropped");
        two.expect("it has an end")
    });
    // The first one's drop aborts the session.
    assert!(ended.is_err());
    assert_eq!(model.busy(), 0);
    world.end();
}
