mod prompts;
mod replies;
mod requests;
mod targets;

use super::*;

/// A reply with this content type (none, if empty) and body.
fn reply(status: u16, content_type: &str, body: &str) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    if !content_type.is_empty() {
        response = response.header("content-type", content_type);
    }
    response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn json(body: &str) -> Response<Bytes> {
    reply(200, "application/json", body)
}
