//! Words of a command line in the syntax of a POSIX shell.

use std::iter::Peekable;
use std::str::Chars;

use super::ProgramCommandError;

/// Quotes a word unless the shell takes every character of the word for itself.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Splits a line into words. Characters that a shell expands or executes are refused.
pub(crate) fn split(line: &str) -> Result<Vec<String>, ProgramCommandError> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        if chars.peek() == Some(&'~') {
            return Err(ProgramCommandError::Shell { character: '~' });
        }
        words.push(next_word(&mut chars)?);
    }
}

fn next_word(chars: &mut Peekable<Chars<'_>>) -> Result<String, ProgramCommandError> {
    let mut word = String::new();
    while let Some(character) = chars.next_if(|c| !c.is_ascii_whitespace()) {
        match character {
            '\'' => single_quoted(chars, &mut word)?,
            '"' => double_quoted(chars, &mut word)?,
            '\\' => word.push(chars.next().ok_or(ProgramCommandError::Unclosed { quote: '\\' })?),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | ']' => {
                return Err(ProgramCommandError::Shell { character });
            }
            plain => word.push(plain),
        }
    }
    Ok(word)
}

fn single_quoted(
    chars: &mut Peekable<Chars<'_>>,
    word: &mut String,
) -> Result<(), ProgramCommandError> {
    for character in chars.by_ref() {
        if character == '\'' {
            return Ok(());
        }
        word.push(character);
    }
    Err(ProgramCommandError::Unclosed { quote: '\'' })
}

fn double_quoted(
    chars: &mut Peekable<Chars<'_>>,
    word: &mut String,
) -> Result<(), ProgramCommandError> {
    while let Some(character) = chars.next() {
        match character {
            '"' => return Ok(()),
            '$' | '`' => return Err(ProgramCommandError::Shell { character }),
            '\\' => {
                word.push(chars.next_if(|c| "\"\\$`".contains(*c)).unwrap_or('\\'));
            }
            plain => word.push(plain),
        }
    }
    Err(ProgramCommandError::Unclosed { quote: '"' })
}
