use super::*;
use crate::policy::fixture;

fn paths() -> ServerPaths {
    ServerPaths { home: Some("/home/x".to_owned()), ..ServerPaths::new("/w/p", "/w") }
}

fn asked(permission: &str, patterns: &[&str], metadata: &str) -> PermissionRequest {
    fixture::asked(permission, patterns, &[], metadata)
}

fn arguments(input: &str) -> CallArguments {
    CallArguments::read(&RawJson::parse(input.to_owned()).unwrap()).unwrap()
}

fn of(request: &PermissionRequest, input: &str) -> Option<Footprint> {
    Footprint::of(request, &arguments(input), &paths())
}

fn read(paths: &[&str]) -> Option<Footprint> {
    Some(Footprint { reads: paths.iter().map(PathBuf::from).collect(), ..Footprint::default() })
}

fn mentioned(prompt: &str) -> Vec<String> {
    let paths = mentions(prompt, &paths()).unwrap();
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn reading_tools_name_files_or_need_the_arguments() {
    let path = asked("grep", &["a"], r#"{"path":"../x"}"#);
    assert_eq!(of(&path, "{}"), read(&["/w/p/../x"]));
    assert_eq!(of(&asked("glob", &["a"], "{}"), "{}"), read(&["/w/p/"]));
    assert_eq!(of(&asked("lsp", &["*"], r#"{"filePath":"x"}"#), "{}"), read(&["/w/p/x"]));
    let symbols = asked("lsp", &["*"], r#"{"operation":"workspaceSymbol"}"#);
    assert_eq!(of(&symbols, "{}"), read(&["/w"]), "of the whole repository");
    let alone = ServerPaths::new("/w/p", "/");
    let arguments = arguments("{}");
    assert_eq!(Footprint::of(&symbols, &arguments, &alone), read(&["/w/p"]));
    assert_eq!(of(&asked("grep", &["a"], r#"{"path":1}"#), "{}"), None, "of another form");
    let ask = asked("read", &["p/x"], "{}");
    assert_eq!(Needs::of(&ask), Needs::Arguments);
    assert_eq!(of(&ask, r#"{"filePath":"/w/p/link/../x"}"#), read(&["/w/p/link/../x"]));
    assert_eq!(of(&ask, r#"{"filePath":"y"}"#), None, "of another call");
    assert_eq!(of(&ask, "{}"), None, "the pattern alone is not enough");
    let resource = asked("read", &["mcp:a:x"], r#"{"server":"a","uri":"x"}"#);
    assert_eq!(Needs::of(&resource), Needs::RequestOnly);
    assert_eq!(of(&resource, "{}"), read(&[]));
    let file = asked("read", &["mcp:a:x"], "{}");
    assert_eq!(Needs::of(&file), Needs::Arguments, "a file of that name");
}

#[test]
fn writing_tools_name_every_file() {
    let written = |metadata: &str, patterns: &[&str]| {
        of(&asked("edit", patterns, metadata), "{}").map(|found| found.writes)
    };
    let paths = |paths: &[&str]| Some(paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    assert_eq!(written(r#"{"filepath":"/w/a"}"#, &["a"]), paths(&["/w/a", "/w/a"]));
    let patch = r#"{"filepath":"a, c",
        "files":[{"filePath":"/w/a","movePath":"/b"},{"filePath":"/w/c"}]}"#;
    assert_eq!(written(patch, &["a", "c"]), paths(&["/w/a", "/w/c", "/w/a", "/b", "/w/c"]));
    assert_eq!(written("{}", &["a"]), None);
    assert_eq!(written("null", &["a"]), None);
    assert_eq!(written(r#"{"filepath":"a"}"#, &["a"]), None, "a relative path");
    assert_eq!(written(r#"{"files":[{}]}"#, &["a"]), None);
}

#[test]
fn external_directories_are_named_in_three_forms() {
    let external = |metadata: &str| {
        let ask = asked("external_directory", &["/o/*"], metadata);
        of(&ask, "{}").map(|found| found.either)
    };
    let file = r#"{"filepath":"/o/f","parentDir":"/o"}"#;
    assert_eq!(external(file), Some(vec!["/o/f".into()]));
    let directories = r#"{"directories":["/o","/q"]}"#;
    assert_eq!(external(directories), Some(vec!["/o".into(), "/q".into()]));
    assert_eq!(external("{}"), Some(vec!["/o".into()]));
    assert_eq!(external(r#"{"directories":[1]}"#), None);
    assert_eq!(external(r#"{"filepath":"o"}"#), None);
}

#[test]
fn mentions_are_found_as_opencode_finds_them() {
    assert_eq!(mentioned("Look at @/etc/passwd, and @a/b.rs."), ["/etc/passwd", "/w/a/b.rs"]);
    assert_eq!(mentioned("(@~/x) @../../x @.env"), ["/home/x/x)", "/w/../", "/w/.env"]);
    assert_eq!(mentioned("a@b.org `@x` @ _@y"), Vec::<String>::new());
    assert_eq!(mentioned("\u{e9}@x"), ["/w/x"]);
    assert_eq!(mentioned("@l\u{85}x y"), ["/w/l\u{85}x"], "no space to JavaScript");
    assert_eq!(mentioned("@a\u{feff}b @c\u{a0}d @e\u{2028}f"), ["/w/a", "/w/c", "/w/e"]);
    let homeless = ServerPaths::new("/w/p", "/w");
    assert_eq!(mentions("@~/x", &homeless), None, "the home is unknown");
    assert_eq!(mentions("@x", &homeless), Some(vec!["/w/x".into()]));
}

#[test]
fn dots_are_removed_as_text() {
    for (path, plain) in [("/a/../../b", "/b"), ("/a/./b/", "/a/b"), ("/..", "/"), ("/", "/")] {
        assert_eq!(lexical(Path::new(path)), Path::new(plain), "{path}");
    }
}
