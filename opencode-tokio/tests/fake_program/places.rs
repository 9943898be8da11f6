//! Directories that the user of the program may not use.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use opencode_tokio::batch::JobError;
use opencode_tokio::run::Backend;
use opencode_tokio::{BatchRequest, Job, RunError, ServeError, ServeRequest};
use testkit::conformance::world::ProgramWorld;

use crate::world;

/// Runs, servers and jobs in the directory are refused before a program is started.
async fn assert_refused(world: &ProgramWorld, path: &Path, kind: ErrorKind) {
    let what = path.display();
    for backend in [Backend::Process, Backend::NewServer] {
        let request = world.request().with_directory(path).with_backend(backend);
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Directory { path: named, source } = &error else { panic!("{error:?}") };
        assert_eq!((&**named, source.kind()), (path, kind), "{what}");
    }
    let error = world.opencode.serve(ServeRequest::new().with_directory(path)).await.unwrap_err();
    let ServeError::Directory { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), kind, "{what}");
    // The server of jobs in one directory is started there.
    let job = Job::new("Hello?").with_directory(path);
    let report = world.opencode.batch(BatchRequest::new([job])).outcome().await.unwrap();
    let error = report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(error, JobError::NoServer(_)), "{error:?}");
    assert!(error.to_string().ends_with(&source.to_string()), "{error}");
}

/// The errors are the same for every user.
#[tokio::test]
async fn paths_that_lead_to_no_directory_are_refused_with_the_reason() {
    let world = world();
    let at = |name: &str| world.path(name);
    fs::write(at("file"), "").unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    symlink(at("missing"), at("dangling")).unwrap();
    for (path, kind) in [
        (at("file"), ErrorKind::NotADirectory),
        (at("file/sub"), ErrorKind::NotADirectory),
        (at("loop"), fs::metadata(at("loop")).unwrap_err().kind()),
        (at("dangling"), ErrorKind::NotFound),
        (at(&"x".repeat(300)), ErrorKind::InvalidFilename),
    ] {
        assert_refused(&world, &path, kind).await;
    }
}

/// The user `root` may use every directory, so the test runs as another user.
#[test]
fn directories_without_permission_are_refused() {
    const NAME: &str = "places::directories_without_permission_are_refused";
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        // The program of this test may be in a directory of `root` alone.
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = directory.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let output = other.arg(&program).args(["--exact", NAME]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text} {output:?}");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let world = world();
        let modes = [
            // Neither listed nor entered, listed alone, and entered alone.
            ("closed", 0o000),
            ("listed", 0o600),
            ("entered", 0o300),
        ];
        for (name, mode) in modes {
            let path = world.path(name);
            fs::create_dir_all(path.join("inner")).unwrap();
            let _reset = Mode::set(&path, mode);
            assert_refused(&world, &path, ErrorKind::PermissionDenied).await;
            if mode & 0o100 == 0 {
                assert_refused(&world, &path.join("inner"), ErrorKind::PermissionDenied).await;
            }
        }
        assert!(world.calls().iter().all(|call| call.args == ["--version"]));
    });
}

/// Mode of a directory until the drop, which lets the directory be removed.
struct Mode(PathBuf);

impl Mode {
    fn set(path: &Path, mode: u32) -> Self {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        fs::set_permissions(&self.0, Permissions::from_mode(0o700)).unwrap();
    }
}
