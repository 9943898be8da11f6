//! The document that a running server hands out, and the pinned one.

use bytes::Bytes;
use http::{Method, Request, Response};
use opencode_tokio::api::{ApiError, Operation};
use serde_json::Value;
use testkit::conformance::real::sessions::SessionWorld;

use crate::on;

/// Keys with prose, which the pin leaves out.
const PROSE: [&str; 7] =
    ["description", "example", "examples", "externalDocs", "summary", "title", "x-codeSamples"];

/// Keys whose own keys are names.
const NAMED: [&str; 6] =
    ["paths", "patternProperties", "properties", "responses", "schemas", "securitySchemes"];

struct ReadDocument;

impl Operation for ReadDocument {
    type Output = Bytes;

    fn request(&self) -> Request<Bytes> {
        Request::get("/doc").body(Bytes::new()).unwrap()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Bytes, ApiError> {
        ApiError::check(Method::GET, "/doc", response).map(Response::into_body)
    }
}

#[tokio::test]
async fn the_running_server_has_the_pinned_document() {
    let world = SessionWorld::new(&on()).await;
    let document = world.server.call(&ReadDocument).await.unwrap();
    let mut document: Value = serde_json::from_slice(&document).unwrap();
    strip(&mut document, false);
    let mut pinned: Value =
        serde_json::from_str(include_str!("../../../opencode-api/spec/1.18.33.json")).unwrap();
    strip(&mut pinned, false);

    for (part, place) in [("paths", "/paths"), ("schemas", "/components/schemas")] {
        let ours = pinned.pointer(place).unwrap().as_object().unwrap();
        let theirs = document.pointer(place).unwrap().as_object().unwrap();
        for name in ours.keys().chain(theirs.keys()) {
            assert_eq!(ours.get(name), theirs.get(name), "{part}: {name}");
        }
    }
}

fn strip(json: &mut Value, are_keys_names: bool) {
    match json {
        Value::Object(object) => {
            if !are_keys_names {
                object.retain(|key, _| !PROSE.contains(&&**key));
            }
            for (key, value) in object {
                strip(value, !are_keys_names && NAMED.contains(&&**key));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, false)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if let Value::Object(object) = json
        && !are_keys_names
        && object.get("tags").is_some_and(Value::is_array)
    {
        object.remove("tags");
    }
}
