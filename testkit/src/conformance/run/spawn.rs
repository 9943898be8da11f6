//! Runs that cannot be started: the error has the reason, and nothing is left.

use std::error::Error;
use std::io;

use opencode_client::config::{Resume, RunConfigError, RunFlags};
use opencode_client::log::EventLogConfig;
use opencode_client::run::Backend;
use opencode_client::{RunConfig, RunEnd, RunError, ServeError, ServeRequest};

use crate::conformance::Host;
use crate::conformance::world::{ProgramWorld, error_chain};
use crate::fake::Behavior;

/// A directory in which not even root can create anything.
const UNWRITABLE: &str = "/proc";

fn world(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new())
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> &'a io::Error {
    error.source().unwrap().downcast_ref().unwrap()
}

pub(crate) async fn a_missing_directory_is_an_error_with_its_path(on: &Host) {
    let world = world(on);
    let missing = world.path("missing");
    let file = world.path("file");
    std::fs::write(&file, "").unwrap();
    for (directory, kind) in
        [(missing, io::ErrorKind::NotFound), (file, io::ErrorKind::NotADirectory)]
    {
        let request = world.request().with_directory(&directory);
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Directory { path, source } = &error else { panic!("{error:?}") };
        assert_eq!((path, source.kind()), (&directory, kind));
        assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
        assert_eq!(world.calls().len(), 0);
        world.assert_nothing_left();
    }
}

pub(crate) async fn a_spawn_error_shows_the_command_without_secrets(on: &Host) {
    let world = world(on);
    // More than the system allows for one variable.
    let config = RunConfig::new().with_env("HUGE", "secret".repeat(50_000));
    let error = world.opencode.run(world.request().with_config(config)).await.unwrap_err();
    let RunError::Spawn { command, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::ArgumentListTooLong);
    assert!(command.contains("/opencode run --format json"), "{command}");
    assert!(error.to_string().contains(command), "{error}");
    assert!(!error_chain(&error).contains("secret") && !format!("{error:?}").contains("secret"));
    assert!(error.report().is_none());
    world.assert_nothing_left();
}

pub(crate) async fn a_private_directory_that_cannot_be_created_is_an_error(on: &Host) {
    let world = world(on);
    for parent in [world.path("missing"), UNWRITABLE.into()] {
        let opencode = world.builder().temp_dir(&parent).build();
        let error = opencode.run(world.request()).await.unwrap_err();
        let RunError::PrivateDir(source) = &error else { panic!("{error:?}") };
        let expected = format!("cannot create the directory {}/opencode-", parent.display());
        assert!(source.to_string().starts_with(&expected), "{source}");
        assert!(io_error(source).raw_os_error().is_some());
        assert_eq!(world.calls().len(), 0);
    }
}

pub(crate) async fn a_log_that_cannot_be_opened_starts_nothing(on: &Host) {
    let world = world(on);
    for log in [world.path("missing/log"), world.path("project"), "/proc/log".into()] {
        let request = world.request().with_log(EventLogConfig::new(&log));
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::LogOpen(source) = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(log.to_str().unwrap()), "{source}");
        assert!(io_error(source).raw_os_error().is_some());
        assert_eq!(world.calls().len(), 0);
        world.assert_nothing_left();
    }
}

pub(crate) async fn an_invalid_configuration_starts_nothing(on: &Host) {
    let world = world(on);
    for request in [
        world.request().with_config(RunConfig::new().with_env("PWD", "/")),
        world.request().with_config(RunConfig::new().with_agent("")),
    ] {
        let error = world.opencode.run(request).await.unwrap_err();
        assert!(matches!(error, RunError::Config(_)), "{error:?}");
        assert_ne!(error_chain(&error), error.to_string(), "the error has no source");
        assert_eq!(world.calls().len(), 0);
        world.assert_nothing_left();
    }
    let error = world.opencode.run(" \n").await.unwrap_err();
    assert!(error_chain(&error).ends_with("the prompt is empty"), "{}", error_chain(&error));
}

pub(crate) async fn a_missing_attachment_starts_nothing(on: &Host) {
    let world = world(on);
    let config = RunConfig::new().with_flags(RunFlags::new().with_file("no such.png"));
    let error = world.opencode.run(world.request().with_config(config)).await.unwrap_err();
    let Some(RunEnd::StartupError { message }) = error.end() else { panic!("{error:?}") };
    assert_eq!(message, "File not found: no such.png");
    assert_eq!(error.report().unwrap().attempts, 0);
    assert_eq!(world.calls().len(), 0);
}

pub(crate) async fn a_directory_whose_name_opencode_mangles_starts_nothing(on: &Host) {
    let world = world(on);
    let directory = world.path("My%20Repo");
    std::fs::create_dir(&directory).unwrap();
    let request = world.request().with_directory(&directory);
    let over_server = request.clone().with_backend(Backend::NewServer);
    for request in [request, over_server] {
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Directory { path, source } = &error else { panic!("{error:?}") };
        assert_eq!(*path, directory);
        assert!(source.to_string().contains("OpenCode decodes `%20`"), "{source}");
    }
    let request = ServeRequest::new().with_directory(&directory);
    let error = world.opencode.serve(request).await.unwrap_err();
    assert!(matches!(error, ServeError::Directory { .. }), "{error:?}");
    assert_eq!(world.calls().len(), 0);
}

pub(crate) async fn a_stack_trace_is_no_part_of_the_message(on: &Host) {
    let message = "Error: Unexpected error\n\nFailed to execute statement\n    at run (x.js:1:2)";
    let world = ProgramWorld::new(on, Behavior::new().stderr_line(message).exit(1));
    let error = world.opencode.run(world.request()).await.unwrap_err();
    let Some(RunEnd::StartupError { message }) = error.end() else { panic!("{error:?}") };
    assert_eq!(message, "Unexpected error\n\nFailed to execute statement");
    assert!(error.report().unwrap().outcome.stderr.contains("x.js:1:2"), "{error:?}");
}

pub(crate) async fn a_file_that_is_no_image_starts_nothing(on: &Host) {
    let world = world(on);
    std::fs::write(world.path("project/logo.png"), "<!doctype html>").unwrap();
    let config = RunConfig::new().with_flags(RunFlags::new().with_file("logo.png"));
    let request = world.request().with_config(config);
    let over_server = request.clone().with_backend(Backend::NewServer);
    let error = world.opencode.run(request).await.unwrap_err();
    let Some(RunEnd::Attachment(attachment)) = error.end() else { panic!("{error:?}") };
    assert_eq!(
        attachment.to_string(),
        "cannot attach logo.png: the content is no image or document, not image/png"
    );
    assert_eq!((error.report().unwrap().attempts, world.calls().len()), (0, 0));
    let error = world.opencode.run(over_server).await.unwrap_err();
    assert!(error.end().is_none_or(|end| !end.is_completed()), "{error:?}");
}

pub(crate) async fn a_session_in_a_private_directory_cannot_be_continued(on: &Host) {
    let world = world(on);
    let config = RunConfig::new().with_flags(RunFlags::new().with_resume(Resume::latest()));
    let request = world.request().with_config(config);
    for request in [request.clone(), request.with_backend(Backend::NewServer)] {
        let error = world.opencode.run(request).await.unwrap_err();
        assert!(matches!(error, RunError::Config(RunConfigError::NothingToResume)), "{error:?}");
    }
    assert_eq!(world.calls().len(), 0);
}

pub(crate) async fn a_process_without_memory_is_an_error_that_says_so(on: &Host) {
    let line = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
    let trace = format!("\n<--- JS stacktrace --->\n\n{line}\n\n 1: 0xb7 node::Abort() [node]");
    let world = ProgramWorld::new(on, Behavior::new().stderr_line(&trace).exit(134));
    let error = world.opencode.run(world.request()).await.unwrap_err();
    let Some(RunEnd::StartupError { message }) = error.end() else { panic!("{error:?}") };
    assert_eq!(*message, format!("the process ran out of memory: {line}"));
}
