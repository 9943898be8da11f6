//! Secrets in `Debug` and `Display` output.

use std::error::Error;
use std::fmt::Debug;
use std::fs;

use opencode_client::config::{Attach, Credentials, Environment, RunFlags};
use opencode_client::log::EventLogConfig;
use opencode_client::process::Binary;
use opencode_client::run::StartupRetry;
use opencode_client::{OpenCode, RunConfig, RunRequest};
use serde_json::json;

use crate::conformance::Host;
use crate::conformance::lines::{DATABASE_LOCKED, START, answer};
use crate::conformance::world::ProgramWorld;
use crate::fake::Behavior;

/// The secret, put into every place where a secret may be.
const SECRET: &str = "hunter2";

#[track_caller]
fn assert_hidden(shown: &str) {
    assert!(!shown.contains(SECRET), "{shown}");
}

#[track_caller]
fn assert_debug_hides(value: &impl Debug) {
    assert_hidden(&format!("{value:?}"));
    assert_hidden(&format!("{value:#?}"));
}

/// Checks `Display` and `Debug` of an error and of the sources.
#[track_caller]
fn assert_error_hides(error: &(impl Error + 'static)) {
    assert_debug_hides(error);
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        assert_hidden(&error.to_string());
        assert_hidden(&format!("{error:?}"));
        next = error.source();
    }
}

fn environment(world: &ProgramWorld) -> Environment {
    let mut environment = world.environment();
    environment.set("SOME_API_KEY", SECRET);
    environment.set("OPENCODE_AUTH_CONTENT", format!("{{\"x\":\"{SECRET}\"}}"));
    environment
}

fn config() -> RunConfig {
    let server = json!({ "type": "local", "command": ["x"], "environment": { "KEY": SECRET } });
    let overrides = json!({ "provider": { "x": { "options": { "apiKey": SECRET } } } });
    let credentials = Credentials::new(SECRET).with_username("me");
    let attach = Attach::new("http://127.0.0.1:1").with_credentials(credentials);
    RunConfig::new()
        .with_env("EXTRA_KEY", SECRET)
        .with_mcp("server", server)
        .with_overrides(overrides.as_object().unwrap().clone())
        .with_flags(RunFlags::new().with_attach(attach))
}

fn request(world: &ProgramWorld) -> RunRequest {
    request_for(world, &format!("My password is {SECRET}."))
}

fn request_for(world: &ProgramWorld, prompt: &str) -> RunRequest {
    world.request_for(prompt).with_config(config()).with_retry(StartupRetry::NONE)
}

/// Writes config files of the user, one of which is malformed.
fn write_user_config(world: &ProgramWorld) {
    let config = world.path("home/.config/opencode");
    fs::create_dir_all(&config).unwrap();
    let provider = json!({ "provider": { "y": { "options": { "apiKey": SECRET } } } });
    fs::write(config.join("config.json"), provider.to_string()).unwrap();
    fs::write(config.join("opencode.json"), format!("{{ \"provider\": {SECRET} }}")).unwrap();
}

fn handle(world: &ProgramWorld) -> OpenCode {
    world.builder().environment(environment(world)).build()
}

pub(crate) async fn are_hidden_in_debug_output_of_a_running_run(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    write_user_config(&world);
    let builder = world.builder().environment(environment(&world));
    assert_debug_hides(&builder);
    let opencode = builder.build();
    assert_debug_hides(&opencode);
    assert!(format!("{opencode:?}").contains("fake/opencode"), "{opencode:?}");
    let request = request(&world);
    assert_debug_hides(&request);
    let size = format!("prompt_size: {}", request.prompt().len());
    assert!(format!("{request:?}").contains(&size), "{request:?}");
    assert_debug_hides(request.config());
    assert_debug_hides(request.config().flags());

    let mut run = opencode.stream(request);
    assert_debug_hides(&run);
    while let Some(event) = run.next_event().await {
        assert_debug_hides(&run);
        assert_debug_hides(&event);
        assert_debug_hides(&run.answer());
    }
    assert_debug_hides(&run);
    let report = run.outcome().await.unwrap();
    assert_debug_hides(&report);
    assert_hidden(&report.command);
    assert_eq!(report.warnings.len(), 1, "one for the malformed file: {:?}", report.warnings);
    assert_hidden(&format!("{} {:?}", report.warnings[0], report.warnings[0]));
    // The program itself did get the secret.
    let call = world.call();
    assert!(String::from_utf8_lossy(&call.stdin.unwrap()).contains(SECRET));
    let names: Vec<_> = call
        .env
        .iter()
        .filter(|(_, value)| value.to_string_lossy().contains(SECRET))
        .map(|(name, _)| name.to_str().unwrap())
        .collect();
    let expected = [
        "EXTRA_KEY",
        "OPENCODE_AUTH_CONTENT",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_SERVER_PASSWORD",
        "SOME_API_KEY",
    ];
    assert_eq!(names, expected);
    assert!(call.args.iter().all(|arg| !arg.to_string_lossy().contains(SECRET)));
}

pub(crate) async fn are_hidden_in_errors_of_failed_runs(on: &Host) {
    for behavior in [
        Behavior::new().exit(1),
        Behavior::new().stderr_line(DATABASE_LOCKED).exit(1),
        Behavior::new().stdout_line(START).exit(3),
        Behavior::new().stdout_line("{\"type\":\"text\",\"part\":7}").exit(2),
        Behavior::new().stdout_line(START).kill_self(crate::fake::Signal::Kill),
    ] {
        let world = ProgramWorld::new(on, behavior);
        write_user_config(&world);
        assert_error_hides(&handle(&world).run(request(&world)).await.unwrap_err());
    }
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Hello.")));
    let log = EventLogConfig::new("/dev/full");
    assert_error_hides(&handle(&world).run(request(&world).with_log(log)).await.unwrap_err());
}

pub(crate) async fn are_hidden_in_errors_of_runs_that_did_not_start(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new());
    let huge = SECRET.repeat(50_000);
    let prompt = |prompt: &str| request_for(&world, prompt);
    let with = |change: fn(RunConfig) -> RunConfig| request(&world).with_config(change(config()));
    for request in [
        request(&world).with_directory(world.path("missing")),
        request(&world).with_log(EventLogConfig::new("/nonexistent/log")),
        request(&world).with_config(config().with_env("HUGE", &huge)),
        prompt(""),
        with(|config| config.with_env("A=B", SECRET)),
        with(|config| config.with_env("NUL", format!("{SECRET}\0"))),
        with(|config| config.with_env("PWD", SECRET)),
        with(|config| config.with_env("OPENCODE_CONFIG_CONTENT", SECRET)),
        with(|config| config.with_agent(format!("{}\0", "x"))),
    ] {
        assert_error_hides(&handle(&world).run(request).await.unwrap_err());
    }
    assert_eq!(world.calls().len(), 0);

    for builder in [
        world.builder().temp_dir("/nonexistent"),
        world.builder().temp_dir("relative"),
        world.builder().binary(Binary::Path("/nonexistent/opencode".into())),
    ] {
        let opencode = builder.environment(environment(&world)).build();
        assert_error_hides(&opencode.run(request(&world)).await.unwrap_err());
        assert_error_hides(&opencode.version().await.unwrap_err());
    }
}
