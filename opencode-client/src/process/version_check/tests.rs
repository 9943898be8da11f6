use super::*;

#[test]
fn the_version_of_an_npm_package_needs_no_process() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("opencode-linux-x64/bin/opencode");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "").unwrap();
    let modified = fs::metadata(&program).unwrap().modified().unwrap();
    let description = root.path().join("opencode-linux-x64/package.json");
    let version = |modified| packaged_version(&program, Some(modified)).map(|v| v.to_string());

    assert_eq!(version(modified), None);
    let name = r#"{"name":"opencode-linux-x64","version":"1.18.33","os":["linux"]}"#;
    fs::write(&description, name).unwrap();
    assert_eq!(version(modified).as_deref(), Some("1.18.33"));
    // Another program took the place of the package's own.
    assert_eq!(version(modified + 2 * INSTALL_TIME_MAX), None);
    fs::write(&description, r#"{"name":"my-scripts","version":"1.18.33"}"#).unwrap();
    assert_eq!(version(modified), None);
    let elsewhere = root.path().join("opencode");
    assert_eq!(packaged_version(&elsewhere, Some(modified)), None);
}

#[test]
fn snapshots_of_the_next_line_are_recognized_by_the_form_of_the_output() {
    let verdict =
        |printed: &str| judge(parse_version(printed).expect(printed), is_next_line(printed));
    for printed in ["0.0.0-dev-202609212252\n", "1.18.33\n"] {
        assert_eq!(verdict(printed), Ok(parse_version(printed)));
    }
    for printed in ["opencode v0.0.0-next-1\n", "opencode v2.0.12\n", "2.0.0\n", "0.15.31\n"] {
        assert!(verdict(printed).is_err(), "{printed}");
    }
}
