//! A server that all tests of a process share: it outlives every one of them.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::{env, fs, thread};

use opencode_client::{Binary, Environment, OpenCode, ServeRequest};

use crate::conformance::Host;

/// A directory below `parent` for this process, with a `home`, a `project` and a `temp` in it.
///
/// Nothing of this process runs when its statics are gone: the next one removes the directory.
pub fn directory(parent: &Path, prefix: &str) -> PathBuf {
    let root = parent.join(format!("{prefix}{}", std::process::id()));
    remove_those_of_the_dead(parent, prefix);
    for name in ["home", "project", "temp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    // OpenCode tells real paths, and the directory may be behind a link.
    root.canonicalize().unwrap()
}

fn remove_those_of_the_dead(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let process = name.strip_prefix(prefix).and_then(|process| process.parse::<u32>().ok());
        let Some(process) = process else { continue };
        if process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists() {
            // Another process may be faster.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Keeps OpenCode from installing its plugin package into the `.opencode` of a project, which takes a while without a
/// network, and is waited for where there are plugins or tools.
pub fn install_nothing(project: &Path) {
    const LOCK: &str =
        r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"*"}}}}"#;
    let directory = project.join(".opencode");
    fs::create_dir_all(directory.join("node_modules")).unwrap();
    fs::write(directory.join("package-lock.json"), LOCK).unwrap();
}

/// The real program, for a user whose home is in that directory.
pub fn opencode(on: &Host, root: &Path) -> OpenCode {
    let mut environment = Environment::new();
    environment.set("HOME", root.join("home"));
    environment.set("PATH", env::var_os("PATH").unwrap());
    environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
    // A config of the machine must not decide these tests.
    environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
    on.builder()
        .binary(Binary::Path(crate::opencode::binary().unwrap()))
        .environment(environment)
        .temp_dir(root.join("temp"))
        .build()
}

/// Starts the server on a thread that outlives every test, and says where it is. When this process ends, the guardian ends
/// the server.
pub fn serve(on: &Host, opencode: OpenCode, request: ServeRequest) -> String {
    let (told, url) = mpsc::channel();
    let on = on.clone();
    thread::spawn(move || {
        on.block_on(async {
            let server = opencode.serve(request).await.unwrap();
            told.send(server.url()).unwrap();
            server.exited().await;
        });
    });
    url.recv().expect("the server starts")
}
