use std::os::unix::fs::{PermissionsExt, symlink};

use bytes::Bytes;
use opencode_config::{DataHome, Environment, Isolation, RunConfig};

use super::*;

const TOKEN: &str = "1-2";

/// Parents of everything: `temp` for private directories, `home` for the user's.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("created"));
        for name in ["temp", "home"] {
            fs::create_dir(world.path(name)).expect("created");
        }
        world
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn temp(&self) -> PathBuf {
        self.path("temp")
    }

    fn root(&self) -> PathBuf {
        PrivateDir::root(&self.temp(), TOKEN)
    }

    fn file(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(&path, contents).expect("written");
        path
    }

    fn config(&self) -> RunConfig {
        RunConfig::new()
    }

    fn environment(&self) -> Environment {
        let mut environment = Environment::new();
        environment.set("HOME", self.path("home"));
        environment
    }

    fn plan(&self, config: &RunConfig) -> IsolationPlan {
        let environment = self.environment();
        let sources = config.sources(&environment);
        let read = sources.into_iter().map(read_source).collect();
        IsolationPlan::new(config, &environment, self.root(), read).expect("planned")
    }

    fn create(&self, plan: &IsolationPlan) -> Result<PrivateDir, PrivateDirError> {
        PrivateDir::create(&self.temp(), TOKEN, plan)
    }

    fn is_clean(&self) -> bool {
        fs::read_dir(self.temp()).expect("readable").count() == 0
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("there");
    metadata.permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

#[test]
fn carries_out_a_whole_plan_and_removes_it() {
    let world = World::new();
    let auth = world.file("home/.local/share/opencode/auth.json", "{}");
    let provider = r#"{"provider":{"mine":{"name":"Mine"}}}"#;
    world.file("home/.config/opencode/opencode.json", provider);
    let plan = world.plan(&world.config());
    assert_eq!(plan.warnings, []);
    assert!(!plan.files.is_empty() && !plan.links.is_empty());

    let private_dir = world.create(&plan).expect("created");
    assert_eq!(private_dir.path(), world.root());
    assert_eq!(mode(private_dir.path()), 0o700);
    for directory in &plan.directories {
        assert_eq!(mode(&directory.path), directory.mode);
    }
    for file in &plan.files {
        assert_eq!(fs::read(&file.path).expect("written"), file.contents);
        assert_eq!(mode(&file.path), file.mode);
    }
    let config = plan
        .files
        .iter()
        .find(|file| file.path.ends_with("opencode.json"))
        .expect("the user's providers are copied");
    assert!(String::from_utf8_lossy(&config.contents).contains("Mine"));
    // A link for what exists only.
    let linked: Vec<&PlannedLink> =
        plan.links.iter().filter(|link| fs::symlink_metadata(&link.at).is_ok()).collect();
    assert_eq!(linked.len(), 1);
    assert_eq!(fs::read_link(&linked[0].at).expect("a link"), auth);

    private_dir.remove().expect("removed");
    assert!(world.is_clean());
    assert!(auth.exists(), "the link was removed, not followed");
}

#[test]
fn a_data_directory_of_the_caller_is_made_and_stays() {
    let world = World::new();
    let data = world.path("home/data/of/mine");
    let isolation = Isolation::new().with_data(DataHome::At(data.clone()));
    let plan = world.plan(&world.config().with_isolation(isolation));
    for _ in 0..2 {
        world.create(&plan).expect("created").remove().expect("removed");
        assert!(data.join("opencode").is_dir());
        assert!(world.is_clean());
    }
}

#[test]
fn a_data_directory_may_be_behind_a_link() {
    let world = World::new();
    let data = world.path("home/data");
    fs::create_dir(world.path("home/disk")).expect("created");
    symlink(world.path("home/disk"), &data).expect("linked");
    let isolation = Isolation::new().with_data(DataHome::At(data));
    let plan = world.plan(&world.config().with_isolation(isolation));
    world.create(&plan).expect("created");
    assert!(world.path("home/disk/opencode").is_dir());
}

#[test]
fn what_is_there_already_is_never_used() {
    let world = World::new();
    let plan = world.plan(&world.config());
    let elsewhere = world.path("home/elsewhere");
    fs::create_dir(&elsewhere).expect("created");
    symlink(&elsewhere, world.root()).expect("planted");

    let error = world.create(&plan).expect_err("it is not ours");
    assert!(matches!(error, PrivateDirError::Create { path, .. } if path == world.root()));
    assert_eq!(fs::read_dir(&elsewhere).expect("readable").count(), 0);
    assert!(world.root().is_symlink(), "nor removed");
}

#[test]
fn a_planted_link_is_not_followed() {
    let world = World::new();
    let precious = world.file("home/precious", "precious");
    let mut plan = world.plan(&world.config());
    let at = plan.files[0].path.clone();
    let elsewhere = plan.directories[0].path.join("elsewhere");

    // Where a file goes: replaced, its target left alone.
    let mut first = plan.clone();
    first.files.clear();
    let private_dir = world.create(&first).expect("created");
    symlink(&precious, &at).expect("planted");
    plan.files[0].existing = ExistingFile::Replace;
    write_file(&plan.files[0]).expect("written");
    assert_eq!(fs::read_to_string(&precious).expect("there"), "precious");
    assert!(!at.is_symlink());

    // Where a directory goes: refused.
    symlink(world.path("home"), &elsewhere).expect("planted");
    plan.directories[0].path = elsewhere.clone();
    let error = private_dir.carry_out(&plan).expect_err("refused");
    assert!(matches!(error, PrivateDirError::Obstructed { path } if path == elsewhere));
}

#[test]
fn keeps_or_replaces_a_file() {
    let world = World::new();
    let mut plan = world.plan(&world.config());
    let private_dir = world.create(&plan).expect("created");
    let file = &mut plan.files[0];
    set_mode(&file.path, 0o644);
    file.contents = Bytes::from_static(b"new");

    file.existing = ExistingFile::Keep;
    write_file(file).expect("kept");
    assert_ne!(fs::read(&file.path).expect("there"), b"new");
    file.existing = ExistingFile::Replace;
    write_file(file).expect("replaced");
    assert_eq!(fs::read(&file.path).expect("there"), b"new");
    assert_eq!(mode(&file.path), 0o600, "not the mode of the one before");

    file.path = private_dir.path().to_owned();
    let error = write_file(file).expect_err("a directory");
    assert!(matches!(error, PrivateDirError::Obstructed { .. }));
}

#[test]
fn a_link_that_is_there_stays() {
    let world = World::new();
    let auth = world.file("home/.local/share/opencode/auth.json", "{}");
    let data = world.path("home/data");
    let own = world.file("home/data/opencode/auth.json", "own");
    let isolation = Isolation::new().with_data(DataHome::At(data));
    let plan = world.plan(&world.config().with_isolation(isolation));
    assert!(plan.links.iter().any(|link| link.target == auth));
    world.create(&plan).expect("created");
    assert_eq!(fs::read_to_string(own).expect("there"), "own");
}

#[test]
fn a_failure_names_the_path_and_leaves_nothing() {
    let world = World::new();
    let mut plan = world.plan(&world.config());
    let path = world.root().join("no").join("such").join("file");
    plan.files[0].path.clone_from(&path);
    let error = world.create(&plan).expect_err("no directory");
    assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
    assert!(std::error::Error::source(&error).is_some());
    assert!(world.is_clean());

    let parent = world.path("nowhere");
    let error = PrivateDir::create(&parent, TOKEN, &plan).expect_err("no directory");
    assert!(error.to_string().starts_with("cannot create the directory"));
}

#[test]
fn removes_what_tools_have_closed() {
    let world = World::new();
    let private_dir = world.create(&world.plan(&world.config())).expect("created");
    let outside = world.path("home/closed");
    fs::create_dir(&outside).expect("created");
    set_mode(&outside, 0o500);
    symlink(&outside, private_dir.path().join("link")).expect("linked");

    let mut path = private_dir.path().join("go");
    for name in ["pkg", "mod", "cache"] {
        path.push(name);
        fs::create_dir_all(&path).expect("created");
        fs::write(path.join("file"), "").expect("written");
    }
    for (mode, directory) in [0o000, 0o555, 0o111].into_iter().zip(path.ancestors()) {
        set_mode(directory, mode);
    }
    set_mode(private_dir.path(), 0o555);

    private_dir.remove().expect("removed");
    assert!(world.is_clean());
    assert_eq!(mode(&outside), 0o500, "not ours to open");
}

#[test]
fn removes_deep_trees() {
    let world = World::new();
    let private_dir = world.create(&world.plan(&world.config())).expect("created");
    // Deeper than a path can be long.
    let mut directory = rustix::fs::open(
        private_dir.path(),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .expect("opened");
    let name = "n".repeat(200);
    for _ in 0..40 {
        rustix::fs::mkdirat(&directory, &name, rustix::fs::Mode::RWXU).expect("created");
        directory = rustix::fs::openat(
            &directory,
            &name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .expect("opened");
    }
    private_dir.remove().expect("removed");
    assert!(world.is_clean());
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_removed_is_named() {
    let error = remove_tree(Path::new("/proc/self")).expect_err("not removable");
    assert_ne!(error.kind(), io::ErrorKind::NotFound);

    let private_dir =
        PrivateDir { path: PathBuf::from("/proc/self/task"), presence: Presence::There };
    let error = private_dir.remove().expect_err("not removable");
    assert_eq!(error.to_string(), "cannot remove the directory /proc/self/task");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn one_that_is_gone_is_removed() {
    let world = World::new();
    let private_dir = world.create(&world.plan(&world.config())).expect("created");
    fs::remove_dir_all(private_dir.path()).expect("removed");
    private_dir.remove().expect("nothing to do");
}

#[test]
fn dropping_removes() {
    let world = World::new();
    drop(world.create(&world.plan(&world.config())).expect("created"));
    assert!(world.is_clean());
}

#[test]
fn tells_missing_sources_from_unreadable_ones() {
    let world = World::new();
    let content = |world: &World| {
        let sources = world.config().sources(&world.environment());
        let path = world.path("home/.config/opencode/opencode.json");
        let source = sources.into_iter().find(|source| source.path() == path);
        read_source(source.expect("one of them")).content().clone()
    };
    assert_eq!(content(&world), SourceContent::Missing);

    let path = world.file("home/.config/opencode/opencode.json", "{}");
    assert_eq!(content(&world), SourceContent::Found("{}".into()));

    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("created");
    let unreadable = SourceContent::Unreadable("not a file".to_owned());
    assert_eq!(content(&world), unreadable);

    let directory = path.parent().expect("has one");
    fs::remove_dir_all(directory).expect("removed");
    fs::write(directory, "").expect("written");
    assert_eq!(content(&world), SourceContent::Missing);
}
