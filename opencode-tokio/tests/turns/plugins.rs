//! A plugin that prompts the session when a turn has made it idle.

use std::time::Duration;

use opencode_tokio::PermissionReply;
use opencode_tokio::turn::BackgroundWork;
use testkit::conformance::real::asking::{PermissionLog, asking, command_of};
use testkit::conformance::real::background::add_prompter;
use testkit::conformance::real::live::wait_for_model_request;
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Reply, Script};

use crate::on;

/// A project with the plugin, on the server that all tests share.
async fn prompted(name: &str) -> SessionWorld {
    let root = SessionWorld::new(&on()).await.project();
    add_prompter(&root.with_file_name(name), "Go on [[plugin-goes-on]]");
    let world = SessionWorld::in_directory(&on(), name).await;
    let command = command_of(Reply::new(), "echo one");
    world.model().script(name, Script::new().then(Reply::new().text("First.")));
    let on = Script::new().then(command).then(Reply::new().text("Second."));
    world.model().script("plugin-goes-on", on);
    world
}

#[tokio::test]
async fn the_prompt_of_a_plugin_is_followed_after_the_turn() {
    let world = prompted("plugins-after").await;
    let session = asking(&world).await;
    let asked = PermissionLog::default();
    let session = session.on_permission(asked.reply(PermissionReply::Once));
    let (_, first) = play(session.send(prompt("Go [[plugins-after]]"))).await;
    assert_eq!(first.text(), "First.");
    let id = session.id().clone();
    wait_for_model_request(&world, move |request| {
        request.session() == Some(id.as_str()) && request.script() == Some("plugin-goes-on")
    })
    .await;
    let outcome = session.until_quiet(Duration::from_secs(1)).outcome().await.unwrap();
    assert_eq!((&*outcome.text(), asked.patterns()), ("Second.", vec!["echo one".to_owned()]));
    assert!(outcome.still_running.is_empty());
}

#[tokio::test]
async fn a_turn_that_waits_for_quiet_has_the_prompt_of_a_plugin() {
    let world = prompted("plugins-within").await;
    let session = asking(&world).await;
    let asked = PermissionLog::default();
    let session = session.on_permission(asked.reply(PermissionReply::Once));
    let request = prompt("Go [[plugins-within]]");
    let quiet = BackgroundWork::AwaitQuiet(Duration::from_secs(20));
    let settings = request.settings().clone().with_background(quiet);
    let (_, outcome) = play(session.send(request.with_settings(settings))).await;
    assert_eq!((&*outcome.full_text(), outcome.answers().count()), ("First.Second.", 3));
    assert_eq!(asked.patterns(), ["echo one"]);
}
