//! The reference servers of the Model Context Protocol.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use opencode_tokio::run::Backend;
use opencode_tokio::{RunConfig, RunReport};
use serde_json::{Value, json};
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{Reply, Script};

use crate::on;

fn script(package: &str) -> String {
    let path = rivals::node_modules().join("@modelcontextprotocol").join(package);
    path.join("dist/index.js").to_str().unwrap().to_owned()
}

fn local(command: &[&str]) -> Value {
    json!({ "type": "local", "command": command })
}

/// Output of the tool with this name.
fn output(report: &RunReport, tool: &str) -> String {
    let tools = report.answer().tools();
    let called = tools.iter().find(|called| *called.tool == *tool).unwrap();
    assert_eq!(called.state.status(), "completed", "{called:?}");
    called.state.output().unwrap().to_string()
}

async fn run(
    world: &RunWorld,
    config: RunConfig,
    calls: &[(&str, Value)],
    backend: Backend,
) -> RunReport {
    let script = calls.iter().fold(Script::new(), |script, (tool, arguments)| {
        script.then(Reply::new().tool(tool, arguments.clone()))
    });
    world.model.default_script(script.then(Reply::new().text("Done.")));
    let request = world.request_with("Use the tools.", config).with_backend(backend);
    let report = world.run(request).await.unwrap();
    assert_eq!(report.text(), "Done.");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    report
}

#[tokio::test]
async fn servers_over_standard_streams_are_used_and_leave_nothing() {
    let world = RunWorld::new(&on());
    world.write("project/note.txt", "the text of the note");
    let (node, project) = (rivals::node(), world.project());
    let (everything, filesystem) = (script("server-everything"), script("server-filesystem"));
    for backend in [Backend::Process, Backend::NewServer] {
        let config = world
            .config()
            .with_mcp("everything", local(&[&node, &everything, "stdio"]))
            .with_mcp("files", local(&[&node, &filesystem, project.to_str().unwrap()]))
            .with_required_mcp(["everything", "files"]);
        let path = project.join("note.txt");
        let calls = [
            ("everything_echo", json!({ "message": "over pipes" })),
            ("files_read_text_file", json!({ "path": path })),
        ];
        let report = run(&world, config, &calls, backend).await;
        assert!(output(&report, "everything_echo").contains("over pipes"));
        assert!(output(&report, "files_read_text_file").contains("the text of the note"));
    }
}

/// A server that listens, and is killed when the value is dropped.
struct Listening(Child);

impl Drop for Listening {
    fn drop(&mut self) {
        // An error means that the server has exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listen(port: u16) -> Listening {
    let mut child = Command::new(rivals::node())
        .args([&script("server-everything"), "streamableHttp"])
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = format!("listening on port {port}");
    assert!(lines.by_ref().any(|line| line.unwrap().contains(&ready)), "the server listens");
    // The pipe stays open, and is read to the end.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Listening(child)
}

#[tokio::test]
async fn a_server_over_http_is_used_and_required() {
    let world = RunWorld::new(&on());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let config = || {
        let remote = json!({ "type": "remote", "url": url, "oauth": false });
        world.config().with_mcp("everything", remote).with_required_mcp(["everything"])
    };
    for backend in [Backend::Process, Backend::NewServer] {
        let listening = listen(port);
        let calls = [("everything_echo", json!({ "message": "over HTTP" }))];
        let report = run(&world, config(), &calls, backend.clone()).await;
        assert!(output(&report, "everything_echo").contains("over HTTP"));

        drop(listening);
        let request = world.request_with("Use the tools.", config()).with_backend(backend);
        let error = world.run(request).await.unwrap_err();
        assert_eq!(error.end().unwrap().name(), "mcp_unavailable", "{error:?}");
    }
}
