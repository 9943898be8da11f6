use super::*;

fn sample() -> Environment {
    [("PATH", "/bin"), ("KEY", "sk-secret"), ("EMPTY", "")]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .into_iter()
        .collect()
}

#[test]
fn variables_are_read_set_and_removed() {
    let mut env = sample();
    assert_eq!(env.var("PATH"), Some(OsStr::new("/bin")));
    env.set("PATH", "/usr/bin");
    assert_eq!(env.var("PATH"), Some(OsStr::new("/usr/bin")));
    assert_eq!(env.remove("PATH"), Some("/usr/bin".into()));
    assert_eq!(env.var("PATH"), None);
    assert_eq!(env.len(), 2);
}

#[test]
fn iteration_is_ordered_by_name() {
    let env = sample();
    assert_eq!(env.names().collect::<Vec<_>>(), ["EMPTY", "KEY", "PATH"]);
    assert_eq!(env.iter().next(), Some((OsStr::new("EMPTY"), OsStr::new(""))));
}

#[test]
fn an_empty_value_counts_as_unset_only_where_opencode_says_so() {
    let env = sample();
    assert_eq!(env.var("EMPTY"), Some(OsStr::new("")));
    assert_eq!(env.non_empty("EMPTY"), None);
    assert_eq!(env.non_empty("PATH"), Some(OsStr::new("/bin")));
}

#[test]
fn debug_shows_names_and_no_values() {
    let shown = format!("{:?}", sample());
    assert_eq!(shown, r#"{"EMPTY", "KEY", "PATH"}"#);
}
