//! Lists in pages, as streams.

use opencode_client::api::ListMessages;
use opencode_client::server::PageStream;
use opencode_client::{AttachRequest, CallError};
use serde_json::{Value, json};

use crate::conformance::Host;
use crate::server::{FakeServer, ServerReply, ServerScript};

const PATH: &str = "/session/{id}/message";

fn page<const N: usize>(ids: [&str; N]) -> ServerReply {
    let message = |id: &str| json!({ "info": { "id": id, "role": "user" }, "parts": [] });
    ServerReply::json(Value::Array(ids.into_iter().map(message).collect()))
}

async fn pages(
    on: &Host,
    replies: impl IntoIterator<Item = ServerReply>,
) -> (FakeServer, PageStream<ListMessages>) {
    let server = FakeServer::start(ServerScript::new().on("GET", PATH, replies)).unwrap();
    let attached = on.opencode().attach(AttachRequest::new(server.url())).await.unwrap();
    let stream = attached.pages(ListMessages::new("ses_1").with_limit(2));
    (server, stream)
}

async fn read(stream: &mut PageStream<ListMessages>) -> Option<Result<String, CallError>> {
    let item = stream.next_item().await?;
    Some(item.map(|message| message.info.id.to_string()))
}

pub(crate) async fn a_page_is_requested_when_the_page_before_is_read(on: &Host) {
    let first = page(["msg_3", "msg_4"]).with_header("x-next-cursor", "older");
    let empty = page([]).with_header("x-next-cursor", "oldest");
    let (server, mut stream) = pages(on, [first, empty, page(["msg_1"])]).await;

    assert_eq!(server.requests_to("GET", PATH).len(), 0);
    assert_eq!(read(&mut stream).await.unwrap().unwrap(), "msg_4");
    assert_eq!(read(&mut stream).await.unwrap().unwrap(), "msg_3");
    assert_eq!(server.requests_to("GET", PATH).len(), 1);
    assert_eq!(read(&mut stream).await.unwrap().unwrap(), "msg_1");
    assert!(read(&mut stream).await.is_none());
    assert!(read(&mut stream).await.is_none());

    let sent = server.requests_to("GET", PATH);
    let targets: Vec<_> = sent.iter().map(|request| request.path().to_owned()).collect();
    let target = "/session/ses_1/message?limit=2";
    let expected = ["", "&before=older", "&before=oldest"].map(|rest| format!("{target}{rest}"));
    assert_eq!(targets, expected);
}

pub(crate) async fn an_error_ends_the_pages_after_the_items_before(on: &Host) {
    let first = page(["msg_2"]).with_header("x-next-cursor", "older");
    let (_server, mut stream) =
        pages(on, [first, ServerReply::error(404, json!({ "name": "NotFoundError" }))]).await;

    assert_eq!(read(&mut stream).await.unwrap().unwrap(), "msg_2");
    let error = read(&mut stream).await.unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert!(read(&mut stream).await.is_none());
}

pub(crate) async fn a_cursor_that_leads_nowhere_ends_the_pages(on: &Host) {
    let again = || page(["msg_1"]).with_header("x-next-cursor", "same");
    let (server, mut stream) = pages(on, [again(), again(), again()]).await;

    assert_eq!(read(&mut stream).await.unwrap().unwrap(), "msg_1");
    let error = read(&mut stream).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("/session/ses_1/message"), "{error}");
    assert!(read(&mut stream).await.is_none());
    assert_eq!(server.requests_to("GET", PATH).len(), 2);
}
