//! Requests that wait side by side, on a server in memory and in virtual time.

use std::future::ready;
use std::pin::pin;
use std::sync::Mutex;

use opencode_proto::api::{ListPermissions, Operation, ServerPaths};
use opencode_proto::policy::PolicyScope;

use super::*;
use crate::http::HttpLimits;
use crate::http::tests::memory::{Server, world};

fn drive(policy: Policy) -> (PolicyDriver, Server) {
    let (http, server) = world(HttpLimits::default());
    let scope = PolicyScope::new("ses_1", ServerPaths::new("/w", "/w"));
    let judge = PolicyJudge::new(policy.settings().clone(), scope);
    (PolicyDriver::new(policy, judge, None, http, None), server)
}

fn entry(id: &str, permission: &str) -> String {
    format!(
        r#"{{"id":"{id}","sessionID":"ses_1","permission":"{permission}","patterns":["x"],
            "always":[],"metadata":{{}}}}"#
    )
}

fn ask(id: &str, permission: &str) -> Pending<PermissionRequest> {
    let listed = format!("[{}]", entry(id, permission));
    let listed = ListPermissions::new().decode(http::Response::new(listed.into()));
    listed.unwrap().remove(0)
}

async fn poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Sets a flag when a confirmation is dropped.
#[derive(Clone, Default)]
struct Dropped(Arc<Mutex<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_needs_neither_server_nor_confirmation() {
    let (driver, server) = drive(Policy::new().allow("webfetch"));
    assert_eq!(driver.decide(ask("per_1", "webfetch")).await, PermissionReply::Once);
    assert_eq!(server.connects(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_is_withdrawn_with_its_confirmation() {
    let flag = Arc::new(Mutex::new(false));
    let confirm = Arc::clone(&flag);
    let policy = Policy::new().deny("bash").with_confirm(move |_| {
        let dropped = Dropped(Arc::clone(&confirm));
        async move {
            pending::<()>().await;
            drop(dropped);
            PermissionReply::Once
        }
    });
    let (driver, mut server) = drive(policy);
    let mut refused = pin!(driver.decide(ask("per_2", "bash")));
    {
        let mut confirmed = pin!(driver.decide(ask("per_1", "webfetch")));
        // The judge asks for the confirmation, and then the confirmation begins.
        assert!(poll(confirmed.as_mut()).await.is_pending());
        assert!(poll(confirmed.as_mut()).await.is_pending());
        assert!(poll(refused.as_mut()).await.is_pending());
        assert!(!*flag.lock().unwrap());
        assert_eq!(server.connects(), 0, "the refusal waits for the confirmation");
    }
    assert!(*flag.lock().unwrap());
    let serve = async {
        let mut peer = server.accept().await;
        peer.serve(200, "", &format!("[{}]", entry("per_2", "bash"))).await
    };
    let (reply, request) = tokio::join!(refused, serve);
    assert!(request.starts_with("GET /permission "), "{request}");
    assert!(matches!(reply, PermissionReply::Reject { message: Some(_), .. }));
}

#[tokio::test(start_paused = true)]
async fn one_request_drives_the_judge_for_all() {
    let (driver, mut server) = drive(Policy::new());
    let mut first = pin!(driver.decide(ask("per_1", "bash")));
    let mut second = pin!(driver.decide(ask("per_2", "bash")));
    assert!(poll(first.as_mut()).await.is_pending());
    // The first is not polled from here on, as when the stream is not.
    let serve = async {
        let mut peer = server.accept().await;
        let listed = format!("[{},{}]", entry("per_1", "bash"), entry("per_2", "bash"));
        peer.serve(200, "", &listed).await;
        peer.serve(200, "", &listed).await;
    };
    let (reply, ()) = tokio::join!(&mut second, serve);
    assert!(matches!(reply, PermissionReply::Reject { .. }));
    assert!(poll(first.as_mut()).await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_confirm_function_that_panics_refuses_in_order() {
    let confirm = |ask: Pending<PermissionRequest>| {
        assert_ne!(ask.request.id, "per_1", "the confirm function panics, as it should");
        ready(PermissionReply::Once)
    };
    let (driver, mut server) = drive(Policy::new().with_confirm(confirm));
    let serve = async {
        let mut peer = server.accept().await;
        peer.serve(200, "", &format!("[{}]", entry("per_1", "bash"))).await;
    };
    let (first, second, ()) = tokio::join!(
        driver.decide(ask("per_1", "bash")),
        driver.decide(ask("per_2", "bash")),
        serve
    );
    assert_eq!(first, PermissionReply::reject());
    assert_eq!(second, PermissionReply::Once);
}
