use super::*;
use crate::policy::fixture::Links;

fn limits(reads: &[&str], writes: &[&str]) -> FileLimits {
    let confinement = |directories: &[&str]| {
        let directories = directories.iter().map(PathBuf::from);
        (directories.len() > 0).then(|| Confinement::new(directories))
    };
    FileLimits { reads: confinement(reads), writes: confinement(writes), guard: Guard::default() }
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

/// A link to a directory outside, and one to a directory deeper outside.
fn links() -> Links {
    Links::default()
        .with("/in/link/x", FileFinding::found("/out/x"))
        .with("/in/far/../x", FileFinding::found("/out/x"))
        .with("/in/dangling", FileFinding::absent("/out/new"))
        .with("/in/absent", FileFinding::absent("/in/absent"))
        .with("/out/absent", FileFinding::absent("/out/absent"))
        .with("/in/loop", FileFinding::unknown())
        .with("/out/../in/x", FileFinding::found("/in/x"))
        .with("/in/deep/../../out/x", FileFinding::found("/out/x"))
        .with("/in/back/../../in/x", FileFinding::found("/in/x"))
}

fn judge(footprint: Footprint, limits: &FileLimits) -> Result<(), PolicyReason> {
    let lookup = FileLookup::new(footprint);
    let links = links();
    let findings: Vec<_> = lookup.paths().iter().map(|path| links.find(path)).collect();
    lookup.judge(&findings, limits)
}

fn read(path: &str) -> Footprint {
    Footprint { reads: paths(&[path]), ..Footprint::default() }
}

fn write(path: &str) -> Footprint {
    Footprint { writes: paths(&[path]), ..Footprint::default() }
}

fn outside(path: &str) -> Result<(), PolicyReason> {
    Err(PolicyReason::Outside { path: path.into() })
}

#[test]
fn a_path_has_to_be_inside_as_text_and_as_followed() {
    let limits = limits(&["/in"], &["/in"]);
    for path in ["/in", "/in/x", "/in/absent", "/out/../in/x", "/in/back/../../in/x"] {
        assert_eq!(judge(read(path), &limits), Ok(()), "{path}");
        assert_eq!(judge(write(path), &limits), Ok(()), "{path}");
    }
    for path in [
        "/out/x",
        "/in2",
        "/",
        "/in/link/x",
        "/in/far/../x",
        "/in/dangling",
        "/in/loop",
        "/in/deep/../../out/x",
    ] {
        assert_eq!(judge(read(path), &limits), outside(path), "{path}");
        assert_eq!(judge(write(path), &limits), outside(path), "{path}");
    }
}

#[test]
fn writes_that_decide_what_runs_next_are_guarded_unless_named() {
    let named = limits(&["/in"], &["/in", "/in/.git"]);
    let limits = limits(&["/in"], &["/in"]);
    for path in [
        "/in/.git/hooks/x",
        "/in/.git",
        "/in/a/.opencode/x",
        "/in/.OpenCode/x",
        "/in/opencode.json",
    ] {
        let guarded = Err(PolicyReason::Guarded { path: path.into() });
        assert_eq!(judge(write(path), &limits), guarded, "{path}");
        assert_eq!(judge(read(path), &limits), Ok(()), "{path}");
    }
    assert_eq!(judge(write("/in/.git/hooks/x"), &named), Ok(()));
    let guarded = Err(PolicyReason::Guarded { path: "/in/opencode.jsonc".into() });
    assert_eq!(judge(write("/in/opencode.jsonc"), &named), guarded);
}

#[test]
fn a_directory_with_a_head_is_a_repository_unless_named() {
    let written = |path: &str, limits: &FileLimits| {
        let lookup = FileLookup::new(write(path));
        let found = |path: &PathBuf| match path.to_str() {
            Some("/HEAD" | "/in/HEAD" | "/in/sub/HEAD") => FileFinding::found(path),
            Some("/in/link/HEAD") => FileFinding::found("/out/head"),
            Some(_) if path.ends_with("HEAD") => FileFinding::absent(path),
            Some(_) | None => FileFinding::found(path),
        };
        let findings: Vec<_> = lookup.paths().iter().map(found).collect();
        lookup.judge(&findings, limits)
    };
    let guarded = |path: &str| Err(PolicyReason::Guarded { path: path.into() });
    let project = limits(&[], &["/in"]);
    for path in ["/in/sub/config", "/in/sub/a/b", "/in/x/../sub/config", "/in/link/config"] {
        assert_eq!(written(path, &project), guarded(path), "{path}");
    }
    for path in ["/in/config", "/in/other/config"] {
        assert_eq!(written(path, &project), Ok(()), "{path}");
    }
    assert_eq!(written("/in/sub/config", &limits(&[], &["/in", "/in/sub"])), Ok(()));
}

#[test]
fn mentions_count_where_a_file_is() {
    let mention = |path| Footprint { mentions: paths(&[path]), ..Footprint::default() };
    let limits = limits(&["/in"], &[]);
    assert_eq!(judge(mention("/out/absent"), &limits), Ok(()));
    assert_eq!(judge(mention("/out/x"), &limits), outside("/out/x"));
    assert_eq!(judge(mention("/in/loop"), &limits), outside("/in/loop"));
}

#[test]
fn an_external_directory_may_be_one_to_read_or_to_write() {
    let either = |path| Footprint { either: paths(&[path]), ..Footprint::default() };
    let both = limits(&["/r"], &["/w"]);
    assert_eq!(judge(either("/r/x"), &both), Ok(()));
    assert_eq!(judge(either("/w/x"), &both), Ok(()));
    assert_eq!(judge(either("/x"), &both), outside("/x"));
    assert_eq!(judge(either("/x"), &limits(&["/r"], &[])), Ok(()), "writes are not confined");
}

#[test]
fn a_path_without_a_finding_is_outside() {
    let lookup = FileLookup::new(read("/in/x"));
    assert_eq!(lookup.judge(&[], &limits(&["/in"], &[])), outside("/in/x"));
    let mention = Footprint { mentions: paths(&["/in/x"]), ..Footprint::default() };
    let lookup = FileLookup::new(mention);
    assert_eq!(lookup.judge(&[], &limits(&["/in"], &[])), outside("/in/x"));
}

#[test]
fn each_path_is_asked_for_once() {
    let footprint = Footprint {
        reads: paths(&["/in/x", "/in/../in/x"]),
        either: paths(&["/in/x"]),
        ..Footprint::default()
    };
    assert_eq!(FileLookup::new(footprint).paths(), paths(&["/in/x", "/in/../in/x"]));
    let written = paths(&["/in/x", "/in/HEAD", "/in", "/HEAD", "/"]);
    assert_eq!(FileLookup::new(write("/in/x")).paths(), written);
}
