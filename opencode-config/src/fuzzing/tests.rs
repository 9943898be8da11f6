use super::*;

#[test]
fn seeds_pass() {
    let seeds: [&[u8]; 16] = [
        b"",
        b"{}",
        b"\xef\xbb\xbf{\"provider\": {}}",
        b"// only a comment",
        b"{\"a\": 1, \"a\": 2,}",
        b"{\"provider\": {\"x\": {\"options\": {\"apiKey\": \"{file:./key}\"}}}}",
        b"{\"provider\": {\"{file:..\\/k}\": \"{file:} {file:{env:D}/x} {file:~/x\"}}",
        b"{\"disabled_providers\": [\"{file:../../../../../../x}\"]}",
        b"{\"n\": [1e400, -0, 18446744073709551615, 18446744073709551616, 0.1]}",
        b"{\"n\": [-0.0, 1E2, 123456789012345678901234567890]}",
        b"{\"s\": \"\\ud83d\\ude00 \\u0000 \\/ \\ud800\"}",
        b"{\"s\": \"\xff\"}",
        b"[[[[[[",
        b"{\"$serde_json::private::RawValue\": \"[1]\"}",
        b"{\"a\": {\"$serde_json::private::RawValue\": \"[1]\"}}",
        b"{\"a\": {\"$serde_json::private::RawValue\": 1}}",
    ];
    for seed in seeds {
        jsonc(seed);
        // Every cut of a seed is a file that somebody was still writing.
        (0..seed.len()).for_each(|end| jsonc(&seed[..end]));
    }
}
