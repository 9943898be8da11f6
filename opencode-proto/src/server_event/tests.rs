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

    // A user's message has an object where an assistant's has a truth value.
    let event = read(
        r#"{"type":"message.updated","properties":{"info":{"id":"msg_1","role":"user","summary":{"diffs":[]}}}}"#,
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
fn what_is_not_known_is_kept() {
    let event = read(r#"{"type":"brand.new","properties":{"sessionID":"ses_1","status":7}}"#);
    assert_eq!(event.kind, ServerEventKind::Unknown { event_type: "brand.new".into() });
    assert_eq!(event.session, Some("ses_1".into()));
    let event = read(r#"{"type":"plugin.added","properties":{"id":"x"}}"#);
    assert_eq!(event.kind, ServerEventKind::Other { event_type: "plugin.added".into() });
    let event = read(r#"{"type":"session.updated","properties":7}"#);
    assert!(matches!(event.kind, ServerEventKind::Malformed { .. }), "{event:?}");
}

#[test]
fn what_cannot_be_read_is_malformed_and_kept() {
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
