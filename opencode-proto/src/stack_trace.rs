//! Text of runtimes around the message of an error: stack traces, and the words for a lack of
//! memory.

/// Returns the text without the lines of a stack trace, or of the text with which a runtime asks
/// for a report of a crash. A text that has nothing else stays as it is.
pub(crate) fn without_trace(text: &str) -> String {
    if !text.lines().any(is_trace) {
        return text.to_owned();
    }
    let kept: Vec<_> = text.lines().filter(|line| !is_trace(line)).collect();
    let kept = kept.join("\n").trim_end().to_owned();
    if kept.trim().is_empty() { text.to_owned() } else { kept }
}

/// Returns whether a line belongs to a stack trace of JavaScript or of a native runtime.
pub(crate) fn is_trace(line: &str) -> bool {
    let line = line.trim_start();
    is_script_frame(line) || is_native_frame(line) || is_frame_of_source(line) || is_heading(line)
}

/// Matches `at run (file.js:1:2)`, `at async file.js:1:2` and `at <anonymous>`.
fn is_script_frame(line: &str) -> bool {
    let Some(place) = line.strip_prefix("at ") else { return false };
    let is_position = |text: &str| {
        let mut parts = text.rsplitn(3, ':');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        };
        is_number(parts.next()) && is_number(parts.next())
    };
    place.ends_with(')')
        || place.contains("/$bunfs/")
        || place == "<anonymous>"
        || (!place.is_empty() && is_position(place))
}

/// Matches `1: 0xb78db3 node::Abort() [node]` and `#0 0x00007f in malloc ()`.
fn is_native_frame(line: &str) -> bool {
    let line = line.strip_prefix('#').unwrap_or(line);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line[digits..].trim_start_matches(':').trim_start();
    digits > 0 && rest.starts_with("0x")
}

/// Matches `12 | code` and the marker below the code.
fn is_frame_of_source(line: &str) -> bool {
    let is_source = line.split_once(" | ").is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_source || (!line.is_empty() && line.bytes().all(|byte| byte == b'^'))
}

fn is_heading(line: &str) -> bool {
    line.contains("bun.report")
        || line.starts_with("<--- ")
        || (line.starts_with("-----") && line.contains("stack trace"))
}

/// Returns the message of a process that ran out of memory, from standard error.
pub(crate) fn memory_failure(stderr: &str) -> Option<String> {
    const SIGNS: [&str; 7] = [
        "cannot allocate memory",
        "enomem",
        "memory allocation of",
        "memory is exhausted",
        "memoryexhaustion",
        "out of memory",
        "std::bad_alloc",
    ];
    let is_sign = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !is_trace(&line) && SIGNS.iter().any(|sign| line.contains(sign))
    };
    let line = stderr.lines().find(is_sign)?.trim();
    let unlabelled = ["Error: ", "error: "].iter().find_map(|label| line.strip_prefix(label));
    let line = unlabelled.unwrap_or(line);
    Some(format!("the process ran out of memory: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_left_out() {
        let text = "Error: boom\n    at run (file:///x/a.js:1:2)\n    at async /x/b.ts:10:3\n    \
                    at <anonymous>\n1 | code\n    ^^^\nbecause";
        assert_eq!(without_trace(text), "Error: boom\nbecause");
        for kept in [
            "look at (this)",
            "at noon",
            "meet at the station:1",
            "1 of 2",
            "12: twelve",
            "a | b",
            "    at run (a.js:1:2)",
        ] {
            assert_eq!(without_trace(kept), kept);
        }
    }

    #[test]
    fn a_lack_of_memory_is_named() {
        let node = "\n<--- Last few GCs --->\n\n[1:0x3f] 98 ms: Mark-Compact 17.0 MB\n\n\
                    FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n\
                    ----- Native stack trace -----\n\n 1: 0xb7 node::OOMErrorHandler() [node]\n";
        let message = memory_failure(node).expect("out of memory");
        assert_eq!(
            message,
            "the process ran out of memory: FATAL ERROR: Reached heap limit Allocation failed - \
             JavaScript heap out of memory"
        );
        // 1.18.33 under `ulimit -v`.
        let bun = "ASSERTION FAILED: MemoryExhaustion: Crash intentionally because memory is \
                   exhausted.\nfailureMode != AllocationFailureMode::Assert\n";
        assert!(memory_failure(bun).is_some_and(|text| text.ends_with("memory is exhausted.")));
        let spawn = "error: Failed to spawn: ENOMEM: Cannot allocate memory";
        assert_eq!(
            memory_failure(spawn).as_deref(),
            Some("the process ran out of memory: Failed to spawn: ENOMEM: Cannot allocate memory")
        );
        assert_eq!(memory_failure("the memory of an elephant"), None);
    }
}
