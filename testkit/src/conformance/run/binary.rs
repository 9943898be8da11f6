//! Choice of the program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use opencode_client::config::{Environment, ProgramCommand};
use opencode_client::process::{Binary, BinaryFault};
use opencode_client::{OpenCode, RunError};

use crate::conformance::Host;
use crate::conformance::lines::{START, answer};
use crate::conformance::world::{ProgramWorld, is_alive};
use crate::fake::Behavior;

fn world(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

fn searching(world: &ProgramWorld, change: impl FnOnce(&mut Environment)) -> OpenCode {
    let mut environment = world.environment();
    change(&mut environment);
    world.builder().binary(Binary::Search).environment(environment).build()
}

/// Creates a link to the fake program. No test writes a program that it runs.
fn link(world: &ProgramWorld, path: &str) -> PathBuf {
    let path = world.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(world.fake.program(), &path).unwrap();
    path
}

fn write(path: &Path, contents: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the program, and returns whether the fake program ran.
async fn answers(world: &ProgramWorld, opencode: &OpenCode) -> bool {
    let report = opencode.run(world.request()).await.unwrap();
    report.text() == "Hello." && world.calls().len() == 1
}

pub(crate) async fn a_missing_program_is_an_error_with_every_place_searched(on: &Host) {
    let world = world(on);
    let opencode = searching(&world, |environment| {
        environment.set("PATH", "/nonexistent/one:relative:/nonexistent/two");
    });
    let error = opencode.run(world.request()).await.unwrap_err();
    let RunError::Binary(missing) = &error else { panic!("{error:?}") };
    let installed = world.path("home/.opencode/bin");
    let expected = [
        ("OPENCODE_BINARY".into(), BinaryFault::NotSet),
        ("/nonexistent/one/opencode".into(), BinaryFault::NotFound),
        ("/nonexistent/one/opencode.exe".into(), BinaryFault::NotFound),
        ("relative".into(), BinaryFault::Relative),
        ("/nonexistent/two/opencode".into(), BinaryFault::NotFound),
        ("/nonexistent/two/opencode.exe".into(), BinaryFault::NotFound),
        (installed.join("opencode"), BinaryFault::NotFound),
        (installed.join("opencode.exe"), BinaryFault::NotFound),
    ];
    let tried: Vec<_> =
        missing.tried().iter().map(|tried| (tried.place.clone(), tried.fault)).collect();
    assert_eq!(tried, expected);
    for (place, fault) in expected {
        let shown = format!("{} ({fault})", place.display());
        assert!(error.to_string().contains(&shown), "{error}");
    }
    assert!(error.report().is_none() && error.end().is_none());
    assert_eq!(opencode.binary().await.unwrap_err(), *missing);
}

pub(crate) async fn a_path_without_a_program_is_an_error(on: &Host) {
    let world = world(on);
    let plain = world.path("plain");
    write(&plain, "no program", 0o644);
    for (path, fault) in [
        (plain, BinaryFault::NotExecutable),
        (world.path("project"), BinaryFault::NotAFile),
        (world.path("missing"), BinaryFault::NotFound),
    ] {
        let opencode = world.builder().binary(Binary::Path(path.clone())).build();
        let error = opencode.run(world.request()).await.unwrap_err();
        let RunError::Binary(missing) = &error else { panic!("{error:?}") };
        let [tried] = missing.tried() else { panic!("{missing}") };
        assert_eq!((&tried.place, tried.fault), (&path, fault));
    }
}

pub(crate) async fn opencode_binary_selects_the_program(on: &Host) {
    let world = world(on);
    let opencode = searching(&world, |environment| {
        environment.set("OPENCODE_BINARY", world.fake.program());
        environment.set("PATH", "/nonexistent");
    });
    assert_eq!(opencode.binary().await.unwrap(), world.fake.program());
    assert!(answers(&world, &opencode).await);
}

pub(crate) async fn a_wrong_opencode_binary_is_an_error(on: &Host) {
    let world = world(on);
    let program = link(&world, "bin/opencode");
    let opencode = searching(&world, |environment| {
        environment.set("OPENCODE_BINARY", "/nonexistent/opencode");
        environment.set("PATH", program.parent().unwrap());
    });
    let error = opencode.binary().await.unwrap_err();
    assert_eq!(error.tried().len(), 1, "{error}");
    assert_eq!(error.tried()[0].place, Path::new("/nonexistent/opencode"));
}

pub(crate) async fn the_program_is_found_on_the_search_path(on: &Host) {
    let world = world(on);
    let program = link(&world, "bin/opencode");
    let opencode = searching(&world, |environment| {
        environment.set("PATH", format!("/nonexistent:{}", program.parent().unwrap().display()));
    });
    assert!(answers(&world, &opencode).await);
}

pub(crate) async fn the_directory_of_the_installer_is_searched_last(on: &Host) {
    let world = world(on);
    link(&world, "home/.opencode/bin/opencode");
    let opencode = searching(&world, |environment| environment.set("PATH", "/nonexistent"));
    assert!(answers(&world, &opencode).await);
}

/// A command that starts the program as a child, like `npx`.
fn wrapper(world: &ProgramWorld) -> ProgramCommand {
    // The exit keeps the shell from becoming the program itself.
    ProgramCommand::new("sh")
        .with_args(["-c", r#""$@"; exit $?"#, "wrapper", "env", "WRAPPED=1"])
        .with_arg(world.fake.program())
}

pub(crate) async fn a_wrapper_command_runs_the_program(on: &Host) {
    let world = world(on);
    let opencode = world.builder().binary(wrapper(&world)).build();
    assert!(answers(&world, &opencode).await);
    let call = &world.calls()[0];
    assert_eq!(call.args[..3], ["run", "--format", "json"]);
    assert_eq!(call.env[OsStr::new("WRAPPED")], "1");
    assert_eq!(opencode.binary().await.unwrap().file_name().unwrap(), "sh");
}

pub(crate) async fn the_child_of_a_wrapper_command_ends_with_the_run(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_line(START).hang());
    let opencode = world.builder().binary(wrapper(&world)).build();
    let mut run = opencode.stream(world.request());
    run.next_event().await.unwrap();
    let program = world.calls()[0].pid;
    assert!(is_alive(program));
    drop(run);
    assert!(!is_alive(program), "the wrapper's child is left");
}

/// An npm installation without the package's postinstall script has a stub that only prints how to
/// run the script.
pub(crate) async fn the_stub_of_npm_leads_to_the_program_of_the_platform(on: &Host) {
    let world = world(on);
    let modules = world.path("node_modules");
    let stub = modules.join("opencode-ai/bin/opencode.exe");
    write(&stub, "echo 'run node postinstall.mjs' >&2\nexit 1\n", 0o755);
    fs::create_dir(modules.join(".bin")).unwrap();
    symlink("../opencode-ai/bin/opencode.exe", modules.join(".bin/opencode")).unwrap();
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    // One of these builds fits the C library and the processor of this machine.
    for build in ["", "-baseline", "-musl", "-baseline-musl"] {
        link(&world, &format!("node_modules/opencode-linux-{arch}{build}/bin/opencode"));
    }
    let opencode = searching(&world, |environment| environment.set("PATH", modules.join(".bin")));
    let found = opencode.binary().await.unwrap();
    assert!(found.starts_with(&modules) && found.ends_with("bin/opencode"), "{found:?}");
    assert!(answers(&world, &opencode).await);
}
