use serde_json::json;

use super::*;

fn base() -> Base {
    Base { directory: "/w/p".into(), worktree: "/w".into(), home: Some("/home/x".into()) }
}

fn asked(permission: &str, patterns: &[&str], metadata: &Value) -> PermissionRequest {
    crate::policy::fixture::asked(permission, patterns, &[], metadata)
}

fn read(paths: &[&str]) -> Option<Footprint> {
    Some(Footprint { reads: paths.iter().map(PathBuf::from).collect(), ..Footprint::default() })
}

fn mentioned(prompt: &str) -> Vec<String> {
    let paths = mentions(prompt, &base()).unwrap();
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn what_tools_read() {
    let path = json!({ "path": "../x" });
    assert_eq!(footprint(&asked("grep", &["a"], &path), None, &base()), read(&["/w/p/../x"]));
    assert_eq!(footprint(&asked("glob", &["a"], &json!({})), None, &base()), read(&["/w/p/"]));
    let file = json!({ "filePath": "/w/p/link/../x" });
    let ask = asked("read", &["p/x"], &json!({}));
    assert!(needs_input(&ask));
    assert_eq!(footprint(&ask, Some(&file), &base()), read(&["/w/p/link/../x"]));
    let other = json!({ "filePath": "y" });
    assert_eq!(footprint(&ask, Some(&other), &base()), None, "of another call");
    assert_eq!(footprint(&ask, None, &base()), None, "the pattern alone is not enough");
    let resource = asked("read", &["mcp:a:x"], &json!({ "server": "a", "uri": "x" }));
    assert!(!needs_input(&resource));
    assert_eq!(footprint(&resource, None, &base()), read(&[]));
    assert!(needs_input(&asked("read", &["mcp:a:x"], &json!({}))), "a file of that name");
}

#[test]
fn what_tools_write() {
    let written = |metadata: Value, patterns: &[&str]| {
        footprint(&asked("edit", patterns, &metadata), None, &base()).map(|found| found.writes)
    };
    let paths = |paths: &[&str]| Some(paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    assert_eq!(written(json!({ "filepath": "/w/a" }), &["a"]), paths(&["/w/a", "/w/a"]));
    let files = json!([{ "filePath": "/w/a", "movePath": "/b" }, { "filePath": "/w/c" }]);
    let patch = json!({ "filepath": "a, c", "files": files });
    assert_eq!(written(patch, &["a", "c"]), paths(&["/w/a", "/w/c", "/w/a", "/b", "/w/c"]));
    assert_eq!(written(json!({}), &["a"]), None);
    assert_eq!(written(json!({ "filepath": "a" }), &["a"]), None);
    assert_eq!(written(json!({ "files": [{}] }), &["a"]), None);
}

#[test]
fn what_is_outside_for_opencode() {
    let external = |metadata: Value| {
        let ask = asked("external_directory", &["/o/*"], &metadata);
        footprint(&ask, None, &base()).map(|found| found.either)
    };
    assert_eq!(
        external(json!({ "filepath": "/o/f", "parentDir": "/o" })),
        Some(vec!["/o/f".into()])
    );
    assert_eq!(
        external(json!({ "directories": ["/o", "/q"] })),
        Some(vec!["/o".into(), "/q".into()])
    );
    assert_eq!(external(json!({})), Some(vec!["/o".into()]));
    assert_eq!(external(json!({ "directories": [1] })), None);
}

#[test]
fn what_a_prompt_mentions_is_found_as_opencode_finds_it() {
    assert_eq!(mentioned("Look at @/etc/passwd, and @a/b.rs."), ["/etc/passwd", "/w/a/b.rs"]);
    assert_eq!(mentioned("(@~/x) @../../x @.env"), ["/home/x/x)", "/w/../", "/w/.env"]);
    assert_eq!(mentioned("a@b.org `@x` @ _@y"), Vec::<String>::new());
    assert_eq!(mentioned("\u{e9}@x"), ["/w/x"]);
}
