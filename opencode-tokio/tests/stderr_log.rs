//! Log lines on standard error, by `OPENCODE_LOG`. Each case is a process of its own, because a
//! process has one subscriber.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::env;
use std::process::Command;

use opencode_tokio::AttachRequest;
use opencode_tokio::api::http::Method;
use testkit::server::{FakeServer, ServerScript};

/// URL of the server, in the child process.
const URL: &str = "STDERR_LOG_URL";

/// Runs the child with this level and returns the lines about requests.
fn lines(level: Option<&str>, child: &str) -> Vec<String> {
    let server = FakeServer::start(ServerScript::new().with_password("ann", "hunter2")).unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", child, "--nocapture"]).env(URL, server.url());
    match level {
        Some(level) => command.env("OPENCODE_LOG", level),
        None => command.env_remove("OPENCODE_LOG"),
    };
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr.lines().filter(|line| line.contains("request")).map(str::to_owned).collect()
}

async fn send() {
    let Ok(url) = env::var(URL) else { return };
    let url = url.replace("http://", "http://ann:hunter2@");
    let server = opencode_tokio::opencode().attach(AttachRequest::new(url)).await.unwrap();
    server.request(Method::GET, "/session").query("secret", "hunter2").await.unwrap();
}

#[tokio::test]
async fn child_without_a_subscriber() {
    send().await;
}

#[tokio::test]
async fn child_with_a_subscriber() {
    if env::var_os(URL).is_some() {
        tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
        send().await;
    }
}

#[test]
fn lines_are_written_on_request_and_without_secrets() {
    let lines = lines(Some("debug"), "child_without_a_subscriber");
    let of_session: Vec<_> = lines.iter().filter(|line| line.contains("/session")).collect();
    assert_eq!(of_session.len(), 1, "{lines:#?}");
    let line = of_session[0];
    assert!(line.starts_with("DEBUG opencode_client::http::call: request answered "), "{line}");
    assert!(line.ends_with(" method=GET path=\"/session\" status=200"), "{line}");
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
}

#[test]
fn a_level_limits_the_lines() {
    assert!(lines(Some("warn"), "child_without_a_subscriber").is_empty());
    assert!(lines(None, "child_without_a_subscriber").is_empty());
}

#[test]
fn a_subscriber_of_the_program_comes_first() {
    assert!(lines(Some("debug"), "child_with_a_subscriber").is_empty());
}
