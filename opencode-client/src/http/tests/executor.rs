use std::future::poll_fn;

use futures_util::future::poll_immediate;
use opencode_proto::{ApiCall, Readiness, ReadinessAction, ReadinessCheck};

use super::memory::world;
use crate::http::{Calls, HttpLimits};

/// The next call of a machine.
fn call(machine: &mut Readiness) -> ApiCall {
    match machine.poll_action() {
        ReadinessAction::Call(call) => *call,
        action @ (ReadinessAction::Wait | ReadinessAction::Finished(_)) => panic!("{action:?}"),
    }
}

fn machine() -> Readiness {
    Readiness::new(ReadinessCheck::Configuration)
}

#[tokio::test(start_paused = true)]
async fn a_reply_comes_under_the_id_of_the_call() {
    let (http, mut server) = world(HttpLimits::default());
    let mut calls = Calls::new(http, Some("/p".to_owned()));
    let (mut machine, health) = (machine(), r#"{"healthy":true,"version":"1.18.33"}"#);

    for (path, body) in [("/global/health", health), ("/config", "{}")] {
        let call = call(&mut machine);
        let id = call.id;
        calls.begin(call);
        let (reply, request) = tokio::join!(poll_fn(|cx| calls.poll_reply(cx)), async {
            server.accept().await.serve(200, "connection: close\r\n", body).await
        });
        assert!(request.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{request}");
        assert_eq!(reply.0, id);
        machine.handle_reply(id, reply.1);
        assert!(
            poll_immediate(poll_fn(|cx| calls.poll_reply(cx))).await.is_none(),
            "the reply came twice"
        );
    }
    assert!(matches!(machine.poll_action(), ReadinessAction::Finished(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_awaited_any_more_is_dropped_with_the_connection() {
    let (http, mut server) = world(HttpLimits::default());
    let mut calls = Calls::new(http, None);
    let call = call(&mut machine());
    let id = call.id;
    calls.begin(call);
    assert!(poll_immediate(poll_fn(|cx| calls.poll_reply(cx))).await.is_none());
    let mut peer = server.accept().await;
    assert!(poll_immediate(poll_fn(|cx| calls.poll_reply(cx))).await.is_none());
    peer.request().await;

    calls.retain(|open| open == id);
    assert!(poll_immediate(poll_fn(|cx| calls.poll_reply(cx))).await.is_none());
    calls.retain(|_| false);
    peer.closed().await;
    assert!(poll_immediate(poll_fn(|cx| calls.poll_reply(cx))).await.is_none());
}
