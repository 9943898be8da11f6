#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use bytes::Bytes;
use http::Response;

use super::*;
use crate::call::{CallFailure, Delivery};

const HEALTHY: (u16, &str) = (200, r#"{"healthy":true,"version":"1.2.3"}"#);
const CONFIG: (u16, &str) = (200, "{}");
const PAGE: (u16, &str) = (200, "<!doctype html>");
const UNAUTHORIZED: (u16, &str) = (401, "Unauthorized");

/// Result of a check, and the paths that were asked for.
fn check(
    check: ReadinessCheck,
    replies: &[(u16, &'static str)],
) -> (Result<Option<Box<str>>, HealthError>, Vec<String>) {
    let mut readiness = Readiness::new(check);
    let mut replies = replies.iter();
    let mut paths = Vec::new();
    loop {
        match readiness.poll_action() {
            ReadinessAction::Call(call) => {
                assert_eq!(call.scope, CallScope::Directory);
                paths.push(call.request.uri().path().to_owned());
                let reply = match replies.next() {
                    Some((status, body)) => Ok(Response::builder()
                        .status(*status)
                        .body(Bytes::from_static(body.as_bytes()))
                        .unwrap()),
                    None => Err(CallFailure::new(Delivery::Unknown, "gone")),
                };
                readiness.handle_reply(call.id, reply.clone());
                readiness.handle_reply(call.id, reply);
            }
            ReadinessAction::Wait => panic!("the check waits for nothing"),
            ReadinessAction::Finished(result) => {
                assert!(matches!(readiness.poll_action(), ReadinessAction::Wait));
                return (result, paths);
            }
        }
    }
}

#[test]
fn a_healthy_server_has_a_version() {
    let (version, paths) = check(ReadinessCheck::Health, &[HEALTHY]);
    assert_eq!(version.unwrap().as_deref(), Some("1.2.3"));
    assert_eq!(paths, ["/global/health"]);
    let (version, paths) = check(ReadinessCheck::Configuration, &[HEALTHY, CONFIG]);
    assert_eq!(version.unwrap().as_deref(), Some("1.2.3"));
    assert_eq!(paths, ["/global/health", "/config"]);
}

#[test]
fn an_old_server_without_the_question_is_asked_for_its_configuration() {
    for first in [PAGE, (404, "Not found"), (500, "oops")] {
        for extent in [ReadinessCheck::Health, ReadinessCheck::Configuration] {
            let (version, paths) = check(extent, &[first, CONFIG]);
            assert_eq!(version.unwrap(), None);
            assert_eq!(paths, ["/global/health", "/config"]);
        }
    }
    let (error, _) = check(ReadinessCheck::Health, &[PAGE, PAGE]);
    let error = error.unwrap_err();
    assert!(matches!(&error, HealthError::Call(CallFault::Api(_))), "{error:?}");
}

#[test]
fn an_unhealthy_server_is_no_server() {
    let unhealthy = (200, r#"{"healthy":false,"version":"1.2.3"}"#);
    let (error, paths) = check(ReadinessCheck::Configuration, &[unhealthy]);
    let error = error.unwrap_err();
    assert!(matches!(error, HealthError::Unhealthy), "{error:?}");
    assert!(!error.is_unauthorized() && error.config_fault().is_none());
    assert_eq!(paths.len(), 1);
}

#[test]
fn wrong_credentials_are_final() {
    for replies in [&[UNAUTHORIZED][..], &[HEALTHY, UNAUTHORIZED], &[PAGE, UNAUTHORIZED]] {
        let (error, paths) = check(ReadinessCheck::Configuration, replies);
        assert!(error.unwrap_err().is_unauthorized());
        assert_eq!(paths.len(), replies.len());
    }
}

#[test]
fn a_server_that_does_not_answer_is_no_server() {
    for replies in [&[][..], &[HEALTHY], &[PAGE]] {
        let (error, paths) = check(ReadinessCheck::Configuration, replies);
        let error = error.unwrap_err();
        assert_eq!((error.to_string(), paths.len()), ("gone".to_owned(), replies.len() + 1));
        assert!(!error.is_unauthorized() && error.config_fault().is_none());
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_named() {
    let invalid =
        (400, r#"{"name":"ConfigInvalidError","data":{"path":"/p/opencode.json","issues":[]}}"#);
    let (error, _) = check(ReadinessCheck::Configuration, &[HEALTHY, invalid]);
    let fault = error.unwrap_err().config_fault().unwrap();
    assert!(fault.contains("/p/opencode.json"), "{fault}");
}
