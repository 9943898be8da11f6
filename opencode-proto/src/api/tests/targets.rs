//! Whatever an id or a text is, it stays one segment of the path or one value of the query.

use proptest::prelude::*;

use super::*;

/// The segments and values that a server reads.
fn received(operation: &impl Operation) -> (Vec<String>, Vec<(String, String)>) {
    let request = operation.request();
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let path = request.uri().path().split('/').skip(1).map(decode).collect();
    let query =
        request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (decode(name), decode(value))
    };
    (path, query.map(pair).collect())
}

#[test]
fn odd_ids_stay_one_segment() {
    let odd = "ses_/ %?é#&=+\0\n";
    let operation = DeletePart::new(odd, odd, odd);
    let (path, query) = received(&operation);
    assert_eq!(path, ["session", odd, "message", odd, "part", odd]);
    assert_eq!(query, []);
}

/// Every client and server on the way may resolve `..`, plain and encoded; what is left must not be
/// another endpoint.
#[test]
fn dots_lead_nowhere() {
    for (id, segment) in [(".", "%252E"), ("..", "%252E%252E"), ("...", "..."), ("a..", "a..")] {
        let operation = DeleteMessage::new("ses_1", id);
        assert_eq!(operation.request().uri().path(), format!("/session/ses_1/message/{segment}"));
    }
}

#[test]
fn a_target_has_a_limit() {
    let operation = ListSessions::new().with_search("x".repeat(100_000));
    assert_eq!(operation.request().uri().to_string().len(), 65_000);
    let operation = ReadSession::new("/".repeat(100_000));
    assert_eq!(operation.request().uri().path().len(), 65_000);
}

proptest! {
    #[test]
    fn ids_and_values_arrive_as_they_are(id in "\\PC*|[/%?#.&= ]{0,4}", text in "\\PC*|[/%?#.&= ]{0,4}") {
        prop_assume!(id != "." && id != "..");
        let messages = ListMessages::new(id.as_str()).with_limit(1).with_before(text.as_str().into());
        let (path, query) = received(&messages);
        prop_assert_eq!(path, ["session", id.as_str(), "message"]);
        prop_assert_eq!(query, [("limit".to_owned(), "1".to_owned()), ("before".to_owned(), text.clone())]);
        // This one is decoded once more.
        let (_, query) = received(&ListSessions::new().with_directory(text.as_str()));
        let twice = percent_encoding::percent_decode_str(&query[0].1).decode_utf8().unwrap();
        prop_assert_eq!(twice, text.as_str());
    }

    #[test]
    fn replies_never_panic(status in 100_u16..1000, content_type in "text/html|text/plain|application/json|", body in "\\PC*|[\\[{\"]{0,5}.*") {
        let response = || reply(status, &content_type, &body);
        let _ = ListMessages::new("ses_1").decode(response());
        let _ = ListPermissions.decode(response());
        let _ = SessionStatuses.decode(response());
        let read = ReadSession::new("ses_1").decode(response());
        if let Err(error) = read {
            prop_assert!(!error.to_string().is_empty() && error.body() == &Bytes::from(body.clone()));
        }
    }
}
