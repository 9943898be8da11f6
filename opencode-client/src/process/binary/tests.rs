use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A home directory, a directory for `PATH`, and the environment that names them.
struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("created") }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().expect("exists").join(path)
    }

    fn file(&self, path: &str, mode: u32) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(&path, "\x7fELF\0").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        path
    }

    fn environment(&self) -> Environment {
        let path = std::env::join_paths([self.path("one"), self.path("two")]).expect("joins");
        let mut environment = Environment::new();
        environment.set("PATH", path);
        environment.set("HOME", self.path("home"));
        environment
    }

    fn tried(&self, binary: &Binary, environment: &Environment) -> Vec<(String, BinaryFault)> {
        let error = binary.locate(environment).expect_err("nothing is there");
        let root = self.path("");
        error
            .tried()
            .iter()
            .map(|tried| {
                let place = tried.place.strip_prefix(&root).unwrap_or(&tried.place);
                (place.display().to_string(), tried.fault)
            })
            .collect()
    }
}

fn located(binary: &Binary, environment: &Environment) -> Result<PathBuf, BinaryNotFound> {
    let command = binary.locate(environment)?;
    assert_eq!(command.args(), [""; 0]);
    Ok(command.program().to_owned())
}

#[test]
fn the_program_of_a_command_is_looked_up_and_keeps_its_arguments() {
    let world = World::new();
    let environment = world.environment();
    let npx = world.file("one/npx", 0o755);
    let command = ProgramCommand::new("npx").with_args(["-y", "opencode-ai@1.18.33"]);
    let found = Binary::from(command.clone()).locate(&environment);
    assert_eq!(found, Ok(command.with_program(npx)));
    let missing = Binary::from(ProgramCommand::new("/nonexistent/npx").with_arg("-y"));
    let expected = [("/nonexistent/npx".to_owned(), BinaryFault::NotFound)];
    assert_eq!(world.tried(&missing, &environment), expected);
}

#[test]
fn searches_in_order() {
    let world = World::new();
    let mut environment = world.environment();
    let mut expected = vec![world.file("home/.opencode/bin/opencode", 0o755)];
    expected.push(world.file("two/opencode.exe", 0o755));
    // Checked before the next, better one is there.
    for better in ["two/opencode", "one/opencode"] {
        let found = located(&Binary::Search, &environment).expect("found");
        assert_eq!(Some(&found), expected.last());
        expected.push(world.file(better, 0o755));
    }
    let found = located(&Binary::Search, &environment).expect("found");
    assert_eq!(Some(&found), expected.last());

    let named = world.file("elsewhere/opencode", 0o755);
    environment.set(VARIABLE, &named);
    assert_eq!(located(&Binary::Search, &environment), Ok(named));
}

#[test]
fn the_installer_directory_serves_without_a_path() {
    let world = World::new();
    let program = world.file("home/.opencode/bin/opencode", 0o755);
    let mut environment = world.environment();
    environment.remove("PATH");
    assert_eq!(located(&Binary::Search, &environment), Ok(program));
}

#[test]
fn names_every_place_and_its_fault() {
    let world = World::new();
    let mut environment = world.environment();
    world.file("one/opencode", 0o644);
    fs::create_dir_all(world.path("two/opencode")).expect("created");
    world.file("home/.opencode", 0o644);
    assert_eq!(
        world.tried(&Binary::Search, &environment),
        [
            ("OPENCODE_BINARY", BinaryFault::NotSet),
            ("one/opencode", BinaryFault::NotExecutable),
            ("one/opencode.exe", BinaryFault::NotFound),
            ("two/opencode", BinaryFault::NotAFile),
            ("two/opencode.exe", BinaryFault::NotFound),
            ("home/.opencode/bin/opencode", BinaryFault::NotFound),
            ("home/.opencode/bin/opencode.exe", BinaryFault::NotFound),
        ]
        .map(|(place, fault)| (place.to_owned(), fault))
    );

    environment.remove("PATH");
    environment.set("HOME", "");
    let error = Binary::Search.locate(&environment).expect_err("nothing is there");
    assert_eq!(
        error.to_string(),
        "no opencode program found in OPENCODE_BINARY (not set), PATH (not set), HOME (not set); \
         install OpenCode with `npm i -g opencode-ai`, or set OPENCODE_BINARY"
    );
}

#[test]
fn what_was_asked_for_is_not_replaced_by_another() {
    let world = World::new();
    world.file("one/opencode", 0o755);
    let mut environment = world.environment();

    let missing = world.path("missing/opencode");
    let expected = [("missing/opencode".to_owned(), BinaryFault::NotFound)];
    let explicit = Binary::Path(missing.clone());
    assert_eq!(world.tried(&explicit, &environment), expected);
    environment.set(VARIABLE, &missing);
    assert_eq!(world.tried(&Binary::Search, &environment), expected);
}

#[test]
fn an_empty_variable_is_not_set() {
    let world = World::new();
    let program = world.file("one/opencode", 0o755);
    let mut environment = world.environment();
    environment.set(VARIABLE, "");
    assert_eq!(located(&Binary::Search, &environment), Ok(program));
}

#[test]
fn looks_up_names_and_expands_the_home_directory() {
    let world = World::new();
    let environment = world.environment();
    let in_path = world.file("two/my-opencode", 0o755);
    let in_home = world.file("home/tools/opencode", 0o755);

    let locate = |path: &str| located(&Binary::Path(PathBuf::from(path)), &environment);
    assert_eq!(locate("my-opencode"), Ok(in_path));
    assert_eq!(locate("~/tools/opencode"), Ok(in_home));
    // A path, though a short one: not looked up.
    assert!(locate("./my-opencode").is_err());
    assert!(locate("my-opencode/").is_err());
    assert!(locate("~").is_err());
    assert!(locate("").is_err());
}

#[test]
fn relative_entries_of_path_are_not_used() {
    let world = World::new();
    let program = world.file("one/opencode", 0o755);
    let mut environment = world.environment();
    let path = std::env::join_paths([Path::new(""), Path::new("."), &world.path("one")]);
    environment.set("PATH", path.expect("joins"));
    assert_eq!(located(&Binary::Search, &environment), Ok(program.clone()));

    fs::remove_file(program).expect("removed");
    let tried = world.tried(&Binary::Path("opencode".into()), &environment);
    assert_eq!(
        tried,
        [
            (String::new(), BinaryFault::Relative),
            (".".to_owned(), BinaryFault::Relative),
            ("one/opencode".to_owned(), BinaryFault::NotFound),
        ]
    );
}
