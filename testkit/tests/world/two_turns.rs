//! Two turns of one session at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opencode_client::{CreateSession, PermissionReply, TurnRequest};
use testkit::world::{AgentScript, AgentStep, AgentTool, AskKind, PromptEnd, Weather, World};

fn ask_then_say(text: &'static str) -> AgentScript {
    let asks = AgentStep::default().tool(AgentTool::asking(AskKind::Permission));
    AgentScript::default().then(asks).then(AgentStep::text([text]))
}

/// Each ask is replied to once, by one of the two turns, whichever of them reads first.
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
                let outcome = outcome.expect("every ask gets a reply");
                texts.push(outcome.expect("an answer").text().into_owned());
            }
            texts
        });
        assert!(texts.iter().all(|text| text.ends_with("is done.")), "{seed}: {texts:?}");
        let asks = model.asks();
        assert!(asks.iter().all(|ask| ask.accepted.len() == 1), "{seed}: {asks:?}");
        assert_eq!(asked.load(Ordering::Relaxed), asks.len(), "{seed}: handlers called twice");
        let ends = model.prompts().into_iter().map(|(_, prompt)| prompt.end);
        assert!(ends.into_iter().all(|end| end == PromptEnd::Completed));
        world.end();
    }
}

/// An ask that a dropped turn was to answer blocks no other turn.
#[test]
fn a_turn_beside_a_dropped_one_ends() {
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
        assert!(one.await, "the first turn was dropped at its limit");
        two.expect("the second turn ends")
    });
    // Dropping the first turn aborts the session.
    assert!(ended.is_err());
    assert_eq!(model.busy(), 0);
    world.end();
}
