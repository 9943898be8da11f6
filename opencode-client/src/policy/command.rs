//! What a command line does besides the commands that OpenCode asks about.

#[cfg(test)]
mod tests;

/// Whether the commands that are asked about are all that the line does, and none of them redirects or substitutes.
///
/// OpenCode asks for the commands that it finds in a line. It does not show what a group is redirected to (`{ a; } > b`),
/// nor `cd`, whose argument may read a file (`cd "$(<a)"`).
pub(super) fn is_plain(line: &str, commands: &[String]) -> bool {
    let mut rest = line.to_owned();
    let mut longest: Vec<&str> = commands.iter().map(String::as_str).collect();
    longest.sort_by_key(|command| std::cmp::Reverse(command.len()));
    for command in longest {
        rest = rest.replace(command, " ");
    }
    // A redirection may be of a whole list.
    let is_joined = is_joined(&without_harmless(&rest));
    is_joined && commands.iter().all(|command| !redirects(command))
}

fn is_joined(rest: &str) -> bool {
    rest.chars().all(|char| char.is_whitespace() || "&|;".contains(char))
}

fn redirects(command: &str) -> bool {
    let rest = without_harmless(command);
    rest.contains(['<', '>', '`']) || rest.contains("$(")
}

/// The text without redirections that write nothing, as whole words: `>/dev/null/../x` is something else.
fn without_harmless(text: &str) -> String {
    let harmless =
        ["2>&1", "&>/dev/null", "2>/dev/null", ">/dev/null", "> /dev/null", "</dev/null"];
    let padded = format!(" {text} ");
    harmless.iter().fold(padded, |rest, word| rest.replace(&format!(" {word} "), " "))
}
