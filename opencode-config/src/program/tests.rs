use proptest::prelude::*;

use super::*;

fn read(line: &str) -> Vec<String> {
    let command: ProgramCommand = line.parse().unwrap();
    let args = command.args().iter().map(|arg| arg.to_str().unwrap().to_owned());
    [command.program().to_str().unwrap().to_owned()].into_iter().chain(args).collect()
}

#[test]
fn lines_are_read_like_a_shell_reads_words() {
    for (line, words) in [
        ("opencode", &["opencode"][..]),
        ("  npx\t-y  opencode-ai@1.18.33\n", &["npx", "-y", "opencode-ai@1.18.33"]),
        (r#""/my programs/opencode" --pure"#, &["/my programs/opencode", "--pure"]),
        (r"a' 'b\ c '' d", &["a b c", "", "d"]),
        (r#"x "a \"b\" \\ \c \$" '$HOME \'"#, &["x", r#"a "b" \ \c $"#, r"$HOME \"]),
        ("a~ {b} !c#", &["a~", "{b}", "!c#"]),
        ("nix run nixpkgs#opencode -- --x=1", &["nix", "run", "nixpkgs#opencode", "--", "--x=1"]),
    ] {
        assert_eq!(read(line), words, "{line}");
    }
}

#[test]
fn lines_for_a_shell_are_refused() {
    let error = |line: &str| line.parse::<ProgramCommand>().unwrap_err();
    assert_eq!(error(""), ProgramCommandError::Empty);
    assert_eq!(error(" \t"), ProgramCommandError::Empty);
    for quote in ['"', '\''] {
        assert_eq!(error(&format!("a {quote}b")), ProgramCommandError::Unclosed { quote });
    }
    assert_eq!(error("a \\"), ProgramCommandError::Unclosed { quote: '\\' });
    assert_eq!(error("a \"$B\""), ProgramCommandError::Shell { character: '$' });
    for character in "|&;<>()$`*?[]~".chars() {
        assert_eq!(error(&format!("a {character}b")), ProgramCommandError::Shell { character });
        assert_eq!(read(&format!("a '{character}b'"))[1], format!("{character}b"));
    }
}

#[test]
fn a_text_is_a_program_and_not_a_line() {
    let command = ProgramCommand::from("/my programs/opencode");
    assert_eq!(command.program(), Path::new("/my programs/opencode"));
    assert_eq!(command.args(), [""; 0]);
    assert_eq!(command.with_program("x").with_arg("y"), ProgramCommand::new("x").with_arg("y"));
}

proptest! {
    #[test]
    fn a_displayed_command_is_read_as_the_same(words in prop::collection::vec("[^\\x00]{0,6}", 1..4)) {
        let (program, args) = words.split_first().unwrap();
        let command = ProgramCommand::new(program).with_args(args);
        prop_assert_eq!(command.to_string().parse::<ProgramCommand>(), Ok(command));
    }
}
