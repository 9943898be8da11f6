mod oracle;

use bytes::Bytes;

use super::*;
use crate::ErrorName;
use crate::line::{Line, LineFramer};
use crate::run_event::{RunEvent, decode};

/// Returns the answer after these lines.
fn gather(lines: &[&str]) -> Answer {
    let mut answer = Answer::new();
    for line in lines {
        answer.apply(&read(line));
    }
    answer
}

fn read(line: &str) -> RunEvent {
    decode(Bytes::copy_from_slice(line.as_bytes())).1
}

/// Returns an event with a part; `ids` are those of part and message, `rest` the other fields.
fn part(event_type: &str, ids: (&str, &str), rest: &str) -> String {
    let (part, message) = ids;
    format!(
        r#"{{"type":"{event_type}","sessionID":"ses_1","part":{{"id":"{part}","messageID":"{message}"{rest}}}}}"#
    )
}

fn start(part_id: &str, message: &str) -> String {
    part("step_start", (part_id, message), "")
}

fn text(part_id: &str, message: &str, text: &str) -> String {
    part("text", (part_id, message), &format!(r#","text":"{text}""#))
}

fn reasoning(part_id: &str, message: &str, text: &str) -> String {
    part("reasoning", (part_id, message), &format!(r#","text":"{text}""#))
}

fn continuation(part_id: &str, message: &str) -> String {
    let rest = r#","text":"go on","synthetic":true,"metadata":{"compaction_continue":true}"#;
    part("text", (part_id, message), rest)
}

fn tool(part_id: &str, message: &str, state: &str) -> String {
    part(
        "tool_use",
        (part_id, message),
        &format!(r#","callID":"call_{part_id}","tool":"bash","state":{{{state}}}"#),
    )
}

fn completed(output: &str) -> String {
    format!(r#""status":"completed","output":"{output}""#)
}

fn finish(part_id: &str, message: &str, reason: &str, total: u64, cost: f64) -> String {
    part(
        "step_finish",
        (part_id, message),
        &format!(r#","reason":"{reason}","tokens":{{"total":{total}}},"cost":{cost}"#),
    )
}

const OVERFLOW: &str =
    r#"{"type":"error","error":{"name":"ContextOverflowError","data":{"message":"no"}}}"#;
const ERROR: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"no","statusCode":429}}}"#;

fn outputs(answer: &Answer) -> Vec<String> {
    answer.tools().iter().map(|tool| tool.state.output().unwrap().to_string()).collect()
}

#[test]
fn no_event_is_an_empty_answer() {
    let answer = Answer::new();
    assert_eq!((answer.text(), answer.full_text(), answer.reasoning()), Default::default());
    assert!(answer.steps().is_empty() && answer.tools().is_empty() && answer.errors().is_empty());
    assert_eq!((answer.session(), answer.finish(), answer.fatal_error()), (None, None, None));
    assert_eq!(answer.tokens(), Tokens::default());
    assert!(answer.cost() == 0.0 && answer.cost().is_sign_positive());
}

#[test]
fn the_answer_is_the_text_of_the_last_message_that_has_any() {
    let answer = gather(&[
        &start("s1", "m1"),
        &reasoning("r1", "m1", "hm. "),
        &text("t1", "m1", "I will "),
        &text("t2", "m1", "look. "),
        &tool("c1", "m1", &completed("x")),
        &finish("f1", "m1", "tool-calls", 100, 0.5),
        &start("s2", "m2"),
        &reasoning("r2", "m2", "aha"),
        &text("t3", "m2", "Done\\n"),
        &text("t4", "m2", "now."),
        &finish("f2", "m2", "stop", 20, 0.25),
        &start("s3", "m3"),
        &text("t5", "m3", ""),
        &finish("f3", "m3", "stop", 3, 0.0),
    ]);
    assert_eq!(answer.text(), "Done\nnow.");
    assert_eq!(answer.full_text(), "I will look. Done\nnow.");
    assert_eq!(answer.reasoning(), "hm. aha");
    let texts: Vec<_> = answer.steps().iter().map(Step::text).collect();
    assert_eq!(texts, ["I will look. ", "Done\nnow.", ""]);
    let messages: Vec<_> = answer.steps().iter().map(|step| step.message().unwrap()).collect();
    assert_eq!(messages, [&"m1", &"m2", &"m3"]);
    assert_eq!((answer.tokens().total, answer.cost()), (123, 0.75));
    assert_eq!(answer.finish().unwrap(), &FinishReason::STOP);
    assert_eq!(answer.steps()[0].finish().unwrap(), &FinishReason::TOOL_CALLS);
    assert_eq!(answer.session().unwrap(), &"ses_1");
}

#[test]
fn one_text_alone_is_not_copied() {
    let answer = gather(&[&text("t1", "m1", "whole")]);
    assert!(matches!(answer.text(), Cow::Borrowed("whole")));
    assert!(matches!(answer.full_text(), Cow::Borrowed("whole")));
}

#[test]
fn a_part_sent_twice_counts_once_with_its_last_content() {
    let answer = gather(&[
        &start("s1", "m1"),
        &reasoning("r1", "m1", "h"),
        &text("t1", "m1", "one"),
        &text("t2", "m1", " two"),
        &tool("c1", "m1", &completed("old")),
        &finish("f1", "m1", "stop", 100, 1.0),
        &text("t1", "m1", "ONE"),
        &reasoning("r1", "m1", "hm"),
        &tool("c1", "m1", &completed("new")),
        &finish("f1", "m1", "stop", 120, 1.5),
        &start("s1", "m1"),
    ]);
    assert_eq!(answer.text(), "ONE two");
    assert_eq!(answer.reasoning(), "hm");
    assert_eq!(outputs(&answer), ["new"]);
    assert_eq!((answer.tokens().total, answer.cost()), (120, 1.5));
    assert_eq!((answer.steps().len(), answer.tail()), (1, Tail::Answered));
}

#[test]
fn a_repeated_finish_does_not_undo_later_events() {
    let finish = finish("f1", "m1", "stop", 1, 0.0);
    assert_eq!(gather(&[&finish, ERROR]).tail(), Tail::Failed);
    assert_eq!(gather(&[&finish, ERROR, &finish]).tail(), Tail::Failed);
}

#[test]
fn an_id_used_for_parts_of_several_kinds_loses_none_of_them() {
    let answer = gather(&[
        &reasoning("x", "m1", "r"),
        &text("x", "m1", "t"),
        &tool("x", "m1", &completed("o")),
        &finish("x", "m1", "stop", 5, 1.0),
        &start("x", "m2"),
    ]);
    assert_eq!((answer.text(), answer.reasoning()), ("t".into(), "r".into()));
    assert_eq!((outputs(&answer), answer.tokens().total), (vec!["o".to_owned()], 5));
    assert_eq!(answer.steps().len(), 2);
}

#[test]
fn tool_calls_stand_in_the_order_in_which_they_ended() {
    let answer = gather(&[
        &start("s1", "m1"),
        &tool("c3", "m1", r#""status":"running","input":{}"#),
        &tool("c2", "m1", &completed("2")),
        &tool("c3", "m1", r#""status":"error","error":"3""#),
        &tool("c1", "m1", &completed("1")),
        &tool("c2", "m1", r#""status":"running","input":{}"#),
    ]);
    assert_eq!(outputs(&answer), ["2", "3", "1"], "and an end is not taken back");
}

#[test]
fn a_result_that_is_only_hidden_from_the_model_is_not_new() {
    let hidden = r#""status":"completed","output":"old","time":{"start":1,"end":2,"compacted":3}"#;
    let answer = gather(&[
        &tool("c1", "m1", &completed("x")),
        &finish("f1", "m1", "stop", 1, 0.0),
        &tool("c0", "of_an_earlier_run", hidden),
        &tool("c1", "m1", hidden),
    ]);
    assert_eq!((outputs(&answer), answer.steps().len()), (vec!["x".to_owned()], 1));
}

#[test]
fn events_without_ids_are_added_one_after_the_other() {
    let answer = gather(&[
        r#"{"type":"step_start"}"#,
        r#"{"type":"step_start"}"#,
        r#"{"type":"text","delta":"a"}"#,
        r#"{"type":"text","delta":"b"}"#,
        r#"{"type":"tool_use","name":"bash","output":"o"}"#,
        r#"{"type":"tool_use","name":"bash","output":"o"}"#,
        r#"{"type":"step_finish","reason":"tool-calls","tokens":{"total":3},"cost":0.25}"#,
        r#"{"type":"message","content":[{"text":"c"},"d"]}"#,
        r#"{"type":"step_finish","reason":"stop","tokens":{"total":4},"cost":0.5}"#,
    ]);
    assert_eq!((answer.text(), answer.full_text()), ("cd".into(), "abcd".into()));
    assert_eq!((answer.steps().len(), answer.tools().len()), (2, 2));
    assert_eq!((answer.tokens().total, answer.cost()), (7, 0.75));
    assert!(answer.steps().iter().all(|step| step.message().is_none()));
    assert_eq!(answer.tail(), Tail::Answered);
}

#[test]
fn text_of_opencode_itself_is_not_the_answer() {
    let synthetic = part("text", ("t0", "m0"), r#","text":"a file","synthetic":true"#);
    let answer = gather(&[&synthetic, &text("t1", "m1", "mine"), &synthetic]);
    assert_eq!((answer.text(), answer.full_text()), ("mine".into(), "mine".into()));
    assert_eq!(answer.steps().len(), 1, "the user's message is no step");
}

#[test]
fn a_summary_is_paid_for_and_is_not_the_answer() {
    let lines = [
        text("t1", "m1", "begun "),
        finish("f1", "m1", "tool-calls", 1, 1.0),
        start("s2", "m2"),
        reasoning("r2", "m2", "what was it?"),
        text("t2", "m2", "## Summary"),
        finish("f2", "m2", "stop", 10, 2.0),
        continuation("t3", "user"),
        start("s4", "m4"),
        text("t4", "m4", "done"),
        finish("f4", "m4", "stop", 100, 4.0),
        continuation("t3", "user"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = gather(&lines);
    let roles: Vec<_> = answer.steps().iter().map(Step::role).collect();
    assert_eq!(roles, [StepRole::Answer, StepRole::Summary, StepRole::Answer]);
    assert_eq!((answer.text(), answer.full_text()), ("done".into(), "begun done".into()));
    assert_eq!(answer.reasoning(), "");
    assert_eq!((answer.tokens().total, answer.cost()), (111, 7.0));
    assert_eq!(answer.steps()[1].text(), "## Summary", "it can still be read");

    assert_eq!(gather(&lines[..7]).text(), "begun ", "cut off after the summary");
    assert_eq!(gather(&lines[..7]).tail(), Tail::StepOpen, "the model was told to go on");
    assert_eq!(answer.tail(), Tail::Answered, "told again");
    assert!(gather(&[&continuation("t3", "user")]).steps().is_empty());
}

#[test]
fn the_step_after_an_overflow_is_a_summary_without_any_other_sign() {
    let lines = [
        start("s1", "m1"),
        text("t1", "m1", "begun "),
        OVERFLOW.to_owned(),
        text("t1b", "m1", "broken off "),
        start("s2", "m2"),
        text("t2", "m2", "## Summary"),
        finish("f2", "m2", "stop", 10, 2.0),
        start("s4", "m4"),
        text("t4", "m4", "done"),
        finish("f4", "m4", "stop", 100, 4.0),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = gather(&lines);
    let roles: Vec<_> = answer.steps().iter().map(Step::role).collect();
    assert_eq!(roles, [StepRole::Answer, StepRole::Summary, StepRole::Answer]);
    assert_eq!(answer.full_text(), "begun broken off done");
    assert!(answer.fatal_error().is_none());

    let summarised = gather(&lines[..7]);
    assert_eq!(summarised.tail(), Tail::Failed, "no exit is expected after a summary");
    assert_eq!(summarised.fatal_error().unwrap().name, ErrorName::CONTEXT_OVERFLOW);
}

#[test]
fn attempts_of_one_message_are_one_step() {
    let answer = gather(&[
        &start("s1", "m1"),
        &start("s2", "m1"),
        &finish("f1", "m1", "unknown", 5, 0.5),
        &start("s3", "m1"),
        &text("t1", "m1", "ok"),
        &finish("f2", "m1", "stop", 7, 0.25),
    ]);
    assert_eq!(answer.steps().len(), 1);
    assert_eq!((answer.tokens().total, answer.cost()), (12, 0.75), "every attempt is paid for");
    assert_eq!(answer.finish().unwrap(), &FinishReason::STOP);
}

#[test]
fn an_abandoned_attempt_is_kept_apart_from_the_answer() {
    let lines = [
        start("s1", "m1"),
        reasoning("r1", "m1", "Wrong. "),
        text("t1", "m1", "It is forty."),
        tool("c1", "m1", &completed("ran")),
        start("s2", "m1"),
        reasoning("r2", "m1", "Right. "),
        text("t2", "m1", "It is 42."),
        finish("f2", "m1", "stop", 7, 0.25),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = gather(&lines);
    assert_eq!((&*answer.text(), &*answer.full_text()), ("It is 42.", "It is 42."));
    assert_eq!(answer.reasoning(), "Right. ");
    assert_eq!(outputs(&answer), ["ran"], "the tool has run all the same");
    let [attempt] = &answer.steps()[0].abandoned()[..] else { panic!("{answer:?}") };
    assert_eq!((&*attempt.text, &*attempt.reasoning), ("It is forty.", "Wrong. "));

    assert_eq!(gather(&lines[..4]).text(), "It is forty.", "the attempt may be the last one");
    let again = gather(&[lines[0], lines[2], lines[0]]);
    assert_eq!(again.text(), "It is forty.", "one start that comes twice");
    let void = gather(&lines[..4]).abandoned_by(&read(lines[4])).unwrap();
    assert_eq!(void.parts, ["r1", "t1"]);
    assert_eq!(gather(&lines[..4]).abandoned_by(&read(lines[0])), None);
}

#[test]
fn an_event_that_voids_an_attempt_leaves_the_next_one() {
    let void = r#"{"type":"attempt_abandoned","messageID":"m1","parts":["t1","unknown"]}"#;
    let (first, second) = (text("t1", "m1", "It is forty."), text("t2", "m1", "It is 42."));
    let (start, next) = (start("s1", "m1"), start("s2", "m1"));
    for lines in [
        &[&start, &first, void, &next, &second][..],
        &[&start, &first, void, &second],
        &[&start, &first, &next, &second, void],
    ] {
        assert_eq!(gather(lines).full_text(), "It is 42.", "{lines:?}");
    }
    let finish = finish("f1", "m1", "stop", 1, 0.0);
    assert_eq!(gather(&[&start, &first, &finish, void]).text(), "It is forty.", "it was finished");
}

#[test]
fn an_answer_serializes_with_its_steps() {
    let answer = gather(&[&start("s1", "m1"), &text("t1", "m1", "Hi"), ERROR]);
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        concat!(
            r#"{"sessionID":"ses_1","text":"Hi","reasoning":"","tokens":{"total":0,"input":0,"output":0,"#,
            r#""reasoning":0,"cache":{"read":0,"write":0}},"cost":0.0,"finish":null,"steps":[{"#,
            r#""messageID":"m1","role":"answer","text":"Hi","reasoning":"","tokens":{"total":0,"#,
            r#""input":0,"output":0,"reasoning":0,"cache":{"read":0,"write":0}},"cost":0.0,"#,
            r#""finish":null,"abandoned":[]}],"tools":[],"errors":[{"name":"APIError","#,
            r#""data":{"message":"no","statusCode":429}}]}"#,
        )
    );
}

#[test]
fn a_run_without_a_known_event_is_answered_with_its_likely_text() {
    let answer = gather(&[
        "",
        "  plain text ",
        r#"{"type":"text","par"#,
        r#""a string""#,
        r#"{"type":"new","content":[{"text":"from"},{"text":" parts"}],"message":{"text":"nested"}}"#,
        r#"{"type":"text"}"#,
        r#"{"type":"newer","text":7}"#,
    ]);
    assert_eq!(answer.text(), "plain text\n\"a string\"\nfrom parts\nnested");
    assert_eq!(answer.full_text(), answer.text());
    assert!(answer.steps().is_empty());
}

#[test]
fn likely_text_is_dropped_after_a_known_event() {
    let known = finish("f1", "m1", "stop", 1, 0.0);
    for lines in [["migrating the database", &known], [&known, "bye"]] {
        assert_eq!(gather(&lines).text(), "");
        assert_eq!(gather(&lines).full_text(), "");
    }
    assert_eq!(gather(&["junk", &text("t1", "m1", "answer")]).full_text(), "answer");
}

#[test]
fn likely_text_is_bounded() {
    let mut answer = Answer::new();
    let line = "x".repeat(10_000);
    for _ in 0..300 {
        answer.apply(&read(&line));
    }
    let size = answer.text().len();
    assert!((1_000_000..=1 << 20).contains(&size), "{size}");
}

#[test]
fn the_first_session_is_that_of_the_run() {
    let answer = gather(&[
        "no event",
        r#"{"type":"step_start","part":{}}"#,
        r#"{"type":"new","sessionID":"ses_1"}"#,
        r#"{"type":"text","sessionID":"ses_2","part":{"text":"x"}}"#,
    ]);
    assert_eq!(answer.session().unwrap(), &"ses_1");
}

#[test]
fn an_error_is_fatal_unless_an_answer_comes_after_it() {
    let answer = gather(&[&start("s1", "m1"), ERROR]);
    assert_eq!(answer.fatal_error().unwrap().status, Some(429));
    let recovering = gather(&[ERROR, ERROR, &start("s1", "m1")]);
    assert_eq!((recovering.fatal_error(), recovering.errors().len()), (None, 1), "printed twice");
    let again = gather(&[ERROR, &start("s1", "m1"), ERROR]);
    assert_eq!(again.errors().len(), 2, "of two calls of the model");
    let recovered = gather(&[ERROR, &start("s1", "m1"), &finish("f1", "m1", "stop", 1, 0.0)]);
    assert_eq!((recovered.fatal_error(), recovered.tail()), (None, Tail::Answered));
    let again = gather(&[&finish("f1", "m1", "stop", 1, 0.0), ERROR]);
    assert!(again.fatal_error().is_some());
}

#[test]
fn an_error_and_the_finish_that_belongs_to_it_come_in_any_order() {
    for reason in [FinishReason::CONTENT_FILTER, FinishReason::ERROR] {
        let finish = finish("f1", "m1", reason, 1, 0.0);
        assert!(gather(&[&finish, ERROR]).fatal_error().is_some(), "{reason}");
        assert!(gather(&[ERROR, &finish]).fatal_error().is_some(), "{reason}");
    }
}

#[test]
fn causes_are_set_by_reference() {
    let opaque = r#"{"type":"error","error":{"name":"UnknownError","data":{"message":"See logs.","ref":"err_1"}}}"#;
    let mut answer = gather(&[ERROR, opaque]);
    answer.resolve("err_1", "no such model");
    answer.resolve("err_2", "something else");
    let causes: Vec<_> = answer.errors().iter().map(|error| error.cause.as_deref()).collect();
    assert_eq!(causes, [None, Some("no such model")]);
}

#[test]
fn a_cost_is_never_below_zero_nor_a_negative_zero() {
    for cost in ["-0", "-0.0", "-1.5", "null", "\"x\""] {
        let line = part("step_finish", ("f1", "m1"), &format!(r#","cost":{cost}"#));
        let answer = gather(&[&line]);
        for cost in [answer.cost(), answer.steps()[0].cost()] {
            assert!(cost == 0.0 && cost.is_sign_positive(), "{line}: {cost}");
        }
    }
}

#[test]
fn an_answer_keeps_no_chunk_alive() {
    let state = r#""status":"completed","input":{"a":1},"output":"o","title":"t","metadata":{"b":2},"attachments":[{}],"time":{"start":1}"#;
    let with_metadata =
        tool("c1", "m1", state).replace(r#","callID""#, r#","metadata":{"c":3},"callID""#);
    let lines = [
        start("s1", "m1"),
        reasoning("r1", "m1", "r"),
        text("t1", "m1", "plain"),
        text("t2", "m1", r"esc\n"),
        with_metadata,
        tool("c2", "m1", r#""status":"error","input":{},"error":"e","metadata":{}"#),
        tool("c3", "m1", r#""status":"new","why":1"#),
        finish("f1", "m1", "stop", 1, 0.5),
        ERROR.to_owned(),
        r#"{"type":"error","message":"flat"}"#.to_owned(),
        r#"{"type":"new","text":"x"}"#.to_owned(),
        "not json".to_owned(),
        String::new(),
    ];
    let chunk = Bytes::from(lines.join("\n").into_bytes());
    let mut framer = LineFramer::new(1 << 20);
    framer.push(chunk.clone());
    let mut answer = Answer::new();
    let mut sharing = 0;
    while let Some(Line::Whole(line)) = framer.next_line() {
        let (_, event) = decode(line);
        answer.apply(&event);
        sharing += usize::from(!chunk.is_unique());
    }
    assert_eq!(sharing, lines.len() - 1, "events are slices of their chunk");
    drop(framer);
    assert!(chunk.is_unique());
    assert_eq!((answer.tools().len(), answer.errors().len()), (3, 2));
}
