//! The JavaScript SDK of OpenCode, which writes into the same sessions.

use opencode_tokio::config::Credentials;
use opencode_tokio::{CreateSession, ServeRequest, Server, Session};
use testkit::conformance::real::runs::{RunWorld, permit};
use testkit::model::{Reply, Script};

use crate::on;

/// Calls one method of a session, with a JSON body, and prints the reply.
const CLIENT: &str = r#"
const { createOpencodeClient } = await import(process.env.SDK);
const { URL, PASSWORD, DIRECTORY, SESSION, METHOD, BODY } = process.env;
const authorization = "Basic " + btoa("opencode:" + PASSWORD);
const client = createOpencodeClient({ baseUrl: URL, headers: { authorization } });
const query = { directory: DIRECTORY };
const body = BODY ? JSON.parse(BODY) : undefined;
const reply = await client.session[METHOD]({ path: { id: SESSION }, query, body });
if (reply.error) throw new Error(JSON.stringify(reply.error));
console.log(JSON.stringify(reply.data));
"#;

struct Client {
    script: std::path::PathBuf,
    server: Server,
    password: &'static str,
}

impl Client {
    async fn call(&self, session: &Session, method: &str, body: &str) -> serde_json::Value {
        let sdk = rivals::node_modules().join("@opencode-ai/sdk/dist/index.js");
        let output = tokio::process::Command::new(rivals::node())
            .arg(&self.script)
            .env("SDK", sdk)
            .env("URL", self.server.url())
            .env("PASSWORD", self.password)
            .env("DIRECTORY", session.directory().unwrap_or_default())
            .env("SESSION", session.id().as_str())
            .env("METHOD", method)
            .env("BODY", body)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn world() -> (RunWorld, Client) {
    let world = RunWorld::new(&on());
    let password = "of the clients";
    let request = ServeRequest::new()
        .with_directory(world.project())
        .with_config(world.config())
        .with_credentials(Credentials::new(password));
    let server = world.opencode.serve(request).await.unwrap();
    let script = world.write("client.mjs", CLIENT);
    (world, Client { script, server, password })
}

#[tokio::test]
async fn a_prompt_of_the_sdk_and_ours_have_their_own_answers() {
    let _permit = permit();
    let (world, client) = world().await;
    world.model.script("theirs", Reply::new().text("An answer for the SDK."));
    world.model.script("ours", Reply::new().text("An answer for us."));
    let session = client.server.create_session(CreateSession::new()).await.unwrap();
    let body = r#"{"parts":[{"type":"text","text":"[[theirs]] Hello?"}]}"#;
    let reply = client.call(&session, "prompt", body).await;
    assert_eq!(
        reply["parts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|part| { part["text"] == "An answer for the SDK." })
            .count(),
        1,
        "{reply}"
    );
    let outcome = session.send("[[ours]] And now?").outcome().await.unwrap();
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "An answer for us."));
    let messages = client.call(&session, "messages", "").await;
    assert_eq!(messages.as_array().unwrap().len(), 4);
    client.server.stop().await.unwrap();
    world.assert_nothing_left();
}

#[tokio::test]
async fn an_abort_of_the_sdk_ends_our_turn_and_the_session_goes_on() {
    let _permit = permit();
    let (world, client) = world().await;
    world.model.script("slow", Reply::new().text("I wait.").stall());
    world.model.script("next", Reply::new().text("I am back."));
    let session = client.server.create_session(CreateSession::new()).await.unwrap();
    let mut turn = session.send("[[slow]] Wait.");
    while let Some(event) = turn.next_event().await {
        if event.text().is_some_and(|text| text.contains("I wait.")) {
            break;
        }
    }
    let (reply, outcome) = tokio::join!(client.call(&session, "abort", ""), turn.outcome());
    assert_eq!(reply, true);
    let error = outcome.unwrap_err();
    assert_eq!(error.outcome().unwrap().end.name(), "aborted", "{error:?}");
    let outcome = session.send("[[next]] Go on.").outcome().await.unwrap();
    assert_eq!(outcome.text(), "I am back.");
    client.server.stop().await.unwrap();
    world.assert_nothing_left();
}

#[tokio::test]
async fn a_revert_of_the_sdk_takes_our_prompt_out_of_the_next_one() {
    let _permit = permit();
    let (world, client) = world().await;
    world.model.default_script(Script::new().then(Reply::new().text("Yes.")).repeat_last());
    let session = client.server.create_session(CreateSession::new()).await.unwrap();
    let outcome = session.send("The word is xyzzy.").outcome().await.unwrap();
    let body = format!(r#"{{"messageID":"{}"}}"#, outcome.message);
    let reverted = client.call(&session, "revert", &body).await;
    assert_eq!(reverted["revert"]["messageID"], outcome.message.as_str(), "{reverted}");
    let outcome = session.send("Which word?").outcome().await.unwrap();
    assert_eq!((outcome.end.name(), &*outcome.text()), ("completed", "Yes."));
    let request = world.turns().last().unwrap().body().to_string();
    assert!(request.contains("Which word?") && !request.contains("xyzzy"), "{request}");
    client.server.stop().await.unwrap();
    world.assert_nothing_left();
}
