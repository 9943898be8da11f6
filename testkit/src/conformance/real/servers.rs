//! Servers of the real program: start, secrets, and death.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use futures_util::future::join;
use opencode_client::config::Credentials;
use opencode_client::process::Version;
use opencode_client::server::ServeEnd;
use opencode_client::{AttachError, AttachRequest, ServeRequest, Server};

use super::runs::{LONG, RunWorld, bash, permit, processes_of};
use crate::conformance::Host;
use crate::model::{Reply, Script};
use crate::opencode::version;
use crate::processes::{LeakCheck, eventually, kill};

fn request(world: &RunWorld) -> ServeRequest {
    ServeRequest::new().with_config(world.config()).with_directory(world.project())
}

fn proc_file(pid: u32, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{name}")).unwrap()
}

pub(crate) async fn a_server_hides_its_password_and_reports_its_death(on: &Host) {
    let _permit = permit();
    let world = RunWorld::new(on);
    let server = world.opencode.serve(request(&world)).await.unwrap();
    assert_eq!(server.version().map(Version::to_string).as_deref(), Some(version()));
    assert_eq!(server.directory(), world.project().to_str());
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.url());
    assert!(!server.url().ends_with(":4096"), "{}", server.url());
    assert!(server.warnings().is_empty(), "{:?}", server.warnings());
    let health = server.health().await.unwrap();
    assert_eq!((health.healthy, &*health.version), (true, version()));

    // The password is in the environment of the process and nowhere else.
    let pid = server.process_id().unwrap();
    let environ = String::from_utf8(proc_file(pid, "environ")).unwrap();
    let value = |name: &str| environ.split('\0').find_map(|entry| entry.strip_prefix(name));
    let password = value("OPENCODE_SERVER_PASSWORD=").unwrap().to_owned();
    assert!(password.len() >= 32 && password.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(value("OPENCODE_SERVER_USERNAME="), None);
    let cmdline = String::from_utf8(proc_file(pid, "cmdline")).unwrap();
    assert!(cmdline.contains("serve") && !cmdline.contains(&password), "{cmdline}");
    assert!(!format!("{server:?} {:?}", server.command()).contains(&password));

    // Other clients need the password.
    let attach = |request: AttachRequest| world.opencode.attach(request);
    let wrong = AttachRequest::new(server.url()).with_credentials(Credentials::new("wrong"));
    for request in [AttachRequest::new(server.url()), wrong] {
        let error = attach(request).await.unwrap_err();
        let AttachError::Unauthorized { url } = &error else { panic!("{error:?}") };
        assert_eq!(*url, server.url());
        let message = error.to_string();
        assert!(message.starts_with(&format!("{url} rejected the credentials")), "{message}");
    }
    let right = AttachRequest::new(server.url()).with_credentials(Credentials::new(password));
    let attached = attach(right).await.unwrap();
    assert_eq!((attached.version(), attached.process_id()), (server.version(), None));
    assert_eq!(attached.stop().await.unwrap().outcome, None);
    assert!(server.health().await.unwrap().healthy, "stopping an attached server ended it");

    // Another process kills the server.
    assert!(server.is_running());
    let process = world.processes().into_iter().find(|process| process.pid == pid).unwrap();
    kill(&process).unwrap();
    let outcome = server.exited().await;
    assert_eq!(outcome.end, ServeEnd::Exited);
    assert_eq!(outcome.exit.unwrap().to_string(), "signal 9");
    assert_eq!(outcome.url, Some(server.url()));
    assert!(!server.is_running());
    server.health().await.unwrap_err();
    let report = server.stop().await.unwrap();
    assert_eq!((report.outcome, report.aborted.len()), (Some(outcome), 0));
    world.assert_nothing_left();
}

/// Command line of the tool of [`working`].
const TOOL: [&str; 2] = ["sleep", "300"];

pub(crate) async fn a_server_with_a_running_tool_leaves_nothing(on: &Host) {
    let _permit = permit();
    let world = RunWorld::new(on);
    let check = LeakCheck::new(world.path("temp")).unwrap();
    let server = working(on, &world).await;

    let (one, other) = (server.clone(), server.clone());
    let (one, other) = join(one.stop(), other.stop()).await;

    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.outcome, other.outcome);
    assert_eq!(one.outcome.unwrap().end, ServeEnd::Stopped);
    assert_eq!(one.aborted.len(), 1);
    check.assert_nothing_added();
    world.assert_nothing_left();
    assert!(!server.is_running());
    server.stop().await.unwrap();

    let server = working(on, &world).await;
    drop(server);
    check.assert_nothing_added();
    world.assert_nothing_left();
}

/// Starts a server with a running tool.
async fn working(on: &Host, world: &RunWorld) -> Server {
    world.model.default_script(Script::new().then(Reply::new().tool("bash", bash("sleep 300"))));
    let request = request(world).with_credentials(Credentials::new("pw"));
    let server = world.opencode.serve(request).await.unwrap();
    let (url, root) = (server.url(), world.root());
    let work = move || {
        let session = post(&url, "/session", r#"{"title":"a test"}"#);
        let session: serde_json::Value = serde_json::from_str(&session).unwrap();
        let path = format!("/session/{}/prompt_async", session["id"].as_str().unwrap());
        post(&url, &path, r#"{"parts":[{"type":"text","text":"Sleep."}]}"#);
        eventually(LONG, || {
            let processes = processes_of(&root);
            let works = processes.iter().any(|process| process.cmdline == TOOL);
            if works { Ok(()) } else { Err(processes) }
        });
    };
    on.blocking(work).await;
    server
}

/// Sends a request with the password `pw`, without the client.
fn post(url: &str, path: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         authorization: Basic b3BlbmNvZGU6cHc=\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 20"), "{reply}");
    reply.split_once("\r\n\r\n").unwrap().1.to_owned()
}
