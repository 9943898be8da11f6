//! Command lines of the `bash` tool, beyond the commands that OpenCode asks about.

use serde::Deserialize;

use crate::PermissionRequest;

#[cfg(test)]
mod tests;

/// Returns whether a permission request for commands shows everything that the command line does.
pub(super) fn is_plain_request(request: &PermissionRequest) -> bool {
    #[derive(Deserialize)]
    struct BashMetadata {
        command: String,
    }
    let metadata = request.metadata.as_ref();
    let metadata = metadata.and_then(|metadata| metadata.decode::<BashMetadata>().ok());
    metadata.is_some_and(|metadata| is_plain(&metadata.command, &request.patterns))
}

/// Returns whether the line only joins these commands, and none of them redirects or substitutes.
///
/// OpenCode asks for the commands that it finds in a line. The request names neither the redirection
/// of a group (`{ a; } > b`) nor `cd`, whose argument can read a file (`cd "$(<a)"`).
fn is_plain(line: &str, commands: &[String]) -> bool {
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

/// Returns the text without redirections that write nothing, as whole words:
/// `>/dev/null/../x` is another file.
fn without_harmless(text: &str) -> String {
    let harmless =
        ["2>&1", "&>/dev/null", "2>/dev/null", ">/dev/null", "> /dev/null", "</dev/null"];
    let padded = format!(" {text} ");
    harmless.iter().fold(padded, |rest, word| rest.replace(&format!(" {word} "), " "))
}
