//! Directories on the machine of an attached server.

use std::io;

use opencode_client::batch::{GivenServer, JobError};
use opencode_client::config::{Resume, RunFlags};
use opencode_client::server::DirectoryError;
use opencode_client::{
    AttachError, AttachRequest, BatchRequest, CallError, CreateSession, Job, RunConfig, RunEnd,
    RunRequest,
};
use serde_json::json;

use crate::conformance::Host;
use crate::server::{FakeServer, ServerReply, ServerScript};

/// Reason of the error of a directory.
fn reason(source: &io::Error) -> &DirectoryError {
    let reason = source.get_ref().and_then(|error| error.downcast_ref());
    reason.unwrap_or_else(|| panic!("{source:?}"))
}

/// Attaches for a directory, and returns the error of a session there.
async fn session_error(on: &Host, server: &FakeServer, directory: &str) -> DirectoryError {
    let request = AttachRequest::new(server.url()).with_directory(directory);
    let attached = on.opencode().attach(request).await.unwrap();
    let error = attached.create_session(CreateSession::new()).await.unwrap_err();
    let CallError::Directory { source, .. } = &error else { panic!("{error:?}") };
    reason(source).clone()
}

pub(crate) async fn a_session_that_works_elsewhere_is_deleted(on: &Host) {
    let server = FakeServer::start(ServerScript::new().with_directory("/elsewhere")).unwrap();
    let request = || AttachRequest::new(server.url()).with_directory("/src/app");
    let attached = on.opencode().attach(request()).await.unwrap();

    let error = attached.create_session(CreateSession::new()).await.unwrap_err();
    let CallError::Directory { directory, source } = &error else { panic!("{error:?}") };
    assert_eq!(directory.to_str(), Some("/src/app"));
    let reported = |error: &DirectoryError| match error {
        DirectoryError::Elsewhere { reported, .. } => reported.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reported(reason(source)), "/elsewhere");

    let run = RunRequest::new("Hello?").with_backend(&attached);
    let error = on.opencode().run(run).await.unwrap_err();
    let Some(RunEnd::Directory(end)) = error.end() else { panic!("{error:?}") };
    assert_eq!(reported(end), "/elsewhere");

    let jobs = BatchRequest::new([Job::new("Hello?"), Job::new("Hello?").with_directory("/src/b")]);
    let batch = on.opencode().batch(jobs.with_servers([GivenServer::new(request())]));
    for job in batch.outcome().await.unwrap().jobs {
        let Some(JobError::Directory { source, .. }) = &job.error else { panic!("{job:?}") };
        assert_eq!(reported(reason(source)), "/elsewhere");
    }
    assert_eq!(server.requests_to("DELETE", "/session").len(), 4);
    let posts = server.requests_to("POST", "/session/");
    assert!(posts.is_empty(), "a prompt was sent: {posts:?}");
}

pub(crate) async fn a_directory_that_a_server_does_not_have_is_refused(on: &Host) {
    let missing = ServerReply::error(500, json!({ "name": "UnknownError", "data": {} }));
    let server = FakeServer::start(ServerScript::new().on("GET", "/file", [missing])).unwrap();
    let error = session_error(on, &server, "/src/none").await;
    assert!(matches!(error, DirectoryError::Missing { .. }), "{error}");

    let attached = on.opencode().attach(server.url()).await.unwrap();
    let run = RunRequest::new("Hello?").with_backend(&attached).with_directory("/src/none");
    let error = on.opencode().run(run).await.unwrap_err();
    assert!(format!("{error:?}").contains("/src/none does not exist on the machine"), "{error:?}");
    let job = Job::new("Hello?").with_directory("/src/none");
    let request = BatchRequest::new([job]).with_servers([GivenServer::new(server.url())]);
    let report = on.opencode().batch(request).outcome().await.unwrap();
    let error = report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(error, JobError::Directory { .. }), "{error:?}");
    assert!(server.requests_to("POST", "/").is_empty(), "something was sent");
}

pub(crate) async fn a_server_that_does_not_hear_the_directory_is_refused(on: &Host) {
    let own = ServerReply::json(json!({ "directory": "/own", "worktree": "/" }));
    let server = FakeServer::start(ServerScript::new().on("GET", "/path", [own])).unwrap();
    let error = session_error(on, &server, "/src/app").await;
    assert_eq!(error.to_string(), "OpenCode works in /own in place of /src/app");
}

pub(crate) async fn a_name_that_opencode_changes_is_refused_without_a_request(on: &Host) {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    for (name, expected) in [("src/app", "is relative"), ("/src/My%20Repo", "decodes `%20`")] {
        let request = AttachRequest::new(server.url()).with_directory(name);
        let error = on.opencode().attach(request).await.unwrap_err();
        let AttachError::Directory { source, .. } = &error else { panic!("{error:?}") };
        assert!(reason(source).to_string().contains(expected), "{name}: {error:?}");
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    // The session of such a directory was created by another client.
    let mangled = ServerScript::new().with_directory("/src/My%20Repo");
    let server = FakeServer::start(mangled).unwrap();
    let attached = on.opencode().attach(server.url()).await.unwrap();
    let error = attached.session("ses_1").await.unwrap_err();
    let CallError::Directory { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(reason(source), DirectoryError::Decoded { .. }), "{error:?}");
}

pub(crate) async fn a_session_of_another_directory_is_not_continued(on: &Host) {
    let server = FakeServer::start(ServerScript::new().with_directory("/elsewhere")).unwrap();
    let request = AttachRequest::new(server.url()).with_directory("/src/app");
    let attached = on.opencode().attach(request).await.unwrap();
    let resume = Resume::session("ses_1");
    for resume in [resume.clone(), resume.forked()] {
        let config = RunConfig::new().with_flags(RunFlags::new().with_resume(resume));
        let run = RunRequest::new("Hello?").with_backend(&attached).with_config(config);
        let error = on.opencode().run(run).await.unwrap_err();
        let Some(RunEnd::Directory(DirectoryError::Session { belongs_to, .. })) = error.end()
        else {
            panic!("{error:?}")
        };
        assert_eq!(belongs_to, "/elsewhere");
    }
    assert!(server.requests_to("POST", "/").is_empty(), "something was sent");
}
