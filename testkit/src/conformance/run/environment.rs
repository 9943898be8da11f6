//! Environment and files of the program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use opencode_client::RunConfig;
use opencode_client::config::{CacheHome, DataHome, Isolation, TempHome, UserConfig};

use crate::conformance::Host;
use crate::conformance::lines::{START, answer};
use crate::conformance::world::ProgramWorld;
use crate::fake::{Behavior, Call};

fn answering(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

fn value<'a>(call: &'a Call, name: &str) -> Option<&'a OsStr> {
    call.env.get(OsStr::new(name)).map(AsRef::as_ref)
}

/// All entries of a directory tree with their permissions, without following links.
fn contents(directory: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, metadata));
    }
    found
}

pub(crate) async fn the_program_starts_in_the_directory_of_the_run(on: &Host) {
    let world = answering(on);
    // `PWD` keeps the link, while the working directory is resolved.
    let link = world.path("link");
    std::os::unix::fs::symlink(world.path("project"), &link).unwrap();
    let mut environment = world.environment();
    environment.set("PWD", "/somewhere/else");
    environment.set("OLDPWD", "/before");
    let opencode = world.builder().environment(environment).build();
    opencode.run(world.request().with_directory(&link)).await.unwrap();
    let call = world.call();
    assert_eq!(value(&call, "PWD"), Some(link.as_os_str()));
    assert_eq!(call.cwd, world.path("project"));
}

pub(crate) async fn every_run_has_a_marker_of_its_own(on: &Host) {
    let world = answering(on);
    world.opencode.run(world.request()).await.unwrap();
    world.opencode.run(world.request()).await.unwrap();
    let marks: Vec<_> = world
        .calls()
        .iter()
        .map(|call| value(call, "OPENCODE_RS_RUN").unwrap().to_owned())
        .collect();
    assert_ne!(marks[0], marks[1]);

    // A run inside a tool of another run extends the marker of the outer run.
    let mut environment = world.environment();
    environment.set("OPENCODE_RS_RUN", &marks[0]);
    world.builder().environment(environment).build().run(world.request()).await.unwrap();
    let calls = world.calls();
    let nested = value(&calls[2], "OPENCODE_RS_RUN").unwrap().to_str().unwrap();
    let (outer, own) = nested.split_once(':').unwrap();
    assert_eq!(outer, marks[0].to_str().unwrap());
    assert!(!own.is_empty() && own != outer);
}

pub(crate) async fn variables_of_a_surrounding_opencode_are_removed(on: &Host) {
    let world = answering(on);
    let mut environment = world.environment();
    let leaks = [
        "AGENT",
        "OPENCODE",
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_CONFIG_DIR",
        "OPENCODE_DB",
        "OPENCODE_PERMISSION",
        "OPENCODE_PID",
        "OPENCODE_SERVER_PASSWORD",
        "OPENCODE_SERVER_USERNAME",
    ];
    for name in leaks {
        environment.set(name, "leaked");
    }
    environment.set("SOME_API_KEY", "kept");
    let opencode = world.builder().environment(environment).build();
    let config = RunConfig::new().with_env("EXTRA", "added");
    opencode.run(world.request().with_config(config)).await.unwrap();

    let call = world.call();
    for name in leaks {
        assert_ne!(value(&call, name), Some(OsStr::new("leaked")), "{name}");
    }
    assert_eq!(value(&call, "SOME_API_KEY"), Some(OsStr::new("kept")));
    assert_eq!(value(&call, "EXTRA"), Some(OsStr::new("added")));
    assert_eq!(value(&call, "HOME"), Some(world.path("home").as_os_str()));
    // Other variables with this prefix belong to the library or to the fake program.
    let known = [
        "OPENCODE_CLIENT",
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_FAKE",
        "OPENCODE_RS_RUN",
        "OPENCODE_TEST_HOME",
    ];
    let names: Vec<_> = call
        .env
        .keys()
        .filter_map(|name| name.to_str())
        .filter(|name| name.starts_with("OPENCODE"))
        .collect();
    assert_eq!(names, known);
}

pub(crate) async fn private_files_are_readable_by_their_owner_only(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_line(START).hang());
    let provider = r#"{ "provider": { "x": { "options": { "apiKey": "s3cret" } } } }"#;
    let config = world.path("home/.config/opencode");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("opencode.json"), provider).unwrap();

    let run = world.started().await;
    let [private_dir] = &world.private_dirs()[..] else { panic!("{:?}", world.private_dirs()) };
    let call = world.call();
    for name in [
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "TMPDIR",
        "TMP",
        "TEMP",
    ] {
        let directory = Path::new(value(&call, name).unwrap());
        assert!(directory.starts_with(private_dir) && directory.is_dir(), "{name}={directory:?}");
    }
    let mut secrets = 0;
    for (path, metadata) in contents(private_dir) {
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            assert_eq!(mode, 0o700, "{path:?}");
        } else {
            assert!(metadata.is_file() && mode == 0o600, "{path:?} {mode:o}");
            secrets += usize::from(fs::read_to_string(&path).unwrap().contains("s3cret"));
        }
    }
    assert_eq!(secrets, 1, "the providers of the user are in one file");
    drop(run);
}

pub(crate) async fn without_isolation_the_directories_of_the_user_are_used(on: &Host) {
    let world = answering(on);
    let mut environment = world.environment();
    environment.set("XDG_DATA_HOME", world.path("data"));
    environment.set("OPENCODE_CONFIG", "the user's");
    let opencode = world.builder().environment(environment).build();
    let config = RunConfig::new().with_isolation(Isolation::none());
    opencode.run(world.request().with_config(config)).await.unwrap();
    let call = world.call();
    assert_eq!(value(&call, "XDG_DATA_HOME"), Some(world.path("data").as_os_str()));
    assert_eq!(value(&call, "OPENCODE_CONFIG"), Some(OsStr::new("the user's")));
    for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TMPDIR"] {
        assert_eq!(value(&call, name), None, "{name}");
    }
}

pub(crate) async fn a_given_data_directory_is_kept(on: &Host) {
    let world = answering(on);
    let data = world.path("mine");
    let isolation = Isolation::new()
        .with_data(DataHome::At(data.clone()))
        .with_cache(CacheHome::User)
        .with_temp(TempHome::User)
        .with_user_config(UserConfig::Ignore);
    let config = RunConfig::new().with_isolation(isolation);
    world.opencode.run(world.request().with_config(config)).await.unwrap();
    assert_eq!(value(&world.call(), "XDG_DATA_HOME"), Some(data.as_os_str()));
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}
