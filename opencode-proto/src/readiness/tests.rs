#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use bytes::Bytes;
use http::Response;

use super::*;
use crate::call::{CallFailure, Delivery};

const HEALTHY: (u16, &str) = (200, r#"{"healthy":true,"version":"1.18.3"}"#);
const CONFIG: (u16, &str) = (200, "{}");
const PAGE: (u16, &str) = (200, "<!doctype html>");
const UNAUTHORIZED: (u16, &str) = (401, "Unauthorized");

/// Result of a check, and the paths that were asked for.
fn check(
    check: ReadinessCheck,
    replies: &[(u16, &'static str)],
) -> (Result<Box<str>, HealthError>, Vec<String>) {
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
    assert_eq!(&*version.unwrap(), "1.18.3");
    assert_eq!(paths, ["/global/health"]);
    let (version, paths) = check(ReadinessCheck::Configuration, &[HEALTHY, CONFIG]);
    assert_eq!(&*version.unwrap(), "1.18.3");
    assert_eq!(paths, ["/global/health", "/config"]);
}

#[test]
fn a_server_of_another_version_is_refused() {
    let refused = |replies: &[(u16, &'static str)], paths: &[&str], found: Option<Version>| {
        for extent in [ReadinessCheck::Health, ReadinessCheck::Configuration] {
            let (result, asked) = check(extent, replies);
            let error = result.unwrap_err();
            let HealthError::Version(error) = error else { panic!("{error:?}") };
            assert_eq!(
                (error.found, asked),
                (found.clone(), paths.iter().map(ToString::to_string).collect())
            );
        }
    };
    let next = Some(Version::new(2, 0, 12));
    let health = (200, r#"{"healthy":true,"version":"2.0.12"}"#);
    refused(&[health], &["/global/health"], next.clone());
    let old = (200, r#"{"healthy":true,"version":"1.0.224"}"#);
    refused(&[old], &["/global/health"], Some(Version::new(1, 0, 224)));

    let info = (200, r#"{"version":"2.0.12","pid":7,"urls":[]}"#);
    let without_version = (200, r#"{"healthy":true}"#);
    let named = (404, r#"{"name":"NotFoundError","data":{}}"#);
    for missing in [PAGE, (404, "Not found"), named] {
        refused(&[missing, info], &["/global/health", "/api/info"], next.clone());
        let paths = ["/global/health", "/api/info", "/api/health"];
        refused(&[missing, PAGE, info], &paths, next.clone());
        let paths = ["/global/health", "/api/info", "/api/health", "/config"];
        refused(&[missing, PAGE, without_version, CONFIG], &paths, None);
    }
}

#[test]
fn another_server_is_not_a_server_of_another_version() {
    let (error, _) = check(ReadinessCheck::Health, &[PAGE, PAGE, PAGE, PAGE]);
    let error = error.unwrap_err();
    assert!(matches!(&error, HealthError::Call(CallFault::Api(_))), "{error:?}");
    let (error, paths) = check(ReadinessCheck::Health, &[(500, "oops")]);
    let error = error.unwrap_err();
    assert!(matches!(&error, HealthError::Call(CallFault::Api(_))), "{error:?}");
    assert_eq!(paths, ["/global/health"]);
}

#[test]
fn a_server_without_a_number_is_accepted() {
    let local = (200, r#"{"healthy":true,"version":"local"}"#);
    let (version, _) = check(ReadinessCheck::Health, &[local]);
    assert_eq!(&*version.unwrap(), "local");
}

#[test]
fn an_unhealthy_server_is_no_server() {
    let unhealthy = (200, r#"{"healthy":false,"version":"1.18.3"}"#);
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
