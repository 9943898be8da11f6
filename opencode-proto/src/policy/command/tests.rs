use super::*;

fn plain(line: &str, commands: &[&str]) -> bool {
    let commands: Vec<String> = commands.iter().map(|&command| command.to_owned()).collect();
    is_plain(line, &commands)
}

#[test]
fn joined_commands_are_plain() {
    assert!(plain("git log", &["git log"]));
    assert!(plain(
        "git add . && git commit -m x; git log | head",
        &["git add .", "git commit -m x", "git log", "head"]
    ));
    assert!(plain("cargo test 2>&1 | tail", &["cargo test 2>&1", "tail"]));
    assert!(plain("echo one && echo two 2>&1", &["echo one", "echo two"]));
    assert!(plain("make > /dev/null 2>&1", &["make > /dev/null 2>&1"]));
}

#[test]
fn effects_outside_the_commands_are_not_plain() {
    let lines: [(&str, &[&str]); 9] = [
        ("echo x && echo y > /etc/x", &["echo x", "echo y"]),
        ("{ echo x; } > /etc/x", &["echo x"]),
        ("(echo x) > /etc/x", &["echo x"]),
        ("echo x > /etc/x", &["echo x > /etc/x"]),
        ("echo x >/dev/null/../x", &["echo x >/dev/null/../x"]),
        ("echo \"$(</etc/x)\"", &["echo \"$(</etc/x)\""]),
        ("echo `id`", &["echo `id`", "id"]),
        ("cd \"$(</etc/x)\"; echo x", &["echo x"]),
        ("> /etc/x; echo x", &["echo x"]),
    ];
    for (line, commands) in lines {
        assert!(!plain(line, commands), "{line}");
    }
}
