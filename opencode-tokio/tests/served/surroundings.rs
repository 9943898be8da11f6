//! Plugins and MCP servers that do not work, over a process and over servers.

use opencode_tokio::api::{McpServer, McpStatus};
use opencode_tokio::config::Credentials;
use opencode_tokio::process::{PluginFault, Warning};
use opencode_tokio::run::{Backend, Notice};
use opencode_tokio::server::CallOptions;
use opencode_tokio::{
    AttachError, AttachRequest, CreateSession, RunConfig, RunEnd, RunEvent, RunEventKind,
    ServeError, ServeRequest,
};
use serde_json::json;
use testkit::conformance::real::runs::{RunWorld, permit};
use testkit::model::{Gate, Reply, Script};

use crate::on;

/// A project with plugins that do not compile and whose function fails, and a config with an MCP
/// server whose program is missing and one that is switched off.
fn broken(world: &RunWorld) -> RunConfig {
    let throwing = "export const Throwing = async () => { throw new Error('boom at init') }";
    world.write("project/throwing.js", throwing);
    world.write("project/broken.js", "export const Broken = async ( => {");
    let plugins = json!({ "plugin": ["./throwing.js", "./broken.js"] });
    world.write("project/opencode.json", plugins.to_string());
    world
        .config()
        .with_mcp("gone", json!({ "type": "local", "command": ["/no/such/program"] }))
        .with_mcp("off", json!({ "type": "local", "command": ["true"], "enabled": false }))
}

fn plugin(world: &RunWorld, file: &str, reason: &str) -> PluginFault {
    let path = world.project().join(file);
    PluginFault::new(format!("file://{}", path.display()), reason)
}

/// An MCP server that exits when its tool is called.
const DYING: &str = r"
const lines = require('readline').createInterface({ input: process.stdin });
const results = {
    initialize: ({ protocolVersion }) => ({
        protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'dying', version: '1' },
    }),
    'tools/list': () => ({
        tools: [{ name: 'die', description: 'd', inputSchema: { type: 'object', properties: {} } }],
    }),
    'tools/call': () => process.exit(3),
};
lines.on('line', line => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const result = results[method] ? results[method](params) : {};
    process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\n');
});
";

/// Warnings without their types, in an order of their own.
fn texts(warnings: &[Warning]) -> Vec<String> {
    let mut texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn a_process_reports_what_its_log_names() {
    let world = RunWorld::new(&on());
    let request = world.request_with("Hello?", broken(&world));
    let mut run = world.start(request);
    let events = run.events().await;
    let report = run.outcome().await.unwrap();

    let throwing = plugin(&world, "throwing.js", "boom at init");
    let gone = McpServer::new("gone", McpStatus::Failed { error: None });
    let expected = [Notice::PluginFailed(throwing.clone()), Notice::McpUnavailable(gone.clone())];
    assert_eq!(report.outcome.notices, expected);
    let notices = events.into_iter().filter_map(|event| {
        let RunEventKind::Notice(notice) = event.kind else { return None };
        Some(notice)
    });
    assert_eq!(notices.collect::<Vec<_>>(), expected);
    let [Warning::PluginFailed(plugin), Warning::McpUnavailable(server)] = &report.warnings[..]
    else {
        panic!("{:?}", report.warnings)
    };
    assert_eq!((plugin, server), (&throwing, &gone));
    assert_eq!(report.text(), "Hello from the scripted model.");
}

#[tokio::test]
async fn a_server_reports_everything_with_the_reasons() {
    let world = RunWorld::new(&on());
    let request = world.request_with("Hello?", broken(&world)).with_backend(Backend::NewServer);
    let report = world.run(request).await.unwrap();
    let broken = format!(
        "plugin `file://{}` was not loaded: Unexpected =>",
        world.project().join("broken.js").display()
    );
    let gone = "MCP server `gone`: failed: ENOENT: no such file or directory, posix_spawn \
        '/no/such/program'";
    let throwing = plugin(&world, "throwing.js", "boom at init").to_string();
    let expected = [gone.to_owned(), broken, throwing];
    assert_eq!(texts(&report.warnings), expected);
    assert!(!report.outcome.notices.is_empty(), "{report:?}");

    let _permit = permit();
    let request =
        ServeRequest::new().with_directory(world.project()).with_config(self::broken(&world));
    let server = world.opencode.serve(request).await.unwrap();
    let status = |name: &str, servers: &[McpServer]| {
        servers.iter().find(|server| server.name == name).map(|server| server.status.clone())
    };
    let servers = server.mcp_servers().await.unwrap();
    assert_eq!(status("off", &servers), Some(McpStatus::Disabled));
    assert!(matches!(status("gone", &servers), Some(McpStatus::Failed { error: Some(_) })));
    assert_eq!(texts(&server.warnings()), expected);

    // A run on the server has the warnings of the directory.
    let request = world.request("Hello?").with_config(RunConfig::new()).with_backend(&server);
    let report = world.opencode.run(request).await.unwrap();
    assert!(texts(&report.warnings).contains(&gone.to_owned()), "{:?}", report.warnings);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_required_mcp_server_that_does_not_start_ends_a_run() {
    let world = RunWorld::new(&on());
    let config = || broken(&world).with_required_mcp(["gone"]);
    let error = world.run(world.request_with("Hello?", config())).await.unwrap_err();
    let gone = McpServer::new("gone", McpStatus::Failed { error: None });
    assert_eq!(error.end(), Some(&RunEnd::McpUnavailable(Box::new(gone))));

    let sent = world.model.requests().len();
    let request = world.request_with("Hello?", config()).with_backend(Backend::NewServer);
    let error = world.run(request).await.unwrap_err();
    let is_reason = |end: Option<&RunEnd>| match end {
        Some(RunEnd::McpUnavailable(server)) => {
            server.name == "gone"
                && server.status.error().is_some_and(|error| error.contains("ENOENT"))
        }
        _ => false,
    };
    assert!(is_reason(error.end()), "{error:?}");

    let _permit = permit();
    let request = ServeRequest::new().with_directory(world.project()).with_config(broken(&world));
    let server = world.opencode.serve(request).await.unwrap();
    for (name, expected) in [("gone", "failed: ENOENT"), ("other", "no config names the server")] {
        let config = RunConfig::new().with_required_mcp([name]);
        let request = world.request("Hello?").with_config(config).with_backend(&server);
        let error = world.opencode.run(request).await.unwrap_err();
        let text = error.end().unwrap().to_string();
        assert!(text.starts_with(&format!("a required MCP server `{name}`: {expected}")), "{text}");
    }
    server.stop().await.unwrap();
    assert_eq!(world.model.requests().len(), sent, "a server was asked before the model was");
}

#[tokio::test]
async fn a_server_starts_only_with_the_required_mcp_servers() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    for (name, expected) in [("gone", "failed: ENOENT"), ("off", "disabled in the config")] {
        let config = broken(&world).with_required_mcp([name]);
        let request = ServeRequest::new().with_directory(world.project()).with_config(config);
        let error = world.opencode.serve(request).await.unwrap_err();
        let ServeError::McpUnavailable { server, .. } = &error else { panic!("{error:?}") };
        assert_eq!(server.name, name);
        let text = error.to_string();
        assert!(text.starts_with(&format!("a required MCP server `{name}`: {expected}")), "{text}");
        world.assert_nothing_left();
    }
}

#[tokio::test]
async fn an_mcp_server_that_dies_in_a_call_is_reported_at_once() {
    let world = RunWorld::new(&on());
    let server = world.write("project/dying.cjs", DYING);
    let command = ["node", server.to_str().unwrap()];
    for backend in [Backend::Process, Backend::NewServer] {
        let gate = Gate::new();
        world.model.default_script(
            Script::new()
                .then(Reply::new().tool("dying_die", json!({})))
                .then(Reply::new().pause_until(&gate).text("It is gone.")),
        );
        let config = world
            .config()
            .with_mcp("dying", json!({ "type": "local", "command": command }))
            .with_required_mcp(["dying"]);
        let request = world.request_with("Call it.", config).with_backend(backend.clone());
        let mut run = world.start(request);
        let lost =
            |event: &RunEvent| matches!(event.kind, RunEventKind::Notice(Notice::McpLost(_)));
        // The model is not answered before the event has come.
        run.until(lost).await;
        gate.open();
        let report = run.outcome().await.unwrap();
        assert_eq!(report.text(), "It is gone.");
        assert_eq!(report.answer().tools()[0].state.status(), "error");
        let expected = ["MCP server `dying`: failed: Connection closed"];
        assert_eq!(texts(&report.warnings), expected, "{backend:?}");
    }
}

/// Sessions in other directories than that of the server.
#[tokio::test]
async fn sessions_in_another_directory_are_surveyed_once() {
    let world = RunWorld::new(&on());
    let _permit = permit();
    let config = broken(&world);
    let other = world.path("other");
    world.write("other/opencode.json", r#"{ "plugin": ["./throwing.js"] }"#);
    world.write("other/throwing.js", "export const A = async () => { throw new Error('other') }");
    let request = ServeRequest::new()
        .with_directory(world.project())
        .with_config(config)
        .with_credentials(Credentials::new("secret"));
    let server = world.opencode.serve(request).await.unwrap();
    let before = server.warnings().len();
    let elsewhere = server.with_options(CallOptions::new().with_directory(other.to_str().unwrap()));
    for _ in 0..2 {
        elsewhere.create_session(CreateSession::new()).await.unwrap();
    }
    let added = texts(&server.warnings()[before..]);
    let [gone, plugin] = &added[..] else { panic!("{added:?}") };
    assert!(gone.starts_with("MCP server `gone`: failed"), "{gone}");
    assert!(plugin.contains("other/throwing.js") && plugin.contains("other"), "{plugin}");

    // A client that attaches knows what OpenCode lists.
    let attach = |directory: &std::path::Path| {
        AttachRequest::new(server.url())
            .with_credentials(Credentials::new("secret"))
            .with_directory(directory.to_str().unwrap())
    };
    let attached = world.opencode.attach(attach(&world.project())).await.unwrap();
    assert!(attached.warnings().is_empty(), "{:?}", attached.warnings());
    attached.create_session(CreateSession::new()).await.unwrap();
    assert_eq!(texts(&attached.warnings()), *std::slice::from_ref(gone));
    let required = attach(&other).with_required_mcp(["gone"]);
    let error = world.opencode.attach(required).await.unwrap_err();
    let AttachError::McpUnavailable { server: missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(missing.name, "gone");
    assert!(error.to_string().contains("a required MCP server `gone`: failed"), "{error}");
    server.stop().await.unwrap();
}
