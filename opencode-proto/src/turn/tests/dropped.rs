//! Turns that the application drops, and the state that turns of one session share.

use super::*;
use crate::{Interruption, TurnNo};

/// Drops the turn, and the calls whose replies do not matter any more.
fn abandon(stage: &mut Stage) {
    stage.does(Turn::abandon);
    let turn = &stage.turn;
    stage.calls.retain(|call| turn.awaits(call.id));
}

#[test]
fn a_turn_that_is_dropped_is_aborted() {
    let mut stage = Stage::posted(TurnSettings::default());
    abandon(&mut stage);
    assert_eq!(stage.did, ["post", "abort"]);
    assert!(!stage.turn.is_over() && !stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
    assert!(stage.outcome.is_none() && stage.events.len() == 2);
}

#[test]
fn a_turn_that_is_dropped_before_the_server_has_its_prompt_is_aborted_after_it() {
    for reply in
        [WrittenServer::default(), WrittenServer::default()].map(Some).into_iter().chain([None])
    {
        let mut stage = Stage::new(TurnSettings::default());
        abandon(&mut stage);
        assert_eq!(stage.did, ["post"], "an abort now would overtake the prompt");
        assert!(!stage.turn.is_over());
        match reply {
            Some(_) => stage.accept(),
            None => stage.reply("/prompt_async", lost()),
        }
        assert_eq!(stage.did, ["post", "abort"]);
        stage.aborted();
        assert!(stage.turn.is_over());
    }
}

/// The abort that follows a prompt in flight would end the next prompt, too.
#[test]
fn prompts_wait_for_the_abort_that_a_dropped_turn_still_owes() {
    let mut stage = Stage::new(TurnSettings::default());
    abandon(&mut stage);
    assert!(!stage.session.may_post());
    stage.accept();
    assert!(stage.is_calling("/abort") && !stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());

    let mut stage = Stage::new(TurnSettings::default());
    abandon(&mut stage);
    stage.reply("/prompt_async", Err(CallFailure::new(Delivery::NotSent, "refused")));
    assert!(stage.turn.is_over() && stage.session.may_post());

    // Nothing can drive the turn on.
    let mut stage = Stage::new(TurnSettings::default());
    abandon(&mut stage);
    stage.does(|turn, session, _| turn.release(session));
    assert!(stage.turn.is_over() && stage.session.may_post());
}

#[test]
fn a_turn_that_is_dropped_and_never_arrives_needs_no_abort() {
    let refused = || Err(CallFailure::new(Delivery::NotSent, "refused"));
    for reply in [refused(), Ok(not_found())] {
        let mut stage = Stage::new(TurnSettings::default());
        abandon(&mut stage);
        stage.reply("/prompt_async", reply);
        assert_eq!(stage.did, ["post"]);
        assert!(stage.turn.is_over());
    }
    // Nor does one that waits, or is over.
    let mut stage = Stage::waiting("Go.", TurnSettings::default(), Session::new("s".into(), None));
    abandon(&mut stage);
    assert!(stage.turn.is_over() && stage.did.is_empty());
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    abandon(&mut stage);
    assert!(stage.turn.is_over());
    assert_eq!(stage.did, ["post"]);
}

#[test]
fn a_command_whose_prompt_is_known_is_aborted_before_its_reply() {
    let post = ShellRequest::new("build", "sleep 9");
    let mut stage = Stage::sent(post, TurnSettings::default());
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    abandon(&mut stage);
    assert_eq!(stage.did, ["post", "abort"], "the reply comes when the command line has ended");
}

#[test]
fn an_abort_that_may_be_lost_is_sent_again() {
    let mut stage = Stage::posted(TurnSettings::default());
    abandon(&mut stage);
    stage.reply("/abort", lost());
    assert_eq!(stage.did, ["post", "abort", "abort"]);
    assert!(!stage.turn.is_over() && !stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());

    // The server cannot be reached: the abort is given up, and holds no prompt back.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.does(Turn::cancel);
    for _ in 0..3 {
        assert!(!stage.session.may_post());
        stage.reply("/abort", lost());
    }
    assert_eq!(stage.did, ["post", "abort", "abort", "abort"]);
    assert!(stage.session.may_post() && stage.end().is_none());
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn the_abort_of_a_turn_that_is_over_goes_on() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.deleted", r#""info":{"id":"s"}"#);
    assert_eq!((stage.end(), &*stage.did), (Some("session_deleted"), &["post", "abort"][..]));
    abandon(&mut stage);
    assert!(!stage.turn.is_over() && stage.is_calling("/abort"));
    stage.aborted();
    assert!(stage.turn.is_over());
    assert_eq!(stage.did, ["post", "abort"], "one is enough");
}

#[test]
fn a_turn_that_nobody_can_drive_on_holds_nobody_up() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.does(Turn::cancel);
    assert!(!stage.session.may_post());
    stage.does(|turn, session, _| turn.release(session));
    assert!(stage.turn.is_over() && stage.session.may_post());
}

/// Two turns of one session.
struct Two {
    session: Session,
    turns: [Turn; 2],
    asked: [Vec<PermissionAsk>; 2],
    calls: [Vec<ApiCall>; 2],
    ends: [Option<&'static str>; 2],
    now: Instant,
}

impl Two {
    /// Both are posted, the first as `m1` and the second as `m2`.
    fn posted() -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let mut session = Session::new("s".into(), None);
        let turns = ["m1", "m2"].map(|message| {
            let settings = TurnSettings::default();
            Turn::new("Go.", settings, message.into(), &mut session, now)
        });
        let (asked, calls) = (Default::default(), Default::default());
        let mut two = Self { session, turns, asked, calls, ends: [None; 2], now };
        for turn in 0..2 {
            two.does(turn, Turn::handle_opened);
            two.reply(turn, WrittenServer::reply);
            let info = format!(r#""info":{{"id":"m{}","role":"user"}}"#, turn + 1);
            two.hear(&event("message.updated", &info));
        }
        two
    }

    fn hear(&mut self, event: &Arc<ServerEvent>) {
        for turn in 0..2 {
            self.does(turn, |turn, session, now| turn.handle_event(event, session, now));
        }
    }

    /// The server replies to the last call of a turn.
    fn reply(&mut self, turn: usize, reply: impl FnOnce(&WrittenServer, &ApiCall) -> ApiReply) {
        let call = self.calls[turn].pop().expect("a call is on its way");
        let reply = reply(&WrittenServer::default(), &call);
        self.does(turn, |turn, session, now| turn.handle_reply(call.id, reply, session, now));
    }

    fn does(&mut self, turn: usize, input: impl FnOnce(&mut Turn, &mut Session, Instant)) {
        input(&mut self.turns[turn], &mut self.session, self.now);
        self.drain(turn);
        while let Some(number) = self.session.poll_woken() {
            let turn = self.place(number);
            self.turns[turn].handle_timeout(&mut self.session, self.now);
            self.drain(turn);
        }
    }

    fn place(&self, number: TurnNo) -> usize {
        self.turns.iter().position(|turn| turn.number() == number).unwrap()
    }

    fn drain(&mut self, turn: usize) {
        loop {
            match self.turns[turn].poll_action() {
                TurnAction::AskPermission(ask) => self.asked[turn].push(ask),
                TurnAction::Call(call) => self.calls[turn].push(*call),
                TurnAction::Finished(outcome) => self.ends[turn] = Some(outcome.end.name()),
                TurnAction::Ready => {
                    let message = if turn == 0 { "m1" } else { "m2" };
                    self.turns[turn].post(message.into(), &mut self.session, self.now);
                }
                TurnAction::AskQuestion(_) | TurnAction::Event(_) | TurnAction::Link { .. } => {}
                TurnAction::Wait(_) => return,
            }
        }
    }

    fn paths(&self, turn: usize) -> Vec<&str> {
        self.calls[turn].iter().map(|call| call.request.uri().path()).collect()
    }

    fn asks(&self) -> [usize; 2] {
        [self.asked[0].len(), self.asked[1].len()]
    }
}

const ASK_OF_CHILD: &str = r#""id":"per_1","permission":"bash","patterns":["ls"]"#;

/// Two turns that both know the subagent `c`, which asks.
fn asking() -> Two {
    let mut two = Two::posted();
    two.hear(&event_of_child("session.created", r#""info":{"id":"c","parentID":"s"}"#));
    two.hear(&event_of_child("permission.asked", ASK_OF_CHILD));
    assert_eq!(two.asks(), [1, 0], "one of them answers");
    two
}

#[test]
fn an_ask_that_a_dropped_turn_had_is_for_the_other_to_answer() {
    let mut two = asking();
    two.does(0, Turn::abandon);
    assert_eq!(two.asks(), [1, 1]);
}

#[test]
fn an_ask_whose_answer_did_not_arrive_is_for_the_other_to_answer() {
    let mut two = asking();
    let answer = two.asked[0].pop().unwrap().reply(PermissionReply::Once);
    two.does(0, |turn, session, now| turn.answer(answer, session, now));
    assert_eq!(two.paths(0), ["/permission/per_1/reply"]);
    two.reply(0, |_, _| lost());
    two.does(0, Turn::abandon);
    assert_eq!(two.asks(), [0, 1], "the first took its answer with it");
}

#[test]
fn an_ask_that_is_answered_is_over_for_both() {
    // The reply to the answer or the event shows that.
    for is_told in [false, true] {
        let mut two = asking();
        let answer = two.asked[0].pop().unwrap().reply(PermissionReply::Once);
        two.does(0, |turn, session, now| turn.answer(answer, session, now));
        if is_told {
            two.hear(&event_of_child(
                "permission.replied",
                r#""requestID":"per_1","reply":"once""#,
            ));
        } else {
            two.reply(0, WrittenServer::reply);
        }
        two.does(0, Turn::abandon);
        assert_eq!(two.asks(), [0, 0]);
    }
}

#[test]
fn no_deadline_counts_while_the_application_decides_for_another_turn() {
    let mut two = asking();
    two.now += Duration::from_secs(60 * 60);
    two.does(1, Turn::handle_timeout);
    assert_eq!(two.ends, [None, None]);
    assert!(!two.paths(1).contains(&"/session/s/abort"), "{:?}", two.paths(1));
}

#[test]
fn aborts_of_two_turns_go_one_after_another() {
    let mut two = Two::posted();
    two.does(0, Turn::cancel);
    two.does(1, Turn::cancel);
    assert_eq!((two.paths(0).len(), two.paths(1).len()), (1, 0));
    two.reply(0, WrittenServer::reply);
    assert_eq!(two.paths(1), ["/session/s/abort"]);
}

#[test]
fn a_turn_that_ended_while_its_abort_waits_sends_it_later() {
    let mut two = Two::posted();
    two.does(0, Turn::cancel);
    two.does(1, Turn::cancel);
    two.now += TurnSettings::default().abort_limit;
    two.does(1, Turn::handle_timeout);
    assert_eq!(two.ends, [None, Some("cancelled")]);
    two.does(1, Turn::abandon);
    assert!(!two.turns[1].is_over() && two.paths(1).is_empty());
    two.reply(0, WrittenServer::reply);
    assert_eq!(two.paths(1), ["/session/s/abort"]);
    two.reply(1, WrittenServer::reply);
    assert!(two.turns[1].is_over() && two.session.may_post());
}

#[test]
fn an_error_of_the_turn_before_is_not_the_turns() {
    // The first turn is cancelled, and the error is known from the answer.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.answer(&format!(r#","time":{{"completed":1}},{REFUSED}"#));
    stage.aborted();
    stage.wait(Duration::ZERO);
    let failed = answer(&format!(r#","time":{{"completed":1}},{REFUSED}"#));
    stage.find(&idle().with("s", [prompt(), message("m2", &failed)]));
    assert_eq!(stage.end(), Some("cancelled"));

    // The event comes when the next prompt is in flight.
    let session = stage.session;
    let mut next = Stage::waiting("Go on.", TurnSettings::default(), session);
    next.reopen();
    next.tell("session.error", REFUSED);
    assert!(next.events.is_empty(), "{:#?}", next.events);
    next = next.told();
    next.answer(DONE);
    next.tell("session.status", IDLE);
    let outcome = next.outcome.unwrap();
    assert_eq!((outcome.end.name(), outcome.errors()), ("completed", &[][..]));
}

#[test]
fn an_error_before_the_prompt_does_not_decide_about_it() {
    // A turn that nothing is known of has failed, and the prompt after it is lost.
    let mut stage = Stage::new(TurnSettings::default());
    stage.tell("session.error", NO_AGENT);
    stage = stage.told();
    stage.tell("session.status", IDLE);
    for _ in 0..20 {
        stage.wait(SECOND);
        stage.find(&idle().with("s", [prompt()]));
    }
    assert_eq!(stage.end(), Some("torn"));
}

/// The post is lost, and the answer to another prompt of the session fails.
#[test]
fn an_error_of_another_answer_is_not_that_of_a_prompt_that_never_arrived() {
    for (error, end) in [(REFUSED, "not_posted"), (NO_AGENT, "agent_error")] {
        let mut stage = Stage::new(TurnSettings::default());
        stage.tell("session.error", error);
        stage.reply("/prompt_async", lost());
        for _ in 0..20 {
            stage.wait(SECOND);
            stage.find(&idle());
        }
        assert_eq!(stage.end(), Some(end));
        let errors = stage.outcome.unwrap().errors().len();
        assert_eq!(errors, usize::from(end == "agent_error"));
    }
}

/// Another prompt fails in a gap: the event may be that of the prompt, and the messages decide.
#[test]
fn an_error_in_a_gap_does_not_decide_about_a_prompt_that_never_arrived() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.gap();
    stage.tell("session.error", REFUSED);
    stage.reply("/prompt_async", lost());
    for _ in 0..20 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    assert_eq!(stage.end(), Some("not_posted"));
}

/// OpenCode stores no prompt for an agent that does not exist.
const NO_AGENT: &str = r#""error":{"name":"UnknownError","data":{"message":"Agent not found"}}"#;

#[test]
fn an_interruption_is_told_once() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.interrupt();
    let why = Interruption::Closed;
    stage.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
    stage.reopen();
    stage.reopen();
    let told = stage.events.iter().filter(|event| {
        matches!(event.kind, TurnEventKind::ConnectionLost(_) | TurnEventKind::Reconnected)
    });
    assert_eq!(told.count(), 2);
}

/// The first abort of a turn is in flight when the turn needs a second one.
#[test]
fn a_second_abort_of_a_turn_follows_the_first() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.accept();
    assert_eq!(stage.did, ["post", "abort"], "aborts go one after another");
    stage.aborted();
    assert_eq!(stage.did, ["post", "abort", "abort"]);
    stage.wait(TurnSettings::default().abort_limit);
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}

/// The reply to a command line comes at the end, if the connection lives that long.
#[test]
fn a_dropped_command_line_is_aborted_before_its_end() {
    let settings = TurnSettings::default();
    let limit = settings.abort_limit;
    let mut stage = Stage::sent(ShellRequest::new("build", "sleep 9"), settings);
    abandon(&mut stage);
    stage.wait(limit / 2);
    assert_eq!(stage.did, ["post"]);
    stage.wait(limit / 2);
    assert_eq!(stage.did, ["post", "abort"]);
    assert!(!stage.turn.is_over() && !stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}

/// The abort overtakes the command line, whose reply comes at its end.
#[test]
fn a_command_line_that_arrives_after_the_abort_is_aborted() {
    let post = ShellRequest::new("build", "sleep 9");
    let mut stage = Stage::sent(post, TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    assert_eq!(stage.did, ["post", "abort"]);
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    assert_eq!(stage.did, ["post", "abort", "abort"]);
}

/// The session was idle when its status was read, and the prompt arrives before it is listed.
#[test]
fn a_cancelled_prompt_that_arrives_during_a_look_is_aborted() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "abort", "look"]);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), None);
    assert_eq!(stage.did, ["post", "abort", "look", "abort"]);
    stage.accept();
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), Some("cancelled"));
    assert_eq!(stage.did, ["post", "abort", "look", "abort", "look"], "one abort is enough");
}

/// Nothing shows whether the prompt arrived before the abort, after the abort, or never.
#[test]
fn a_cancelled_prompt_whose_reply_is_lost_is_aborted_again() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.reply("/prompt_async", lost());
    assert_eq!(stage.did, ["post", "abort", "abort"]);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    assert_eq!(stage.end(), Some("cancelled"));
    assert_eq!(stage.did, ["post", "abort", "abort", "look", "abort"], "the last word");
    assert!(!stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}

/// The reply is lost before the turn is stopped, and the prompt is still on the way.
#[test]
fn a_prompt_whose_reply_is_lost_is_aborted_at_the_end_of_the_deadline() {
    let deadlines = Deadlines::default().with_overall(SECOND);
    let mut stage = Stage::new(TurnSettings::default().with_deadlines(deadlines));
    stage.reply("/prompt_async", lost());
    stage.wait(SECOND);
    stage.aborted();
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("timed_out"));
    assert!(stage.is_calling("/abort") && !stage.session.may_post());
}

/// The server has the prompt after the abort, and the reply to the post comes after the turn.
#[test]
fn a_prompt_that_arrives_after_the_abort_is_aborted_before_the_reply_to_the_post() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    assert_eq!(stage.did, ["post", "abort", "abort"]);
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("cancelled"));
    assert!(!stage.turn.is_over() && !stage.session.may_post(), "the second abort is on its way");
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}
