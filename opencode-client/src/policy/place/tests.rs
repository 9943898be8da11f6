#![cfg(unix)]

use std::os::unix::fs::symlink;

use super::*;

struct World {
    _directory: tempfile::TempDir,
    root: PathBuf,
}

/// `in` and `out`, side by side, with links from `in` to `out`.
fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    for name in ["in/deep", "in/.git", "in/.OpenCode", "out/deep"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("out/file"), "").unwrap();
    symlink(root.join("out"), root.join("in/absolute")).unwrap();
    symlink("../out", root.join("in/relative")).unwrap();
    symlink("../out/new", root.join("in/dangling")).unwrap();
    symlink("deep", root.join("in/inner")).unwrap();
    symlink("../out/deep", root.join("in/far")).unwrap();
    symlink("loop", root.join("in/loop")).unwrap();
    World { _directory: directory, root }
}

impl World {
    fn places(&self, confinement: &Confinement, paths: &[&str], place: &Place) {
        for path in paths {
            assert_eq!(confinement.place(&self.root.join(path)), *place, "{path}");
        }
    }
}

#[test]
fn a_path_is_where_its_links_lead() {
    let world = world();
    let confinement = Confinement::new(&["in".into()], &world.root).unwrap();
    let inside = ["in", "in/new/file", "in/inner/x", "in/inner/../x", "in/./x", "out/../in/x"];
    world.places(&confinement, &inside, &Place::Inside);
    let outside = [
        "out/file",
        "in2",
        "in/../out/file",
        "in/absolute/file",
        "in/relative/new/file",
        "in/dangling",
        "in/loop",
        "in/deep/../../out",
        // To the system it is `out`, to a program that takes `..` away it is `in`.
        "in/far/../file",
        // The other way round.
        "in/far/../../in/x/../../out/file",
        "/",
        "/etc/passwd",
    ];
    world.places(&confinement, &outside, &Place::Outside);
}

#[test]
fn what_is_run_later_is_guarded_unless_it_is_named() {
    let world = world();
    let confinement = Confinement::new(&["in".into()], &world.root).unwrap();
    let guarded = [
        "in/.git/hooks/x",
        "in/.git",
        "in/a/.opencode/tool/x.ts",
        "in/.OpenCode/x",
        "in/opencode.json",
    ];
    world.places(&confinement, &guarded, &Place::Guarded);
    let named = Confinement::new(&["in".into(), "in/.git".into()], &world.root).unwrap();
    world.places(&named, &["in/.git/hooks/x", "in/x"], &Place::Inside);
    world.places(&named, &["in/opencode.jsonc"], &Place::Guarded);
}

#[test]
fn a_directory_that_is_not_there_confines_nothing() {
    let world = world();
    let (path, error) = Confinement::new(&["nowhere".into()], &world.root).unwrap_err();
    assert_eq!((path, error.kind()), (world.root.join("nowhere"), io::ErrorKind::NotFound));
}
