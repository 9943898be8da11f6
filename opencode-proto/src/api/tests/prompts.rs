//! Prompts, as they are sent and as they are shown.

use opencode_config::ToolSwitch::{Disabled, Enabled};

use super::*;
use crate::json::RawJson;

fn sent(prompt: Prompt) -> String {
    let operation = PromptAsync::new("ses_1", "msg_1", prompt);
    let body = operation.request().into_body();
    let (id, rest) = (r#"{"messageID":"msg_1","#, str::from_utf8(&body).unwrap());
    rest.strip_prefix(id).unwrap().strip_suffix('}').unwrap().to_owned()
}

#[test]
fn a_prompt_says_only_what_was_said() {
    assert_eq!(sent(Prompt::new()), r#""parts":[]"#);
    let all = Prompt::from(String::from("a\n\"b\""))
        .with_model("anthropic/claude".parse().unwrap())
        .with_agent("plan")
        .with_system("Be brief.")
        .with_variant("high")
        .with_tool("write", Disabled)
        .with_tool("bash", Enabled)
        .with_reply(PromptReply::NoReply)
        .with_format(OutputFormat::json_schema(RawJson::parse(r#"{"type":"object"}"#).unwrap()));
    assert_eq!(
        sent(all),
        concat!(
            r#""model":{"providerID":"anthropic","modelID":"claude"},"agent":"plan","noReply":true,"#,
            r#""tools":{"bash":true,"write":false},"format":{"type":"json_schema","schema":{"type":"object"}},"#,
            r#""system":"Be brief.","variant":"high","parts":[{"type":"text","text":"a\n\"b\""}]"#,
        )
    );
}

/// The server refuses a prompt whose model has no `providerID`. With an empty one it would take it,
/// fail, and fail all later prompts of the session.
#[test]
fn a_model_without_a_provider_is_sent_without_one() {
    let prompt = Prompt::new().with_model("gpt".parse().unwrap());
    assert_eq!(sent(prompt), r#""model":{"modelID":"gpt"},"parts":[]"#);
}

#[test]
fn parts_are_of_four_kinds() {
    let task = Subtask::new("explore", "Find it.", "Find")
        .with_model("p/m".parse().unwrap())
        .with_command("find");
    let prompt = Prompt::from("x")
        .with_part(PromptPart::Agent("explore".to_owned()))
        .with_part(Subtask::new("general", "Do it.", "Do"))
        .with_part(task)
        .with_part(PromptFile::lines("/src/a b.rs", 3..=9))
        .with_part(PromptFile::bytes("logo.PNG", &b"\x89PNG"[..]));
    assert_eq!(
        sent(prompt),
        concat!(
            r#""parts":[{"type":"text","text":"x"},{"type":"agent","name":"explore"},"#,
            r#"{"type":"subtask","prompt":"Do it.","description":"Do","agent":"general"},"#,
            r#"{"type":"subtask","prompt":"Find it.","description":"Find","agent":"explore","#,
            r#""model":{"providerID":"p","modelID":"m"},"command":"find"},"#,
            r#"{"type":"file","mime":"text/plain","filename":"a b.rs","url":"file:///src/a%20b.rs?start=3&end=9"},"#,
            r#"{"type":"file","mime":"image/png","filename":"logo.PNG","url":"data:image/png;base64,iVBORw=="}]"#,
        )
    );
}

#[test]
fn a_path_survives_the_url() {
    for (path, url) in [
        ("/a/b.txt", "file:///a/b.txt"),
        ("/a b/é#?%.txt", "file:///a%20b/%C3%A9%23%3F%25.txt"),
        ("/", "file:///"),
        ("/a\\b", "file:///a%5Cb"),
        ("/[x]&y=1;~", "file:///%5Bx%5D%26y%3D1%3B~"),
        (r"C:\Users\me\a b.txt", "file:///C:/Users/me/a%20b.txt"),
        ("c:/x", "file:///c:/x"),
        (r"\\host\share\x y", "file://host/share/x%20y"),
    ] {
        assert_eq!(PromptFile::path(path).url(), url);
    }
}

#[test]
fn relative_paths_become_absolute_on_demand() {
    let prompt = Prompt::from("x")
        .with_part(PromptFile::path("src/a.rs"))
        .with_part(PromptFile::path("/etc/hosts"))
        .with_part(PromptFile::bytes("a", "b"))
        .with_files_in("/srv");
    let urls: Vec<_> = prompt
        .parts
        .iter()
        .filter_map(|part| if let PromptPart::File(file) = part { Some(file.url()) } else { None })
        .collect();
    assert_eq!(urls, ["file:///srv/src/a.rs", "file:///etc/hosts", "data:text/plain;base64,Yg=="]);
}

#[test]
fn types_are_told_from_names_and_can_be_said() {
    for (name, mime) in [
        ("a.jpg", "image/jpeg"),
        ("a.b.JPEG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.pdf", "application/pdf"),
        ("a.md", "text/plain"),
        ("a.svg", "text/plain"),
        ("Makefile", "text/plain"),
        ("png", "text/plain"),
        ("", "text/plain"),
    ] {
        assert_eq!(PromptFile::bytes(name, "").mime(), mime, "{name}");
        assert_eq!(PromptFile::path(format!("/x/{name}")).mime(), mime, "{name}");
    }
    let file = PromptFile::path("/a.png").with_mime("audio/wav").with_filename("b");
    assert_eq!((file.mime(), file.filename()), ("audio/wav", Some("b")));
}

#[test]
fn texts_and_contents_are_not_shown() {
    let prompt = Prompt::from("secret text")
        .with_system("secret system")
        .with_part(PromptFile::bytes("a.txt", "secret file"))
        .with_part(PromptFile::path("/b.txt"))
        .with_part(Subtask::new("explore", "secret task", "secret"));
    let shown = format!("{prompt:?}");
    assert!(!shown.contains("secret"), "{shown}");
    for part in ["Text(11 bytes)", "system: Some(13 bytes)", "11 bytes", "\"/b.txt\"", "explore"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
