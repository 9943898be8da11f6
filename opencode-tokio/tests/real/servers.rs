//! Servers of the real program that do not start.

use std::net::TcpListener;

use opencode_tokio::config::{Isolation, UserConfig};
use opencode_tokio::{RunConfig, ServeError, ServeRequest};
use testkit::conformance::real::runs::{RunWorld, object, permit};

use crate::on;

fn request(world: &RunWorld) -> ServeRequest {
    ServeRequest::new().with_config(world.config()).with_directory(world.project())
}

#[tokio::test]
async fn a_given_port_in_use_is_an_error_and_is_not_replaced() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = world.opencode.serve(request(&world).with_port(port)).await.unwrap_err();
    let ServeError::Listen { command, version, address, source, stderr, .. } = &error else {
        panic!("{error:?}")
    };
    let version = version.as_ref().expect("the program was asked for its version");
    assert_eq!(*address, format!("127.0.0.1:{port}"));
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    assert!(stderr.contains("ServeError"), "{stderr}");
    let expected = format!("`{command}` (OpenCode {version}) cannot listen on {address}");
    assert_eq!(error.to_string(), expected);
    world.assert_nothing_left();
}

#[tokio::test]
async fn an_invalid_config_is_an_error_with_the_message_of_opencode() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    let file = world.write("project/opencode.json", r#"{"permission": 12}"#);
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::InvalidConfig { message, .. } = &error else { panic!("{error:?}") };
    let expected = format!("Configuration is invalid at {}\n↳ Expected ", file.display());
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.ends_with(", got 12 permission"), "{message}");
    assert!(error.to_string().contains(message), "{error}");
    world.assert_nothing_left();

    // OpenCode reads the config of the user before it listens.
    std::fs::remove_file(file).unwrap();
    let user = world.write("home/.config/opencode/opencode.json", r#"{"permission": 12}"#);
    let isolation = Isolation::new().with_user_config(UserConfig::Inherit);
    let config =
        RunConfig::new().with_overrides(object(&world.model.config())).with_isolation(isolation);
    let request = request(&world).with_config(config);
    let error = world.opencode.serve(request).await.unwrap_err();
    let ServeError::InvalidConfig { message, stderr, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains(user.to_str().unwrap()), "{message}");
    assert!(stderr.contains("got 12 permission"), "{stderr}");
    assert_eq!(error.stderr(), Some(&**stderr));
}
