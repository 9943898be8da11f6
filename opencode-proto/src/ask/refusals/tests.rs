use super::*;
use crate::policy::fixture::{ask, listed, start};

/// The refusals of a session `s`, in virtual time.
struct Dock {
    refusals: Refusals,
    deciding: Deciding,
    now: Instant,
}

impl Dock {
    fn new() -> Self {
        Self { refusals: Refusals::default(), deciding: Deciding::new(), now: start() }
    }

    fn decides(&mut self, id: &str, session: &str) {
        self.deciding.insert(id.into(), session.into());
    }

    fn holds(&mut self, id: &str, session: &str) {
        self.deciding.remove(&PermissionId::from(id));
        self.refusals.hold(id.into(), session.into());
    }

    fn allows(&mut self, id: &str) {
        self.deciding.remove(&PermissionId::from(id));
        self.refusals.allow(id.into(), self.now);
    }

    fn demand(&mut self) -> ListingDemand {
        self.refusals.demand(&self.deciding, self.now)
    }

    /// Lists these requests, given by id and session.
    fn lists(&mut self, requests: &[(&str, &str)]) -> Vec<String> {
        let entry = |(id, session): &(&str, &str)| ask(id, session, "bash", &[], &[], "{}", "null");
        let entries: Vec<String> = requests.iter().map(entry).collect();
        let released =
            self.refusals.take(Some(&listed(&entries.join(","))), &self.deciding, self.now);
        released.iter().map(|id| id.as_str().to_owned()).collect()
    }

    /// Waits until the permissions have to be listed, and returns how long that takes.
    fn waits(&mut self) -> Duration {
        let at = self.refusals.wake().expect("a time to list again");
        let waited = at - self.now;
        self.now = at;
        assert_eq!(self.demand(), ListingDemand::List);
        waited
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_refusal_alone_is_free_after_one_listing() {
    let mut dock = Dock::new();
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.demand(), ListingDemand::Nothing, "listed once at a time");
    assert_eq!(dock.refusals.wake(), None);
    assert_eq!(dock.lists(&[("a", "s"), ("x", "other")]), ["a"]);
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    assert_eq!(dock.refusals.wake(), None);
}

#[test]
fn a_refusal_waits_for_a_request_that_is_being_decided() {
    let mut dock = Dock::new();
    dock.decides("b", "s");
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::Nothing, "nothing to list yet");
    assert_eq!(dock.waits(), PAUSE_WHILE_DECIDING);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), NONE);
    dock.allows("b");
    assert_eq!(dock.demand(), ListingDemand::List, "at once");
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), NONE, "the reply is on its way");
    assert_eq!(dock.waits(), PAUSE_FIRST);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), NONE);
    assert_eq!(dock.waits(), PAUSE_FIRST * 2);
    assert_eq!(dock.lists(&[("a", "s")]), ["a"]);
}

#[test]
fn a_request_that_is_decided_but_gone_holds_nothing_back() {
    let mut dock = Dock::new();
    dock.decides("b", "s");
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    dock.waits();
    assert_eq!(dock.lists(&[("a", "s")]), ["a"], "another client answered `b`");
}

#[test]
fn sessions_do_not_wait_for_each_other() {
    let mut dock = Dock::new();
    dock.decides("b", "s");
    dock.holds("a", "s");
    dock.holds("c", "child");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s"), ("c", "child")]), ["c"]);
    assert_eq!(dock.waits(), PAUSE_WHILE_DECIDING);
}

#[test]
fn refusals_of_one_session_are_free_together() {
    let mut dock = Dock::new();
    dock.holds("a", "s");
    dock.holds("b", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), ["a", "b"]);
    dock.holds("c", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("c", "s")]), ["c"], "refused requests hold nothing back");
}

#[test]
fn a_request_that_no_event_names_is_waited_for_once() {
    let mut dock = Dock::new();
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    let mut waited = Duration::ZERO;
    while dock.lists(&[("a", "s"), ("ghost", "s")]) == NONE {
        waited += dock.waits();
        assert!(waited < UNKNOWN_LIMIT + PAUSE_MAX, "for {waited:?}");
    }
    assert!(waited >= UNKNOWN_LIMIT);
    dock.holds("c", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("c", "s"), ("ghost", "s")]), ["c"]);
}

#[test]
fn an_allowed_request_that_stays_listed_has_a_limit() {
    let mut dock = Dock::new();
    dock.allows("b");
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), NONE);
    dock.now += ALLOWED_LIMIT;
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), ["a"]);
}

#[test]
fn a_listing_from_before_a_refusal_does_not_count() {
    let mut dock = Dock::new();
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::List);
    dock.holds("b", "s");
    assert_eq!(dock.demand(), ListingDemand::Nothing, "one listing at a time");
    assert_eq!(dock.lists(&[("a", "s")]), NONE);
    assert_eq!(dock.demand(), ListingDemand::List);
    assert_eq!(dock.lists(&[("a", "s"), ("b", "s")]), ["a", "b"]);
}

#[test]
fn a_server_that_cannot_list_holds_nothing_back_but_for_known_requests() {
    let mut dock = Dock::new();
    dock.decides("b", "s");
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    dock.waits();
    assert!(dock.refusals.take(None, &dock.deciding, dock.now).is_empty());
    dock.allows("b");
    assert_eq!(dock.demand(), ListingDemand::List);
    let released = dock.refusals.take(None, &dock.deciding, dock.now);
    assert_eq!(released, [PermissionId::from("a")]);
}

#[test]
fn withdrawn_requests_need_no_listing() {
    let mut dock = Dock::new();
    dock.decides("b", "s");
    dock.holds("a", "s");
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    dock.refusals.forget(&"a".into());
    assert_eq!(dock.demand(), ListingDemand::Nothing);
    assert_eq!(dock.refusals.wake(), None);
}
