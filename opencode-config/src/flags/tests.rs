use super::*;

#[test]
fn values_come_from_many_types() {
    assert_eq!(FlagValue::from(true), FlagValue::On);
    assert_eq!(FlagValue::from(false), FlagValue::Off);
    assert_eq!(FlagValue::from(None::<&str>), FlagValue::Off);
    assert_eq!(FlagValue::from(Some("x")), FlagValue::Value("x".into()));
    assert_eq!(FlagValue::from(vec!["a", "b"]), FlagValue::from(["a", "b"]));
}

#[test]
fn setting_a_flag_again_replaces_it_in_place() {
    let flags = ExtraFlags::new().with("a", "1").with("b", true).with("a", "2");
    assert_eq!(
        flags.iter().collect::<Vec<_>>(),
        [("a", &FlagValue::Value("2".into())), ("b", &FlagValue::On)]
    );
}

#[test]
fn debug_shows_names_and_no_values() {
    let flags = ExtraFlags::new().with("p", "sk-secret");
    assert_eq!(format!("{flags:?}"), r#"{"p"}"#);
    let credentials = Credentials::new("sk-secret").with_username("me");
    assert_eq!(format!("{credentials:?}"), r#"Credentials { username: Some("me"), .. }"#);
}

#[test]
fn switches_are_on_only_when_set() {
    for (flags, on) in [
        (ExtraFlags::new().with("auto", true), true),
        (ExtraFlags::new().with("yolo", "true"), true),
        (ExtraFlags::new().with("auto", false), false),
        (ExtraFlags::new().with("auto", "false"), false),
        (ExtraFlags::new().with("other", true), false),
    ] {
        assert_eq!(flags.has_any_on(&["auto", "yolo"]), on, "{flags:?}");
    }
}
