//! The version of the program.

use std::error::Error;

use opencode_client::batch::BatchEvent;
use opencode_client::config::{Approval, Plugins, RunConfig, RunConfigError, RunFlags, ServeFlags};
use opencode_client::event::RawJson;
use opencode_client::process::{Feature, Unsupported, UnsupportedVersion, Version, VersionError};
use opencode_client::run::Backend;
use opencode_client::server::CallError;
use opencode_client::{
    BatchRequest, CreateSession, Job, RunEnd, RunError, RunRequest, ServeError, ServeRequest,
};
use serde_json::json;

use crate::conformance::Host;
use crate::conformance::lines::answer;
use crate::conformance::serve::fake_program::{answering_with, ready};
use crate::conformance::world::{ProgramWorld, is_alive, is_zombie, poll_once};
use crate::fake::Behavior;
use crate::server::{FakeServer, ServerReply, ServerScript};

fn world(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new())
}

pub(crate) async fn is_parsed(on: &Host) {
    let world = world(on);
    world.fake.set_version("1.18.33").unwrap();
    assert_eq!(world.opencode.version().await.unwrap(), Version::new(1, 18, 33));
    world.assert_nothing_left();
    world.fake.set_version("opencode v2.0.0-beta.1 (linux)").unwrap();
    let version = world.opencode.version().await.unwrap();
    assert_eq!(version.to_string(), "2.0.0-beta.1");
    assert_eq!(world.calls().len(), 0, "the version check started a run");
}

pub(crate) async fn is_an_error_when_unparsable(on: &Host) {
    let world = world(on);
    world.fake.set_version("\nnot a version\n").unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { command, printed } = &error else { panic!("{error:?}") };
    assert!(command.ends_with("/opencode --version"), "{command}");
    assert_eq!(printed, "not a version");
    assert!(error.to_string().contains("printed no version: not a version"), "{error}");
}

pub(crate) async fn is_read_from_limited_output(on: &Host) {
    let world = world(on);
    world.fake.set_version(&"x".repeat(10 << 20)).unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { printed, .. } = &error else { panic!("{error:?}") };
    assert!(printed.len() <= 4 << 10, "{} bytes", printed.len());
}

pub(crate) async fn check_leaves_nothing_when_dropped(on: &Host) {
    let world = world(on);
    world.hide_version();
    let opencode = world.opencode.clone();
    let task = on.spawn(async move { opencode.version().await });
    // The program, and `cat`, which it prints the file with.
    on.eventually(|| world.processes().len() == 2).await;
    let started = world.processes();
    task.abort().await;
    world.assert_nothing_left();
    for process in started {
        assert!(!is_alive(process.pid) && !is_zombie(process.pid), "{process:?}");
    }
}

pub(crate) async fn check_ignores_the_start_queue(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let opencode = super::cancel::one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    assert!(poll_once(first.next_event()).is_pending());
    opencode.version().await.unwrap();
    assert_eq!(first.outcome().await.unwrap().text(), "Hello.");
}

fn unsupported(error: &dyn Error) -> &UnsupportedVersion {
    match error.source().and_then(|source| source.downcast_ref()) {
        Some(VersionError::Unsupported { unsupported, .. }) => unsupported,
        _ => panic!("{error:?}"),
    }
}

pub(crate) async fn of_another_line_starts_nothing(on: &Host) {
    for (printed, found) in [
        ("opencode v2.0.12", Version::new(2, 0, 12)),
        ("3.0.0", Version::new(3, 0, 0)),
        ("1.0.185", Version::new(1, 0, 185)),
        ("0.15.31", Version::new(0, 15, 31)),
    ] {
        let world = world(on);
        world.fake.set_version(printed).unwrap();
        let error = world.opencode.run(world.request()).await.unwrap_err();
        let RunError::Version(refused) = &error else { panic!("{error:?}") };
        assert_eq!(unsupported(&error).found.as_ref(), Some(&found));
        let message = refused.to_string();
        assert!(message.contains("/opencode`: OpenCode"), "{message}");
        for part in [&*found.to_string(), "1.1.65", "2.0.0", "npm i -g opencode-ai@1"] {
            assert!(message.contains(part), "{message}");
        }

        let request = world.request().with_backend(Backend::NewServer);
        let error = world.opencode.run(request).await.unwrap_err();
        assert_eq!(unsupported(&error).found.as_ref(), Some(&found));
        let error = world.opencode.serve(ServeRequest::new()).await.unwrap_err();
        assert!(matches!(error, ServeError::Version(_)), "{error:?}");
        assert_eq!(unsupported(&error).found.as_ref(), Some(&found));
        assert_eq!(world.calls().len(), 0, "something was started");
        world.assert_nothing_left();
    }
}

pub(crate) async fn of_another_line_stops_a_batch_at_once(on: &Host) {
    let world = world(on);
    world.fake.set_version("opencode v2.0.12").unwrap();
    let jobs = ["a", "b", "c", "d"].map(|name| {
        let directory = world.path(name);
        std::fs::create_dir(&directory).unwrap();
        Job::new("Hello?").with_id(name).with_directory(directory)
    });
    let mut batch = world.opencode.batch(BatchRequest::new(jobs).with_concurrency(4));
    let mut reasons = Vec::new();
    while let Some(event) = batch.next_event().await {
        if let BatchEvent::ServerFailed { reason, .. } = event {
            reasons.push(reason);
        }
    }
    let report = batch.outcome().await.unwrap();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains("OpenCode 2.0.12"), "{reasons:?}");
    assert_eq!((report.completed(), report.jobs.len()), (0, 4));
    for job in &report.jobs {
        let error = job.error.as_ref().expect("a job without a server").to_string();
        assert!(error.contains("2.0.12"), "{error}");
    }
    assert_eq!(world.calls().len(), 0, "something was started");
}

pub(crate) async fn that_is_missing_starts_nothing(on: &Host) {
    let world = world(on);
    world.fake.set_version("pretty much the newest").unwrap();
    let error = world.opencode.run(world.request()).await.unwrap_err();
    let RunError::Version(VersionError::NoVersion { printed, .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(printed, "pretty much the newest");
    assert_eq!(world.calls().len(), 0, "something was started");
    // A build from the sources has no number.
    world.fake.set_version("local").unwrap();
    world.opencode.run(world.request()).await.unwrap_err();
    assert_eq!(world.calls().len(), 1);
}

pub(crate) async fn is_asked_once_for_each_program(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    world.opencode.run(world.request()).await.unwrap();
    // The second run would wait for ever.
    world.hide_version();
    assert_eq!(world.opencode.run(world.request()).await.unwrap().text(), "Hello.");
}

pub(crate) async fn check_ends_with_a_cancelled_run(on: &Host) {
    let world = world(on);
    world.hide_version();
    let mut run = world.opencode.stream(world.request());
    on.until(&mut run, || world.processes().len() == 2).await;
    run.cancel();
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end().map(|end| end.name()), Some("cancelled"), "{error:?}");
    world.assert_nothing_left();
}

fn health(version: &str) -> ServerScript {
    let health = ServerReply::json(json!({ "healthy": true, "version": version }));
    ServerScript::new().on("GET", "/global/health", [health])
}

pub(crate) async fn is_in_reports_and_errors(on: &Host) {
    let answering = Behavior::new().read_stdin().stdout_raw(answer("Hello."));
    let world = ProgramWorld::with_attempts(on, [answering, Behavior::new().exit(3)]);
    world.fake.set_version("1.17.4").unwrap();
    let version = Version::new(1, 17, 4);
    let report = world.opencode.run(world.request()).await.unwrap();
    assert_eq!(report.version.as_ref(), Some(&version));
    let error = world.opencode.run(world.request()).await.unwrap_err();
    assert_eq!(error.report().unwrap().version.as_ref(), Some(&version));
    assert!(error.to_string().contains("` (OpenCode 1.17.4): "), "{error}");
    let error = world.opencode.serve(ServeRequest::new()).await.unwrap_err();
    assert!(matches!(error, ServeError::Ended { .. }), "{error:?}");
    assert!(error.to_string().contains("` (OpenCode 1.17.4): "), "{error}");
}

pub(crate) async fn of_a_server_is_in_reports(on: &Host) {
    let fake = answering_with(health("1.17.4"));
    let world = ProgramWorld::new(on, ready(Behavior::new(), &fake).hang());
    // A wrapper may start another version than the one that it reports.
    world.fake.set_version("1.17.3").unwrap();
    let server = world.opencode.serve(ServeRequest::new()).await.unwrap();
    assert_eq!(server.version(), Some(&Version::new(1, 17, 4)));
    let report = server.stop().await.unwrap();
    assert_eq!(report.version, Some(Version::new(1, 17, 4)));
}

fn lacking(error: &RunConfigError) -> &Unsupported {
    let RunConfigError::Unsupported(lacking) = error else { panic!("{error:?}") };
    lacking
}

pub(crate) async fn without_a_feature_starts_nothing(on: &Host) {
    let world = world(on);
    world.fake.set_version("1.3.2").unwrap();
    let config = |flags: RunFlags| RunConfig::new().with_flags(flags);
    let plain = config(RunFlags::new().with_plugins(Plugins::BuiltIn));
    let auto = config(RunFlags::new().with_approval(Approval::Auto));
    let request = |config: &RunConfig| world.request().with_config(config.clone());
    let over_a_server = request(&plain).with_backend(Backend::NewServer);
    for (request, feature) in [
        (request(&auto), Feature::AutoApproval),
        (request(&plain), Feature::BuiltInPlugins),
        (over_a_server, Feature::BuiltInPlugins),
    ] {
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Config(source) = &error else { panic!("{error:?}") };
        let lacking = lacking(source);
        assert_eq!((lacking.feature, &lacking.found), (feature, &Version::new(1, 3, 2)));
        assert_eq!(lacking.since, feature.since());
    }
    let flags = ServeFlags::new().with_plugins(Plugins::BuiltIn);
    let error = world.opencode.serve(ServeRequest::new().with_flags(flags)).await.unwrap_err();
    let ServeError::Config(source) = &error else { panic!("{error:?}") };
    assert_eq!(lacking(source).feature, Feature::BuiltInPlugins);
    let job = Job::new("Hello?").with_directory(world.path("project")).with_config(plain);
    let report = world.opencode.batch(BatchRequest::new([job])).outcome().await.unwrap();
    let error = report.jobs[0].error.as_ref().expect("a job without a server").to_string();
    assert!(error.contains("OpenCode 1.3.2 has no `--pure`"), "{error}");
    assert_eq!(world.calls().len(), 0, "something was started");
    world.assert_nothing_left();
}

pub(crate) async fn decides_the_spelling_of_flags(on: &Host) {
    for (version, flag) in [("1.14.34", "--dangerously-skip-permissions"), ("1.17.18", "--auto")] {
        let world =
            ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
        world.fake.set_version(version).unwrap();
        let flags = RunFlags::new().with_approval(Approval::Auto);
        let request: RunRequest = world.request().with_config(RunConfig::new().with_flags(flags));
        let report = world.opencode.run(request).await.unwrap();
        assert_eq!(report.outcome.end, RunEnd::Completed);
        let args = world.call().args;
        assert!(args.iter().any(|arg| arg == flag), "{version}: {args:?}");
    }
}

pub(crate) async fn without_metadata_of_sessions_creates_none(on: &Host) {
    let metadata = RawJson::parse(r#"{"ticket":7}"#).unwrap();
    let create = CreateSession::new().with_metadata(metadata);
    let old = FakeServer::start(health("1.15.12")).unwrap();
    let server = on.opencode().attach(old.url()).await.unwrap();
    let error = server.create_session(create.clone()).await.unwrap_err();
    let CallError::Unsupported(lacking) = &error else { panic!("{error:?}") };
    assert_eq!(lacking.feature, Feature::SessionMetadata);
    assert_eq!(old.requests_to("POST", "/session").len(), 0, "a session was created");
    let new = FakeServer::start(health("1.15.13")).unwrap();
    let server = on.opencode().attach(new.url()).await.unwrap();
    server.create_session(create).await.unwrap();
    assert_eq!(new.requests_to("POST", "/session")[0].json()["metadata"]["ticket"], 7);
}
