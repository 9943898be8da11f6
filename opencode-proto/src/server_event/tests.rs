use super::*;

fn read(event: &str) -> ServerEvent {
    ServerEvent::decode(Bytes::copy_from_slice(event.as_bytes()))
}

#[test]
fn both_envelopes_are_read() {
    let plain = r#"{"id":"evt_1","type":"session.idle","properties":{"sessionID":"ses_1"}}"#;
    let event = read(plain);
    assert_eq!(event.kind, ServerEventKind::SessionIdle);
    assert_eq!(event.session, Some("ses_1".into()));
    assert_eq!((event.id.as_deref(), event.directory.as_deref()), (Some("evt_1"), None));

    let global = format!(r#"{{"directory":"/w","project":"p","payload":{plain}}}"#);
    let event = read(&global);
    assert_eq!(event.kind, ServerEventKind::SessionIdle);
    assert_eq!((event.id.as_deref(), event.directory.as_deref()), (Some("evt_1"), Some("/w")));
    assert_eq!(event.raw, global);

    let v2 = r#"{"id":"evt_1","type":"session.idle","data":{"sessionID":"ses_1"},"location":{}}"#;
    assert_eq!(read(v2).kind, ServerEventKind::SessionIdle);
}

#[test]
fn the_session_of_an_event_is_found_where_old_versions_put_it() {
    for (event, session) in [
        (r#"{"type":"session.updated","properties":{"info":{"id":"ses_1"}}}"#, "ses_1"),
        (
            r#"{"type":"message.updated","properties":{"info":{"id":"msg_1","sessionID":"ses_1","role":"user"}}}"#,
            "ses_1",
        ),
        (
            r#"{"type":"message.part.updated","properties":{"part":{"id":"prt_1","messageID":"msg_1","sessionID":"ses_1","type":"text","text":"x"}}}"#,
            "ses_1",
        ),
    ] {
        let event = read(event);
        assert_eq!(event.session, Some(session.into()));
        let is_read = !matches!(event.kind, ServerEventKind::Malformed { .. });
        assert!(is_read, "{event:?}");
    }
}

#[test]
fn a_delta_is_read() {
    let event = read(
        r#"{"type":"message.part.delta","properties":{"sessionID":"ses_1","messageID":"msg_1","partID":"prt_1","field":"text","delta":"a\n"}}"#,
    );
    let ServerEventKind::PartDelta { message, part, field, delta } = event.kind else {
        panic!("{event:?}")
    };
    assert_eq!((message, part), (Some("msg_1".into()), "prt_1".into()));
    assert_eq!((&*field, delta.to_str().as_ref()), ("text", "a\n"));
}

#[test]
fn messages_are_typed() {
    let event = read(
        r#"{"type":"message.updated","properties":{"sessionID":"ses_1","info":{"id":"msg_2","role":"assistant","parentID":"msg_1","sessionID":"ses_1","agent":"build","cost":0.5,"tokens":{"input":1,"output":2,"reasoning":0,"cache":{"read":3,"write":0}},"finish":"stop","summary":true,"structured":{"a":1},"time":{"created":1,"completed":9},"error":{"name":"APIError","data":{"message":"m"}}}}}"#,
    );
    let ServerEventKind::MessageUpdated(info) = event.kind else { panic!("{event:?}") };
    assert_eq!((info.role.clone(), info.step), (Role::Assistant, crate::StepRole::Summary));
    assert_eq!(info.parent, Some("msg_1".into()));
    assert_eq!((info.tokens.total, info.cost, info.completed_ms), (6, 0.5, Some(9)));
    assert_eq!(info.finish.as_ref().unwrap(), &"stop");
    assert_eq!(info.error.as_ref().unwrap().message, "m");
    assert_eq!(info.structured.as_ref().unwrap().as_str(), r#"{"a":1}"#);

    // `summary` is an object in a user's message, a truth value in an assistant's.
    let event = read(
        r#"{"type":"message.updated","properties":{"info":{"id":"msg_1","sessionID":"ses_1","role":"user","summary":{"diffs":[]}}}}"#,
    );
    let ServerEventKind::MessageUpdated(info) = event.kind else { panic!("{event:?}") };
    assert_eq!((info.role.clone(), info.step), (Role::User, crate::StepRole::Answer));
}

#[test]
fn states_of_a_session_are_typed() {
    let status = |status: &str| {
        let event = format!(
            r#"{{"type":"session.status","properties":{{"sessionID":"s","status":{status}}}}}"#
        );
        read(&event).kind
    };
    assert_eq!(status(r#"{"type":"busy"}"#), ServerEventKind::SessionStatus(SessionStatus::Busy));
    assert_eq!(status(r#"{"type":"idle"}"#), ServerEventKind::SessionStatus(SessionStatus::Idle));
    let retry = SessionStatus::Retry { attempt: 2, message: "boom".into(), next_ms: 17 };
    let told = status(r#"{"type":"retry","attempt":2,"message":"boom","next":17}"#);
    assert_eq!(told, ServerEventKind::SessionStatus(retry));
    let other = SessionStatus::Other { status: "dreaming".into() };
    assert_eq!(status(r#"{"type":"dreaming"}"#), ServerEventKind::SessionStatus(other));
}

#[test]
fn permissions_of_old_and_new_versions_are_typed() {
    let event = read(
        r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1","permission":"bash","patterns":["a","b"],"metadata":{"command":"a"},"always":["a *"],"tool":{"messageID":"msg_1","callID":"call_1"}}}"#,
    );
    let ServerEventKind::PermissionAsked(request) = event.kind else { panic!("{event:?}") };
    assert_eq!((request.id.as_str(), request.permission.as_str()), ("per_1", "bash"));
    assert_eq!(
        (request.patterns.join("|"), request.always.join("|")),
        ("a|b".into(), "a *".into())
    );
    assert_eq!(request.tool.unwrap().call, "call_1");

    let event = read(
        r#"{"type":"permission.updated","properties":{"id":"per_1","sessionID":"ses_1","type":"bash","pattern":"a","messageID":"msg_1","callID":"call_1","title":"t","metadata":{},"time":{"created":1}}}"#,
    );
    let ServerEventKind::PermissionAsked(request) = event.kind else { panic!("{event:?}") };
    assert_eq!((request.permission.as_str(), request.patterns.join("|")), ("bash", "a".into()));
    assert_eq!(request.tool.unwrap().message, Some("msg_1".into()));

    for replied in [
        r#"{"type":"permission.replied","properties":{"sessionID":"s","requestID":"per_1","reply":"once"}}"#,
        r#"{"type":"permission.replied","properties":{"sessionID":"s","permissionID":"per_1","response":"once"}}"#,
    ] {
        let kind =
            ServerEventKind::PermissionReplied { request: "per_1".into(), reply: "once".into() };
        assert_eq!(read(replied).kind, kind);
    }
}

#[test]
fn questions_and_todos_are_typed() {
    let event = read(
        r#"{"type":"question.asked","properties":{"id":"que_1","sessionID":"ses_1","questions":[{"question":"Q?","header":"H","options":[{"label":"A","description":"a"}],"multiple":true},{"question":"R?","header":"","options":[]}],"tool":{"messageID":"m","callID":"c"}}}"#,
    );
    let ServerEventKind::QuestionAsked(request) = event.kind else { panic!("{event:?}") };
    assert_eq!(request.questions.len(), 2);
    assert_eq!(request.questions[0].options[0].label, "A");
    assert_eq!(
        request.questions.iter().map(|q| q.choice).collect::<Vec<_>>(),
        [Choice::Many, Choice::One]
    );

    let event = read(
        r#"{"type":"todo.updated","properties":{"sessionID":"s","todos":[{"content":"x","status":"in-progress","priority":"high","id":"1"}]}}"#,
    );
    let ServerEventKind::TodoUpdated(todos) = event.kind else { panic!("{event:?}") };
    assert_eq!((todos[0].content.as_str(), &*todos[0].status), ("x", "in_progress"));
}

#[test]
fn events_of_unknown_types_are_kept() {
    let event = read(r#"{"type":"brand.new","properties":{"sessionID":"ses_1","status":7}}"#);
    assert_eq!(event.kind, ServerEventKind::Unknown { event_type: "brand.new".into() });
    assert_eq!(event.session, Some("ses_1".into()));
    let event = read(r#"{"type":"plugin.added","properties":{"id":"x"}}"#);
    assert_eq!(event.kind, ServerEventKind::Other { event_type: "plugin.added".into() });
    let event = read(r#"{"type":"session.updated","properties":7}"#);
    assert!(matches!(event.kind, ServerEventKind::Malformed { .. }), "{event:?}");
}

#[test]
fn unreadable_events_are_malformed_and_kept() {
    for line in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"message.updated","properties":{}}"#,
        r#"{"type":"message.part.updated","properties":{"part":{"type":"text"}}}"#,
        r#"{"payload":{"payload":{"type":"session.idle"}}}"#,
    ] {
        let event = read(line);
        assert!(matches!(event.kind, ServerEventKind::Malformed { .. }), "{line}: {event:?}");
        assert_eq!(event.raw, line);
    }
    let event = ServerEvent::decode(Bytes::from_static(b"{\"type\":\"x\xff\"}"));
    assert_eq!(event.kind, ServerEventKind::Unknown { event_type: "x\u{fffd}".into() });
}

/// Events with all of their fields, and the fields without which they are malformed.
const REQUIRED: &[(&str, &[&str])] = &[
    (
        r#"{"type":"command.executed","properties":{"name":"review","sessionID":"s"}}"#,
        &[r#""name":"review""#],
    ),
    (
        r#"{"type":"message.part.delta","properties":{"sessionID":"s","messageID":"m","partID":"p","field":"text","delta":"x"}}"#,
        &[r#""sessionID":"s""#, r#""partID":"p""#, r#""field":"text""#, r#""delta":"x""#],
    ),
    (
        r#"{"type":"message.part.removed","properties":{"sessionID":"s","messageID":"m","partID":"p"}}"#,
        &[r#""sessionID":"s""#, r#""partID":"p""#],
    ),
    (
        r#"{"type":"message.part.updated","properties":{"sessionID":"s","part":{"type":"text","text":"x"}}}"#,
        &[r#""sessionID":"s""#, r#""part":{"#, r#""type":"text""#, r#""text":"x""#],
    ),
    (
        r#"{"type":"message.part.updated","properties":{"sessionID":"s","part":{"type":"reasoning","text":"x"}}}"#,
        &[r#""text":"x""#],
    ),
    (
        r#"{"type":"message.part.updated","properties":{"sessionID":"s","part":{"type":"tool","tool":"bash","state":{"status":"completed","output":"o"}}}}"#,
        &[r#""tool":"bash""#, r#""state":{"#, r#""status":"completed""#, r#""output":"o""#],
    ),
    (
        r#"{"type":"message.part.updated","properties":{"sessionID":"s","part":{"type":"tool","tool":"bash","state":{"status":"error","error":"e"}}}}"#,
        &[r#""error":"e""#],
    ),
    (
        r#"{"type":"message.removed","properties":{"sessionID":"s","messageID":"m"}}"#,
        &[r#""sessionID":"s""#, r#""messageID":"m""#],
    ),
    (
        r#"{"type":"message.updated","properties":{"sessionID":"s","info":{"id":"m","role":"user"}}}"#,
        &[r#""sessionID":"s""#, r#""info":{"#, r#""id":"m""#, r#""role":"user""#],
    ),
    (
        r#"{"type":"permission.asked","properties":{"id":"per","sessionID":"s","permission":"bash","patterns":["ls"],"tool":{"callID":"c"}}}"#,
        &[
            r#""id":"per""#,
            r#""sessionID":"s""#,
            r#""permission":"bash""#,
            r#""patterns":["#,
            r#""callID":"c""#,
        ],
    ),
    (
        r#"{"type":"permission.updated","properties":{"id":"per","sessionID":"s","type":"bash"}}"#,
        &[r#""id":"per""#, r#""sessionID":"s""#, r#""type":"bash""#],
    ),
    (
        r#"{"type":"permission.replied","properties":{"sessionID":"s","requestID":"per","reply":"once"}}"#,
        &[r#""sessionID":"s""#, r#""requestID":"per""#, r#""reply":"once""#],
    ),
    (
        r#"{"type":"question.asked","properties":{"id":"que","sessionID":"s","questions":[{"question":"Q?","options":[{"label":"A"}]}]}}"#,
        &[
            r#""id":"que""#,
            r#""sessionID":"s""#,
            r#""questions":["#,
            r#""question":"Q?""#,
            r#""options":["#,
            r#""label":"A""#,
        ],
    ),
    (
        r#"{"type":"question.rejected","properties":{"sessionID":"s","requestID":"que"}}"#,
        &[r#""sessionID":"s""#, r#""requestID":"que""#],
    ),
    (
        r#"{"type":"question.replied","properties":{"sessionID":"s","requestID":"que"}}"#,
        &[r#""sessionID":"s""#, r#""requestID":"que""#],
    ),
    (r#"{"type":"session.compacted","properties":{"sessionID":"s"}}"#, &[r#""sessionID":"s""#]),
    (
        r#"{"type":"session.created","properties":{"info":{"id":"ses_1"}}}"#,
        &[r#""info":{"#, r#""id":"ses_1""#],
    ),
    (
        r#"{"type":"session.deleted","properties":{"sessionID":"s","info":{"id":"ses_1"}}}"#,
        &[r#""info":{"#, r#""id":"ses_1""#],
    ),
    (
        r#"{"type":"session.diff","properties":{"sessionID":"s","diff":[]}}"#,
        &[r#""sessionID":"s""#, r#""diff":["#],
    ),
    (r#"{"type":"session.idle","properties":{"sessionID":"s"}}"#, &[r#""sessionID":"s""#]),
    (
        r#"{"type":"session.status","properties":{"sessionID":"s","status":{"type":"busy"}}}"#,
        &[r#""sessionID":"s""#, r#""status":{"#, r#""type":"busy""#],
    ),
    (
        r#"{"type":"session.status","properties":{"sessionID":"s","status":{"type":"retry","attempt":1,"message":"m","next":9}}}"#,
        &[r#""attempt":1"#, r#""message":"m""#, r#""next":9"#],
    ),
    (
        r#"{"type":"session.updated","properties":{"info":{"id":"ses_1"}}}"#,
        &[r#""info":{"#, r#""id":"ses_1""#],
    ),
    (
        r#"{"type":"todo.updated","properties":{"sessionID":"s","todos":[{"content":"x","status":"pending","priority":"low"}]}}"#,
        &[
            r#""sessionID":"s""#,
            r#""todos":["#,
            r#""content":"x""#,
            r#""status":"pending""#,
            r#""priority":"low""#,
        ],
    ),
];

#[test]
fn an_event_without_a_required_field_is_malformed_not_hollow() {
    for (event, required) in REQUIRED {
        let known = read(event);
        assert!(!matches!(known.kind, ServerEventKind::Malformed { .. }), "{known:?}");
        for field in *required {
            assert_eq!(event.matches(field).count(), 1, "{event}: {field}");
            let hollow = read(&event.replace(field, &field.replacen('"', "\"no_", 1)));
            assert!(
                matches!(hollow.kind, ServerEventKind::Malformed { .. }),
                "{field}: {hollow:?}"
            );
            assert!(event.contains(&format!("\"{}\"", hollow.event_type())), "{hollow:?}");
        }
    }
}

#[test]
fn every_type_that_is_decoded_has_its_required_fields_tested() {
    for event_type in types::TYPED.iter().filter(|event_type| **event_type != "session.error") {
        let name = format!("\"{event_type}\"");
        assert!(REQUIRED.iter().any(|(event, _)| event.contains(&name)), "{event_type}");
    }
}

#[test]
fn a_permission_request_of_opencode_2_is_malformed() {
    let event = read(
        r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1","action":"bash","resources":["ls"],"source":{"type":"tool","messageID":"m","id":"c"}}}"#,
    );
    assert!(matches!(event.kind, ServerEventKind::Malformed { .. }), "{event:?}");
    assert_eq!(event.session, Some("ses_1".into()), "the session is known all the same");
}

#[test]
fn patterns_that_are_no_strings_are_not_dropped() {
    for patterns in ["7", "[7]", r#"["ls",null]"#, "{}"] {
        let event = read(&format!(
            r#"{{"type":"permission.asked","properties":{{"id":"per","sessionID":"s","permission":"bash","patterns":{patterns}}}}}"#
        ));
        assert!(matches!(event.kind, ServerEventKind::Malformed { .. }), "{event:?}");
    }
}

#[test]
fn an_event_serializes_as_it_arrived() {
    for line in [
        r#"{"id":"evt_1","type":"session.idle","properties":{"sessionID":"ses_1"}}"#,
        r#"{"directory":"/w","payload":{"type":"brand.new","properties":{"x":[1.50]}}}"#,
        r#"{"type":7}"#,
    ] {
        assert_eq!(serde_json::to_string(&read(line)).unwrap(), line);
    }
    assert_eq!(
        serde_json::to_string(&read("nonsense \"")).unwrap(),
        r#"{"type":"malformed","raw":"nonsense \""}"#
    );
}
