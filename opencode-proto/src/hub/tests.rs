#![allow(clippy::disallowed_methods, reason = "a test needs an instant to start from")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

use std::time::Duration;

use http::Response;

use super::*;

const CONNECTED: &str = "data: {\"type\":\"server.connected\"}\n\n";

/// A hub with a clock, and the actions in short words.
struct Stage {
    hub: Hub,
    now: Instant,
}

impl Stage {
    fn new(settings: HubSettings) -> Self {
        let now = Instant::now();
        Self { hub: Hub::new(settings, now), now }
    }

    fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            said.push(match self.hub.poll_action() {
                HubAction::Connect(stream) => format!("connect {}", stream.path()),
                HubAction::Deliver { event, root } => {
                    let root = root.map_or_else(|| "nobody".to_owned(), |root| root.to_string());
                    format!("{} to {root}", event.event_type())
                }
                HubAction::Disconnect => "disconnect".to_owned(),
                HubAction::Finished(end) => format!("finished: {end}"),
                HubAction::Interrupted(why) => format!("interrupted: {why}"),
                HubAction::Opened => "opened".to_owned(),
                HubAction::Wait(_) => return said,
            });
        }
    }

    fn wake(&mut self) -> Instant {
        match self.hub.poll_action() {
            HubAction::Wait(Some(wake)) => wake,
            action => panic!("{action:?}"),
        }
    }

    /// Lets time pass until the hub wants to know.
    fn pass(&mut self) -> Duration {
        let wake = self.wake();
        let passed = wake.saturating_duration_since(self.now);
        self.now = self.now.max(wake);
        self.hub.handle_timeout(self.now);
        passed
    }

    fn open(&mut self) {
        self.hub.handle_head(self.now);
        self.tell(CONNECTED);
    }

    fn tell(&mut self, text: &str) {
        self.hub.handle_chunk(text.to_owned().into(), self.now);
    }

    fn refuse(&mut self, status: u16, content_type: &str) {
        let response = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(Bytes::new());
        let error = ApiError::no_stream("/global/event", response.unwrap());
        self.hub.handle_refused(error, self.now);
    }
}

fn event(event_type: &str, properties: &str) -> String {
    format!("data: {{\"type\":\"{event_type}\",\"properties\":{{{properties}}}}}\n\n")
}

fn settings() -> HubSettings {
    HubSettings::default().with_stream(EventStream::Global).with_seed(42)
}

#[test]
fn a_stream_is_open_when_the_server_says_so() {
    let mut stage = Stage::new(settings());
    assert_eq!(stage.said(), ["connect /global/event"]);
    stage.hub.handle_head(stage.now);
    assert!(stage.said().is_empty());
    stage.tell(CONNECTED);
    assert_eq!(stage.said(), ["opened"]);
}

#[test]
fn a_wrong_password_ends_it_at_once() {
    for status in [401, 403] {
        let mut stage = Stage::new(settings());
        stage.said();
        stage.refuse(status, "text/plain");
        let said = stage.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("finished: GET /global/event"), "{said:?}");
        assert!(matches!(stage.hub.poll_action(), HubAction::Wait(None)));
    }
}

#[test]
fn old_servers_have_the_stream_of_a_directory() {
    for (status, content_type) in [(200, "text/html"), (404, "application/json")] {
        let mut stage = Stage::new(settings());
        stage.said();
        stage.refuse(status, content_type);
        assert_eq!(stage.said(), ["connect /event"]);
        stage.open();
        assert_eq!(stage.said(), ["opened"]);
        // It stays with that one.
        stage.hub.handle_end(stage.now);
        stage.said();
        stage.pass();
        assert_eq!(stage.said(), ["connect /event"]);
        stage.refuse(status, content_type);
        let said = stage.said();
        assert!(said[0].starts_with("finished: "), "{said:?}");
    }
}

#[test]
fn refusals_that_pass_are_tried_again() {
    for status in [408, 409, 425, 429, 500, 502, 503] {
        let mut stage = Stage::new(settings());
        stage.said();
        stage.refuse(status, "application/json");
        assert_eq!(stage.said(), ["disconnect"], "{status}");
        stage.pass();
        assert_eq!(stage.said(), ["connect /global/event"]);
    }
}

#[test]
fn a_missing_route_may_be_refused_by_name() {
    let mut stage = Stage::new(settings());
    stage.said();
    let body = r#"{"name":"NotFoundError","data":{"message":"no"}}"#;
    let response = Response::builder()
        .status(404)
        .header("content-type", "application/json")
        .body(Bytes::from_static(body.as_bytes()));
    let error = ApiError::no_stream("/global/event", response.unwrap());
    stage.hub.handle_refused(error, stage.now);
    assert_eq!(stage.said(), ["connect /event"]);
}

#[test]
fn a_lost_stream_is_opened_again_at_once_and_then_ever_later() {
    let mut stage = Stage::new(settings().with_give_up(None));
    stage.said();
    stage.open();
    stage.said();
    stage.hub.handle_lost("reset", stage.now);
    assert_eq!(stage.said(), ["interrupted: the event stream was lost: reset", "disconnect"]);
    let mut waits = Vec::new();
    for _ in 0..9 {
        waits.push(stage.pass());
        assert_eq!(stage.said(), ["connect /global/event"]);
        stage.hub.handle_lost("refused", stage.now);
        // The loss of events is reported once.
        assert_eq!(stage.said(), ["disconnect"]);
    }
    assert_eq!(waits[0], Duration::ZERO);
    let mut expected = Duration::from_millis(250);
    for wait in &waits[1..] {
        assert!(*wait >= expected.mul_f64(0.75) && *wait <= expected.mul_f64(1.25), "{waits:?}");
        expected = (expected * 2).min(Duration::from_secs(10));
    }
    // A working stream resets the delay.
    stage.pass();
    stage.open();
    assert_eq!(stage.said(), ["connect /global/event", "opened"]);
    stage.hub.handle_end(stage.now);
    stage.said();
    assert_eq!(stage.pass(), Duration::ZERO);
}

#[test]
fn jitter_comes_from_the_seed() {
    let waits = |seed| {
        let mut stage = Stage::new(settings().with_seed(seed));
        let wait = |stage: &mut Stage| {
            stage.said();
            stage.hub.handle_lost("refused", stage.now);
            stage.said();
            stage.pass()
        };
        [wait(&mut stage), wait(&mut stage), wait(&mut stage)]
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

#[test]
fn a_server_that_stays_away_is_given_up() {
    let mut stage = Stage::new(settings().with_give_up(Some(Duration::from_secs(60))));
    let start = stage.now;
    loop {
        let said = stage.said();
        if let Some(end) = said.iter().find(|said| said.starts_with("finished")) {
            assert_eq!(end, "finished: the server does not come back: refused");
            break;
        }
        if said.iter().any(|said| said.starts_with("connect")) {
            stage.hub.handle_lost("refused", stage.now);
        } else {
            stage.pass();
        }
    }
    let tried = stage.now - start;
    assert!((60..=75).contains(&tried.as_secs()), "{tried:?}");
}

/// The failures before count for those who followed then.
#[test]
fn a_new_follower_waits_as_long_as_the_first() {
    let mut stage = Stage::new(settings().with_give_up(Some(Duration::from_secs(60))));
    stage.said();
    stage.hub.handle_lost("reset", stage.now);
    stage.now += Duration::from_secs(300);
    stage.hub.handle_timeout(stage.now);
    assert_eq!(stage.said(), ["disconnect", "connect /global/event"]);
    stage.hub.follow("ses_1".into());
    stage.hub.handle_lost("reset", stage.now);
    stage.hub.handle_timeout(stage.now);
    assert_eq!(stage.said(), ["disconnect", "connect /global/event"]);
    stage.open();
    assert_eq!(stage.said(), ["opened"]);
}

#[test]
fn a_server_without_a_listener_is_given_up_soon() {
    let mut stage = Stage::new(settings());
    stage.said();
    stage.open();
    stage.said();
    let start = stage.now;
    stage.hub.handle_lost("reset", stage.now);
    let mut refused = 0;
    let end = loop {
        let said = stage.said();
        if let Some(end) = said.iter().find(|said| said.starts_with("finished")) {
            break end.clone();
        }
        if said.iter().any(|said| said.starts_with("connect")) {
            refused += 1;
            stage.hub.handle_no_listener("connection refused", stage.now);
        } else {
            assert!(stage.pass() <= Duration::from_secs(2));
        }
    };
    let reason = "connection refused";
    assert_eq!(end, format!("finished: the server does not come back: {reason}"));
    let tried = stage.now - start;
    assert!((10..=12).contains(&tried.as_secs()) && refused >= 6, "{tried:?}, {refused} times");
}

#[test]
fn another_failure_between_refused_connections_shows_a_listener() {
    let mut stage = Stage::new(settings().with_no_listener_limit(Duration::from_secs(3)));
    stage.said();
    let start = stage.now;
    for no in 0..8 {
        if no % 2 == 0 {
            stage.hub.handle_no_listener("connection refused", stage.now);
        } else {
            stage.hub.handle_lost("reset", stage.now);
        }
        assert_eq!(stage.said(), ["disconnect"]);
        stage.pass();
        assert_eq!(stage.said(), ["connect /global/event"]);
    }
    assert!(stage.now - start > Duration::from_secs(6));
}

#[test]
fn silence_is_a_broken_connection_and_a_heartbeat_is_not() {
    let mut stage = Stage::new(settings());
    stage.said();
    stage.open();
    stage.said();
    assert_eq!(stage.wake(), stage.now + settings().silence_limit);
    stage.now += Duration::from_secs(44);
    stage.tell(&event("server.heartbeat", ""));
    stage.hub.handle_timeout(stage.now);
    assert!(stage.said().is_empty());
    stage.now += Duration::from_secs(44);
    stage.tell(": heartbeat\n\n");
    stage.hub.handle_timeout(stage.now);
    assert!(stage.said().is_empty());
    assert_eq!(stage.pass(), Duration::from_secs(45));
    let said = ["interrupted: no event, not even a heartbeat, for 45 s", "disconnect"];
    assert_eq!(stage.said(), said);
}

#[test]
fn a_stream_that_does_not_open_is_tried_again() {
    let mut stage = Stage::new(settings());
    stage.said();
    stage.hub.handle_head(stage.now);
    assert_eq!(stage.pass(), Duration::from_secs(30));
    assert_eq!(stage.said(), ["disconnect"]);
    stage.pass();
    assert_eq!(stage.said(), ["connect /global/event"]);
}

#[test]
fn events_go_to_who_follows_the_session_or_an_ancestor() {
    let mut stage = Stage::new(settings());
    stage.hub.follow("ses_a".into());
    stage.said();
    stage.open();
    stage.said();
    let idle = |session: &str| event("session.idle", &format!("\"sessionID\":\"{session}\""));
    let created = |child: &str, parent: &str| {
        let info = format!("{{\"id\":\"{child}\",\"parentID\":\"{parent}\"}}");
        event("session.created", &format!("\"sessionID\":\"{child}\",\"info\":{info}"))
    };
    let task = |session: &str, child: &str| {
        let state = format!(
            "{{\"status\":\"running\",\"input\":{{}},\"metadata\":{{\"sessionId\":\"{child}\"}}}}"
        );
        let part = format!(
            "{{\"id\":\"p\",\"messageID\":\"m\",\"sessionID\":\"{session}\",\"type\":\"tool\",\
             \"callID\":\"c\",\"tool\":\"task\",\"state\":{state}}}"
        );
        event("message.part.updated", &format!("\"sessionID\":\"{session}\",\"part\":{part}"))
    };
    for (told, said) in [
        (idle("ses_a"), "session.idle to ses_a"),
        (idle("ses_b"), "session.idle to nobody"),
        // Children are known by the first mention, at any depth.
        (created("ses_b", "ses_a"), "session.created to ses_a"),
        (idle("ses_b"), "session.idle to ses_a"),
        (task("ses_b", "ses_c"), "message.part.updated to ses_a"),
        (idle("ses_c"), "session.idle to ses_a"),
        (created("ses_y", "ses_x"), "session.created to nobody"),
        (event("file.edited", "\"file\":\"x\""), "file.edited to nobody"),
    ] {
        stage.tell(&told);
        assert_eq!(stage.said(), [said], "{told}");
    }
    stage.hub.link(&"ses_d".into(), &"ses_c".into());
    stage.tell(&idle("ses_d"));
    assert_eq!(stage.said(), ["session.idle to ses_a"]);

    // Two follow; one leaves; the other leaves.
    stage.hub.follow("ses_a".into());
    stage.hub.leave(&"ses_a".into());
    stage.tell(&idle("ses_d"));
    assert_eq!(stage.said(), ["session.idle to ses_a"]);
    stage.hub.leave(&"ses_a".into());
    stage.tell(&idle("ses_d"));
    assert_eq!(stage.said(), ["session.idle to nobody"]);
}

#[test]
fn copies_and_heartbeats_are_nobodys() {
    let mut stage = Stage::new(settings());
    stage.said();
    stage.open();
    stage.said();
    stage.tell("data: {\"payload\":{\"type\":\"sync\",\"syncEvent\":{}}}\n\n");
    stage.tell("data: {\"payload\":{\"type\":\"server.heartbeat\",\"properties\":{}}}\n\n");
    stage.tell("retry: 5\n\n");
    assert!(stage.said().is_empty());
}

#[test]
fn what_is_dropped_is_a_gap() {
    let mut settings = settings();
    settings.event_size_max = 100;
    let mut stage = Stage::new(settings);
    stage.said();
    stage.open();
    stage.said();
    stage.tell(&event("session.idle", &format!("\"sessionID\":\"{}\"", "x".repeat(200))));
    let said = stage.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("over the limit of 100"), "{said:?}");
    assert_eq!(said[1], "opened");
    // A directory that is closed ends the work of all sessions there.
    stage.tell(&event("server.instance.disposed", "\"directory\":\"/w\""));
    assert_eq!(
        stage.said(),
        [
            "server.instance.disposed to nobody",
            "interrupted: the server closed the directory",
            "opened"
        ]
    );
}

#[test]
fn an_exit_ends_it_in_any_state() {
    for steps in 0..4 {
        let mut stage = Stage::new(settings());
        stage.said();
        if steps > 0 {
            stage.hub.handle_head(stage.now);
        }
        if steps > 1 {
            stage.tell(CONNECTED);
        }
        if steps > 2 {
            stage.hub.handle_end(stage.now);
        }
        stage.said();
        stage.hub.handle_exit();
        assert_eq!(stage.said(), ["finished: the server has ended"]);
        // Nothing follows.
        stage.open();
        stage.hub.handle_lost("late", stage.now);
        stage.hub.handle_exit();
        stage.hub.handle_timeout(stage.now + Duration::from_secs(3600));
        assert!(stage.said().is_empty());
    }
}

#[test]
fn late_news_of_a_dropped_connection_change_nothing() {
    let mut stage = Stage::new(settings());
    stage.hub.follow("ses_a".into());
    stage.said();
    stage.open();
    stage.tell("data: {\"type\":\"session.id");
    stage.hub.handle_lost("reset", stage.now);
    stage.said();
    stage.tell("le\",\"properties\":{\"sessionID\":\"ses_a\"}}\n\n");
    stage.hub.handle_head(stage.now);
    assert!(stage.said().is_empty());
    // Nor does half an event of the old connection reach into the new one.
    stage.pass();
    stage.open();
    assert_eq!(stage.said(), ["connect /global/event", "opened"]);
}
