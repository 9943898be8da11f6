//! Inputs of a prompt as they reach the model.

use std::fs;
use std::sync::Arc;

use opencode_tokio::config::ToolSwitch;
use opencode_tokio::event::ToolState;
use opencode_tokio::turn::{
    CommandRequest, PromptFile, PromptPart, Subtask, ToolSwitchError, TurnEnd,
};
use opencode_tokio::{CreateSession, ModelRef, Permissions, Prompt, TurnRequest};
use serde_json::{Value, json};
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{ModelRequest, Reply, Script};

use crate::on;

/// An image of one pixel.
const DOT: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\
    \x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0dIDATx\xdacd\xf8\xcfP\x0f\x00\x03\x86\
    \x01\x80Z4}k\x00\x00\x00\x00IEND\xaeB`\x82";

/// Plays a turn of one model call. Returns the request of the call.
async fn model_request(
    world: &SessionWorld,
    script: &str,
    request: impl Into<TurnRequest>,
) -> Arc<ModelRequest> {
    world.model().script(script, Reply::new().text("Read."));
    let session = world.session().await;
    let (text, _) = play(session.send(prompt(request))).await;
    assert_eq!(text, "Read.");
    let [request] = &world.model_requests(script)[..] else { panic!("not one call") };
    Arc::clone(request)
}

/// Last message of the user, with all parts.
fn last_prompt(request: &ModelRequest) -> Value {
    let user = |message: &&Value| message["role"] == "user";
    request.messages().iter().rfind(user).unwrap().clone()
}

#[tokio::test]
async fn a_turn_chooses_model_agent_variant_and_system_prompt() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    world.model().script("inputs-choices", Reply::new().text("One."));
    world.model().script("inputs-after", Reply::new().text("Two."));
    let choices = Prompt::from("Go [[inputs-choices]]")
        .with_model(ModelRef::new("scripted/small").unwrap())
        .with_agent("plan")
        .with_variant("high")
        .with_system("Speak \"Latin\".");

    let (_, outcome) = play(session.send(prompt(choices))).await;

    let chosen = &world.model_requests("inputs-choices")[0];
    assert_eq!(chosen.model(), "small");
    assert!(chosen.system().contains("Speak \"Latin\"."));
    assert_eq!(chosen.body()["reasoning_effort"], "high");
    let answer = outcome.answers().last().unwrap();
    assert_eq!(answer.agent.as_deref(), Some("plan"));
    assert_eq!(answer.model, Some(ModelRef::new("scripted/small").unwrap()));

    // The next turn chooses nothing: the model stays, the system prompt does not.
    play(session.send(prompt("Go [[inputs-after]]"))).await;
    let after = &world.model_requests("inputs-after")[0];
    assert_eq!(after.model(), "small");
    assert!(!after.system().contains("Speak"));
}

#[tokio::test]
async fn tools_are_disabled_for_one_prompt() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    world.model().script("inputs-tools", Reply::new().text("One."));
    let off = Prompt::from("Go [[inputs-tools]]")
        .with_tool("bash", ToolSwitch::Disabled)
        .with_tool("webfetch", ToolSwitch::Disabled);
    play(session.send(prompt(off.clone()))).await;
    play(session.send(prompt("Go [[inputs-tools]]"))).await;
    play(session.send(prompt(off))).await;
    let command = session.send(CommandRequest::new("review")).outcome().await.unwrap_err();
    let Some(TurnEnd::ToolSwitches(error)) = command.end() else { panic!("{command:?}") };
    assert_eq!(*error, ToolSwitchError::EarlierSwitches);
    // Another program finds the session as the last prompt left it.
    let info = session.info().await.unwrap();
    assert!(info.raw.as_str().contains(r#""permission":"bash""#), "{info:?}");
    play(session.send(prompt("Go [[inputs-tools]]"))).await;

    let tools = |no: usize| {
        let requests = world.model_requests("inputs-tools");
        let tools = requests[no].tools();
        assert!(tools.contains(&"read"), "{tools:?}");
        (tools.contains(&"bash"), tools.contains(&"webfetch"))
    };
    let given: Vec<_> = (0..4).map(tools).collect();
    assert_eq!(given, [(false, false), (true, true), (false, false), (true, true)]);
}

#[tokio::test]
async fn tool_switches_do_not_replace_rules_of_a_session() {
    let world = SessionWorld::new(&on()).await;
    let create = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    let session = world.session_with(create).await;
    let off = Prompt::from("Never sent.").with_tool("read", ToolSwitch::Disabled);
    let turn = session.send(prompt(off)).outcome().await.unwrap_err();
    let Some(TurnEnd::ToolSwitches(error)) = turn.end() else { panic!("{turn:?}") };
    assert_eq!(*error, ToolSwitchError::OwnRules);
    assert_eq!(session.messages().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_session_can_deny_tools() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("inputs-deny", Reply::new().text("One."));
    let create = CreateSession::new().with_permission(Permissions::new().deny("bash"));
    play(world.session_with(create).await.send(prompt("Go [[inputs-deny]]"))).await;
    assert!(!world.model_requests("inputs-deny")[0].tools().contains(&"bash"));
}

#[tokio::test]
async fn a_text_file_is_read_by_its_path() {
    let world = SessionWorld::new(&on()).await;
    let path = world.project().join("notes of #1 (50%).txt");
    fs::write(&path, "first\nsecond\nthird\n").unwrap();
    let whole = Prompt::from("Go [[inputs-path]]").with_part(PromptFile::path(&path));
    let arrived = last_prompt(&*model_request(&world, "inputs-path", whole).await).to_string();
    assert!(arrived.contains("first") && arrived.contains("third"), "{arrived}");

    let lines = Prompt::from("Go [[inputs-lines]]")
        .with_part(PromptFile::lines("notes of #1 (50%).txt", 2..=2))
        .with_files_in(world.project());
    let arrived = last_prompt(&*model_request(&world, "inputs-lines", lines).await).to_string();
    assert!(arrived.contains("second") && !arrived.contains("third"), "{arrived}");
}

#[tokio::test]
async fn files_are_sent_with_the_prompt() {
    let world = SessionWorld::new(&on()).await;
    let request = Prompt::from("Go [[inputs-bytes]]")
        .with_model(ModelRef::new("scripted/sees").unwrap())
        .with_part(PromptFile::bytes("a note.txt", "what the note says \u{1f980}"))
        .with_part(PromptFile::bytes("dot.png", DOT));
    let arrived = last_prompt(&*model_request(&world, "inputs-bytes", request).await);
    assert!(arrived.to_string().contains("what the note says \u{1f980}"), "{arrived}");
    let images: Vec<_> = arrived["content"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["type"] == "image_url")
        .filter_map(|part| part["image_url"]["url"].as_str())
        .collect();
    let [image] = images[..] else { panic!("{arrived}") };
    assert!(image.starts_with("data:image/png;base64,iVBORw0KGgo"), "{image}");
}

#[tokio::test]
async fn a_missing_file_is_reported_to_the_model() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("inputs-missing", Reply::new().text("Missing."));
    let request = Prompt::from("Go [[inputs-missing]]")
        .with_part(PromptFile::path(world.project().join("nowhere.txt")));
    let (text, outcome) = play(world.session().await.send(prompt(request))).await;
    assert_eq!((&*text, outcome.end.name()), ("Missing.", "completed"));
    assert_eq!(outcome.errors().len(), 1, "{:?}", outcome.errors());
}

#[tokio::test]
async fn a_prompt_can_name_an_agent() {
    let world = SessionWorld::new(&on()).await;
    let request =
        Prompt::from("Go [[inputs-agent]]").with_part(PromptPart::Agent("asker".to_owned()));
    let arrived = last_prompt(&*model_request(&world, "inputs-agent", request).await).to_string();
    assert!(arrived.contains("call the task tool with subagent: asker"), "{arrived}");
}

#[tokio::test]
async fn a_subtask_runs_in_a_subagent() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("inputs-child", Reply::new().text("The child says so."));
    world
        .model()
        .script("inputs-subtask", Script::new().then(Reply::new().text("I see.")).repeat_last());
    let task = Subtask::new("asker", "Do it [[inputs-child]]", "does it");
    let request = Prompt::from("Go [[inputs-subtask]]").with_part(task);
    let (_, outcome) = play(world.session().await.send(prompt(request))).await;

    let [child] = &outcome.children[..] else { panic!("{:?}", outcome.children) };
    assert_eq!(child.text(), "The child says so.");
    let [tool] = &outcome.tools().collect::<Vec<_>>()[..] else { panic!("not one tool") };
    assert_eq!((&*tool.tool, tool.state.status()), ("task", "completed"));
    assert!(tool.state.output().unwrap().to_str().contains("The child says so."));
    assert_eq!(outcome.text(), "I see.");
    assert_eq!(outcome.children_tokens().total, 110);
}

#[tokio::test]
async fn special_characters_arrive_unchanged() {
    let world = SessionWorld::new(&on()).await;
    let odd = "[[inputs-odd]] -x \"double\" 'single' \\n \\\\ `x` $HOME ${X} %s \
               \u{1f980}\u{200d}e\u{301}\r\n\t{env:HOME} \\ud800 \u{0}\u{7f}\u{2028}</s> \n \n";
    let request = model_request(&world, "inputs-odd", odd).await;
    assert_eq!(request.prompt().unwrap(), odd);
}

#[tokio::test]
async fn a_long_prompt_arrives_complete() {
    let world = SessionWorld::new(&on()).await;
    let long =
        format!("[[inputs-long]]\n{}the end", "A line of the prompt, \u{e4}.\n".repeat(12_000));
    assert!(long.len() > 300_000);
    let request = model_request(&world, "inputs-long", &*long).await;
    assert_eq!(request.prompt().unwrap().len(), long.len());
    assert!(request.prompt().unwrap() == *long);
}

#[tokio::test]
async fn unpaired_surrogates_are_replaced() {
    let world = SessionWorld::new(&on()).await;
    // JavaScript prints a lone half of a surrogate pair as an escape. Here it is in an answer and
    // in the arguments of a tool.
    let event = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":0,\
             \"model\":\"m1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let arguments = r#"{\"command\":\"echo one\",\"description\":\"a \\ud83e b\"}"#;
    let call = format!(
        "{{\"role\":\"assistant\",\"tool_calls\":[{{\"index\":0,\"id\":\"call_odd\",\
         \"type\":\"function\",\"function\":{{\"name\":\"bash\",\"arguments\":\"{arguments}\"}}}}]}}"
    );
    let script =
        Script::new().then(Reply::new().raw(event(&call, "null")).finish("tool_calls")).then(
            Reply::new()
                .raw(event(r#"{"role":"assistant","content":"a \ud83e b \udd80"}"#, "null")),
        );
    world.model().script("inputs-half", script);

    let (text, outcome) = play(world.session().await.send(prompt("Go [[inputs-half]]"))).await;

    assert_eq!(text, "a \u{fffd} b \u{fffd}");
    assert_eq!(outcome.text(), text);
    let tool = outcome.tools().next().unwrap();
    let ToolState::Completed { input: Some(input), .. } = &tool.state else { panic!("{tool:?}") };
    let command = serde_json::from_str::<Value>(&input.as_str().replace("\\ud83e", "?")).unwrap();
    assert_eq!(command["command"], json!("echo one"));
}
