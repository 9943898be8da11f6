//! Servers that start: what they are, and what can be seen of them.

use std::fs;

use opencode_tokio::{AttachError, AttachRequest, Credentials, ServeEnd, ServeRequest, Version};
use testkit::opencode::VERSION;
use testkit::processes::kill;

use crate::world::{World, permit};

pub(crate) fn request(world: &World) -> ServeRequest {
    ServeRequest::new().with_config(world.config()).with_directory(world.project())
}

fn proc_file(pid: u32, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{name}")).unwrap()
}

#[tokio::test]
async fn a_server_is_ready_keeps_its_password_and_is_noticed_when_it_is_killed() {
    let _permit = permit().await;
    let world = World::new();
    let server = world.opencode.serve(request(&world)).await.unwrap();
    assert_eq!(server.version().map(Version::to_string).as_deref(), Some(VERSION));
    assert_eq!(server.directory(), world.project().to_str());
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.url());
    assert!(!server.url().ends_with(":4096"), "{}", server.url());
    assert!(server.warnings().is_empty(), "{:?}", server.warnings());
    let health = server.health().await.unwrap();
    assert_eq!((health.healthy, &*health.version), (true, VERSION));

    // What the process was given is nowhere but in its environment.
    let pid = server.process_id().unwrap();
    let environ = String::from_utf8(proc_file(pid, "environ")).unwrap();
    let value = |name: &str| environ.split('\0').find_map(|entry| entry.strip_prefix(name));
    let password = value("OPENCODE_SERVER_PASSWORD=").unwrap().to_owned();
    assert!(password.len() >= 32 && password.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(value("OPENCODE_SERVER_USERNAME="), None);
    let cmdline = String::from_utf8(proc_file(pid, "cmdline")).unwrap();
    assert!(cmdline.contains("serve") && !cmdline.contains(&password), "{cmdline}");
    assert!(!format!("{server:?} {:?}", server.command()).contains(&password));

    // Others need it.
    let attach = |request: AttachRequest| world.opencode.attach(request);
    let wrong = AttachRequest::new(server.url()).with_credentials(Credentials::new("wrong"));
    for request in [AttachRequest::new(server.url()), wrong] {
        let error = attach(request).await.unwrap_err();
        let AttachError::Unauthorized { url } = &error else { panic!("{error:?}") };
        assert_eq!(*url, server.url());
        assert_eq!(error.to_string(), format!("{url} wants other credentials"));
    }
    let right = AttachRequest::new(server.url()).with_credentials(Credentials::new(password));
    let attached = attach(right).await.unwrap();
    assert_eq!((attached.version(), attached.process_id()), (server.version(), None));
    assert_eq!(attached.stop().await.unwrap().outcome, None);
    assert!(server.health().await.unwrap().healthy, "it is not the attached one's");

    // Somebody else ends it.
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
