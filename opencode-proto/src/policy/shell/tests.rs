use super::*;

fn words(line: &str) -> Option<Vec<Vec<String>>> {
    let commands = commands(line)?;
    Some(commands.into_iter().map(|command| command.words).collect())
}

fn accepts(line: &str, expected: &[&[&str]]) {
    let expected: Vec<Vec<String>> = expected
        .iter()
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        .collect();
    assert_eq!(words(line), Some(expected), "{line}");
}

fn rejects(lines: &[&str]) {
    for line in lines {
        assert_eq!(words(line), None, "{line}");
    }
}

#[test]
fn literal_words_are_read_without_their_quotes() {
    accepts("git log", &[&["git", "log"]]);
    accepts("  git   log  ", &[&["git", "log"]]);
    accepts("echo 'a  b' \"c 'd'\" ''", &[&["echo", "a  b", "c 'd'", ""]]);
    accepts("echo a'b'\"c\"d", &[&["echo", "abcd"]]);
    accepts("echo '$x `y` \"z\" > !' a=b", &[&["echo", "$x `y` \"z\" > !", "a=b"]]);
    accepts("ls a/b.c:d,e@f%g+h-i_j", &[&["ls", "a/b.c:d,e@f%g+h-i_j"]]);
    accepts("echo h\u{e9}llo", &[&["echo", "h\u{e9}llo"]]);
}

#[test]
fn commands_are_joined_by_four_operators() {
    accepts("a b&&c||d;e|f", &[&["a", "b"], &["c"], &["d"], &["e"], &["f"]]);
    accepts("a ; ", &[&["a"]]);
    rejects(&[
        "a & b", "a &", "a |& b", "a ;; b", "a ; ; b", "a &&", "&& a", "a |", "| a", ";", "",
    ]);
    rejects(&["a &&& b", "a ||| b", "a\nb", "a\tb"]);
}

#[test]
fn redirections_that_write_nothing_are_kept_apart() {
    let line = "make x 2>&1 >/dev/null | tail";
    let [make, tail] = &commands(line).unwrap()[..] else { panic!("two commands") };
    assert_eq!(&line[make.whole.clone()], "make x 2>&1 >/dev/null");
    assert_eq!(&line[make.bare.clone()], "make x");
    assert_eq!(&line[tail.whole.clone()], "tail");
    for line in
        ["a &>/dev/null", "a > /dev/null", "a 1>/dev/null", "a </dev/null", "a 2>>/dev/null"]
    {
        accepts(line, &[&["a"]]);
    }
    accepts("a 2 >/dev/null", &[&["a", "2"]]);
    rejects(&["a >/dev/null/../x", "a >/dev/nullx", "a > x", "a >& x", "a >&1x", "a 2>&1x"]);
    rejects(&[
        "a 3>&1",
        "a >&-",
        "a >|/dev/null",
        "a <>/dev/null",
        "a <<x",
        "a <<<x",
        "a x>/dev/null",
    ]);
    rejects(&[">/dev/null", ">/dev/null a", "a >/dev/null b", "a {x}>/dev/null", "a >'/dev/null'"]);
}

#[test]
fn expansions_are_rejected() {
    rejects(&["echo $x", "echo \"$x\"", "echo `x`", "echo \"`x`\"", "echo $'x'", "echo $\"x\""]);
    rejects(&["echo ~", "echo x=~", "echo {a,b}", "{a,b}", "echo [a]", "echo (a)", "echo !x"]);
    rejects(&["echo \"x!\"", "echo =ls", "echo x^y", "echo #x", "echo \\x", "echo \"\\x\""]);
    rejects(&["echo <(x)", "echo 'x", "echo \"x", "echo x'", "echo \u{a0}x", "echo x\u{85}"]);
    rejects(&["echo 'a\nb'", "echo 'a\u{1b}'", "echo 'a\u{202e}'", "echo \"a\u{feff}\""]);
}

#[test]
fn patterns_of_files_need_a_literal_directory() {
    let names = |line: &str| commands(line).map(|commands| commands[0].names);
    assert_eq!(names("ls src/*.rs"), Some(Names::Files));
    assert_eq!(names("ls 'a b/'?"), Some(Names::Files));
    assert_eq!(names("ls '*'"), Some(Names::Literal));
    rejects(&["ls *", "ls x*", "git pus?", "s/* x", "ls */x"]);
}

#[test]
fn names_of_commands_are_plain() {
    rejects(&["'ls'", "l's'", "A=b", "A=b ls", "-ls", "%1", "+x", "@x", ",x", ":", "ls=x"]);
    accepts("./x.sh", &[&["./x.sh"]]);
    accepts("/bin/ls", &[&["/bin/ls"]]);
    accepts("_x a", &[&["_x", "a"]]);
}

#[test]
fn commands_that_evaluate_their_words_are_rejected() {
    assert!(COMPOUND.is_sorted());
    for name in COMPOUND {
        rejects(&[name, &format!("{name} x"), &format!("ls; {name} x")]);
    }
    accepts("printf '[%s]' x", &[&["printf", "[%s]", "x"]]);
    rejects(&["printf -v x y", "printf '-v' x", "printf %d 'a[b]'"]);
    accepts("test -f x", &[&["test", "-f", "x"]]);
    rejects(&["test -v x", "test x -eq y", "test 'a[b]'"]);
}
