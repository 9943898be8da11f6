#![cfg(unix)]

use std::os::unix::fs::symlink;

use opencode_proto::policy::Presence;

use super::*;

struct Tree {
    _directory: tempfile::TempDir,
    root: PathBuf,
}

/// `in` and `out`, side by side, with links from `in` to `out`.
fn tree() -> Tree {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for name in ["in/deep", "out/deep"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("out/file"), "").unwrap();
    symlink(root.join("out"), root.join("in/absolute")).unwrap();
    symlink("../out", root.join("in/relative")).unwrap();
    symlink("../out/new", root.join("in/dangling")).unwrap();
    symlink("deep", root.join("in/inner")).unwrap();
    symlink("../out/deep", root.join("in/far")).unwrap();
    symlink("loop", root.join("in/loop")).unwrap();
    Tree { _directory: directory, root }
}

impl Tree {
    fn find(&self, path: &str) -> FileFinding {
        find(&self.root.join(path))
    }
}

#[test]
fn links_are_followed_as_the_operating_system_does() {
    let tree = tree();
    for (path, real, presence) in [
        ("in", "in", Presence::Present),
        ("in/new/file", "in/new/file", Presence::Absent),
        ("in/inner/x", "in/deep/x", Presence::Absent),
        ("in/inner/../x", "in/x", Presence::Absent),
        ("in/./x", "in/x", Presence::Absent),
        ("in/../out/file", "out/file", Presence::Present),
        ("in/absolute/file", "out/file", Presence::Present),
        ("in/relative/new/file", "out/new/file", Presence::Absent),
        ("in/dangling", "out/new", Presence::Absent),
        // As text, this is `in/file`.
        ("in/far/../file", "out/file", Presence::Present),
        ("in/far/../../in/x/../../out/file", "out/file", Presence::Absent),
    ] {
        let found = tree.find(path);
        assert_eq!(found.real.unwrap(), tree.root.join(real), "{path}");
        assert_eq!(found.presence, presence, "{path}");
    }
}

#[test]
fn paths_that_cannot_be_followed_are_unknown() {
    let tree = tree();
    assert_eq!(tree.find("in/loop"), FileFinding::unknown());
    assert_eq!(tree.find("out/file/below"), FileFinding::unknown());
    for path in ["/proc/self/cwd", "/proc", "/dev/fd/0", "/dev/stdin"] {
        assert_eq!(find(Path::new(path)), FileFinding::unknown(), "{path}");
    }
}

#[test]
fn directories_are_resolved_or_named_in_the_error() {
    let tree = tree();
    let found = confinement(&["in/far".into(), "in".into()], &tree.root).unwrap();
    assert_eq!(found.directories(), [tree.root.join("out/deep"), tree.root.join("in")]);
    let (path, error) = confinement(&["nowhere".into()], &tree.root).unwrap_err();
    assert_eq!((path, error.kind()), (tree.root.join("nowhere"), io::ErrorKind::NotFound));
}
