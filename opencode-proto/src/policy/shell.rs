//! Tokenizer for command lines whose words a shell takes literally.
//!
//! A line is read only if bash, dash, ksh and zsh split it into the same commands and words, and
//! expand none of them. Every other line is rejected as a whole: the tokenizer has no rule for
//! expansions, it only knows the characters without a meaning. That is why it is written here: a
//! parser of all of bash (`brush-parser`, `yash-syntax`, `tree-sitter-bash`) accepts thousands of
//! constructs that would have to be excluded one by one.

use std::ops::Range;

#[cfg(test)]
mod tests;

/// A command with literal words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SimpleCommand {
    /// Words without their quotes. The first is the name of the command.
    pub(crate) words: Vec<String>,
    /// The command in the line, without redirections.
    pub(super) bare: Range<usize>,
    /// The command in the line, with redirections.
    pub(super) whole: Range<usize>,
    pub(super) names: Names,
}

/// Kind of the words of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Names {
    #[default]
    Literal,
    /// A word has a `*` or `?` behind a literal directory, so that files of the directory replace
    /// the word.
    Files,
}

/// Reads the commands of a line, in order. Commands are joined by `;`, `&&`, `||` or `|`.
///
/// `None` when a shell may do more than run these commands with these words.
pub(crate) fn commands(line: &str) -> Option<Vec<SimpleCommand>> {
    let mut lexer = Lexer { line, at: 0 };
    let mut commands = Vec::new();
    loop {
        let command = lexer.command()?;
        let is_plain = is_plain(&command.words);
        commands.push(command);
        match lexer.operator()? {
            _ if !is_plain => return None,
            Joint::Command => {}
            Joint::End => return Some(commands),
        }
    }
}

/// Text behind a command.
enum Joint {
    Command,
    End,
}

struct Lexer<'a> {
    line: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    fn skip_spaces(&mut self) {
        while self.skip(" ") {}
    }

    fn command(&mut self) -> Option<SimpleCommand> {
        self.skip_spaces();
        let mut command = SimpleCommand { bare: self.at..self.at, ..SimpleCommand::default() };
        loop {
            self.skip_spaces();
            match self.peek() {
                None | Some(';' | '|') => break,
                Some('&') if !self.rest().starts_with("&>") => break,
                Some(_) if self.redirection()? => command.whole.end = self.at,
                // A word behind a redirection.
                Some(_) if command.whole.end > command.bare.end => return None,
                Some(_) => {
                    let names = self.word(&mut command)?;
                    if names == Names::Files {
                        command.names = names;
                    }
                    command.bare.end = self.at;
                    command.whole.end = self.at;
                }
            }
        }
        command.whole.start = command.bare.start;
        (!command.words.is_empty()).then_some(command)
    }

    fn operator(&mut self) -> Option<Joint> {
        if self.peek().is_none() {
            return Some(Joint::End);
        }
        if self.skip("&&") || self.skip("||") {
            return Some(Joint::Command);
        }
        if self.skip("|") {
            // `|&` joins both outputs.
            return (self.peek() != Some('&')).then_some(Joint::Command);
        }
        if self.skip(";") {
            self.skip_spaces();
            return Some(if self.peek().is_none() { Joint::End } else { Joint::Command });
        }
        // A command in the background.
        None
    }

    /// Reads a redirection that writes nothing. `None` for every other redirection.
    fn redirection(&mut self) -> Option<bool> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let is_redirection = rest.starts_with("&>") || rest[digits..].starts_with(['<', '>']);
        if !is_redirection {
            return Some(false);
        }
        if ["2>&1", "1>&2", ">&2"].into_iter().any(|join| self.skip(join)) {
            return self.is_at_end_of_word().then_some(true);
        }
        let opens = ["&>>", "&>", "1>>", "1>", "2>>", "2>", ">>", ">", "0<", "<"];
        if !opens.into_iter().any(|open| self.skip(open)) {
            return None;
        }
        self.skip_spaces();
        (self.skip("/dev/null") && self.is_at_end_of_word()).then_some(true)
    }

    fn is_at_end_of_word(&self) -> bool {
        self.peek().is_none_or(|char| " ;|&".contains(char))
    }

    fn word(&mut self, command: &mut SimpleCommand) -> Option<Names> {
        let is_name = command.words.is_empty();
        let (mut word, mut names) = (String::new(), Names::Literal);
        while let Some(char) = self.peek() {
            match char {
                ' ' | ';' | '|' | '&' => break,
                '\'' | '"' if !is_name => self.quoted(char, &mut word)?,
                '*' | '?' if !is_name && word.contains('/') => {
                    names = Names::Files;
                    word.push(char);
                    self.at += 1;
                }
                // zsh replaces `=name` by the path of a program.
                '=' if is_name || word.is_empty() => return None,
                _ if is_literal(char) => {
                    word.push(char);
                    self.at += char.len_utf8();
                }
                _ => return None,
            }
        }
        command.words.push(word);
        Some(names)
    }

    fn quoted(&mut self, quote: char, word: &mut String) -> Option<()> {
        self.at += 1;
        let (text, _) = self.rest().split_once(quote)?;
        let is_expanded = |char: char| quote == '"' && "$`\\!".contains(char);
        if text.chars().any(|char| is_expanded(char) || is_hidden(char)) {
            return None;
        }
        let length = text.len() + quote.len_utf8();
        word.push_str(text);
        self.at += length;
        Some(())
    }
}

/// Returns whether every shell takes an unquoted character as it is, anywhere in a word.
fn is_literal(char: char) -> bool {
    if char.is_ascii() {
        char.is_ascii_alphanumeric() || "_-./:@%+,=".contains(char)
    } else {
        char.is_alphanumeric()
    }
}

/// Returns whether a character ends lines, controls terminals, or makes text look like another.
pub(super) fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(char, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Words that begin a compound command, run or evaluate their arguments, or change the meaning of
/// later commands, in bash or zsh. Sorted.
#[rustfmt::skip]
const COMPOUND: [&str; 96] = [
    ".", "alias", "autoload", "bind", "break", "builtin", "case", "cd", "chdir", "command",
    "compgen", "complete", "compopt", "continue", "coproc", "declare", "disable", "do", "done",
    "elif", "else", "emulate", "enable", "end", "esac", "eval", "exec", "exit", "export", "fc",
    "fi", "float", "for", "foreach", "function", "functions", "getln", "getopts", "hash",
    "history", "if", "in", "integer", "jobs", "let", "limit", "local", "login", "logout",
    "mapfile", "nameref", "newgrp", "nocorrect", "noglob", "popd", "print", "private", "pushd",
    "read", "readarray", "readonly", "rehash", "repeat", "return", "sched", "select", "set",
    "setopt", "shift", "shopt", "source", "strftime", "sysread", "then", "time", "trap",
    "typeset", "ulimit", "umask", "unalias", "unfunction", "unhash", "unlimit", "unset",
    "unsetopt", "until", "vared", "wait", "while", "zcompile", "zformat", "zle", "zmodload",
    "zparseopts", "zpty", "zstyle",
];

/// Operators of `test` that evaluate an operand: as arithmetic in zsh and ksh, as a variable with
/// an index in bash.
const EVALUATING: [&str; 8] = ["-R", "-eq", "-ge", "-gt", "-le", "-lt", "-ne", "-v"];

/// Returns whether a command takes the words as they are.
fn is_plain(words: &[String]) -> bool {
    let Some((name, arguments)) = words.split_first() else { return false };
    let starts = |char: char| char.is_alphanumeric() || "_./".contains(char);
    match name.as_str() {
        _ if !name.starts_with(starts) || COMPOUND.binary_search(&name.as_str()).is_ok() => false,
        // An option names a variable, whose index is evaluated. zsh evaluates numbers.
        "printf" => {
            arguments.first().is_none_or(|first| !first.starts_with('-'))
                && arguments.iter().skip(1).all(|word| !word.contains('['))
        }
        "test" => {
            arguments.iter().all(|word| !EVALUATING.contains(&&**word) && !word.contains('['))
        }
        _ => true,
    }
}
