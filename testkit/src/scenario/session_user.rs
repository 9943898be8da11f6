//! A user of one session.

use std::future::Future;
use std::panic;
use std::time::Duration;

use opencode_client::event::RawJson;
use opencode_client::log::EventLogConfig;
use opencode_client::turn::{
    DroppedFollow, FollowRequest, OutputFormat, Pending, PermissionRequest, PostedPrompt,
    QuestionRequest, ShellRequest,
};
use opencode_client::{
    Ask, Deadlines, PermissionReply, Prompt, QuestionReply, Session, TurnRequest, TurnStream,
};

use super::check::{CheckedTurn, Ledger, StreamRecord};
use super::plan::{Answering, Interference, Joining, Logging, PostPlan, Reading, Size, TurnPlan};
use crate::world::{AskReply, Inhabitant, RivalAct, Weather};

/// Limit on the duration of a turn, far above any real one.
const TURN_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

#[derive(Clone)]
pub(super) struct SessionUser {
    pub(super) world: Inhabitant,
    pub(super) ledger: Ledger,
    pub(super) weather: Weather,
    pub(super) size: Size,
    pub(super) port: u16,
    pub(super) session: Session,
    pub(super) name: String,
    pub(super) log: std::path::PathBuf,
}

/// Adds the handlers, the deadlines and the log of a plan to a request of either kind.
macro_rules! planned {
    ($user:expr, $request:expr, $plan:expr) => {{
        let (request, asks) = ($request, $plan.asks);
        let request = match asks {
            Answering::NoHandler => request,
            Answering::ByReader => request.with_asks_in_stream(),
            Answering::Late
            | Answering::Never
            | Answering::Panics
            | Answering::AtOnce
            | Answering::RejectWithMessage => {
                let (one, other) = ($user.clone(), $user.clone());
                request
                    .on_permission(move |ask| one.clone().decide_permission(ask, asks))
                    .on_question(move |ask| other.clone().decide_question(ask, asks))
            }
        };
        let mut deadlines = request.settings().deadlines();
        if let Some(overall) = $plan.overall {
            deadlines = Deadlines::with_overall(deadlines, overall);
        }
        let request = request.with_deadlines(deadlines);
        match $plan.log {
            Logging::Full => request.with_log(EventLogConfig::new("/dev/full")),
            Logging::Off => request,
            Logging::On => request.with_log(EventLogConfig::new(&$user.log)),
        }
    }};
}

impl SessionUser {
    /// Runs some turns, one after the other, now and then two at once.
    pub(super) async fn run(self) {
        let rates = self.world.activity();
        let rival = self.world.random(|random| random.happens(rates.rivals));
        let rival = rival.then(|| self.world.spawn(self.rival()));
        let turns = self.world.random(|random| random.range(1, self.size.turns_max()));
        for number in 0..turns {
            let (mut plan, beside) = self.world.random(|random| {
                let beside = random
                    .happens(150)
                    .then(|| (TurnPlan::any(random), random.milliseconds(0, 3_000)));
                (TurnPlan::any(random), beside)
            });
            let text = format!("{} turn {number}", self.name);
            let Some((other, delay)) = beside else {
                let activity = self.world.activity();
                plan.post = self.world.random(|random| PostPlan::any(random, &activity));
                if plan.post == PostPlan::Prompt {
                    plan.joining = self.world.random(|random| Joining::any(random, &activity));
                }
                self.turn(&text, &plan, true).await;
                continue;
            };
            let (user, name) = (self.clone(), format!("{text} beside"));
            let second = self.world.spawn(async move {
                user.world.sleep(delay).await;
                user.turn(&name, &other, false).await;
            });
            self.turn(&text, &plan, false).await;
            second.await;
        }
        if let Some(rival) = rival {
            rival.await;
        }
    }

    /// Uses the session as another client.
    fn rival(&self) -> impl Future<Output = ()> + Send + use<> {
        let (world, port, name) = (self.world.clone(), self.port, self.name.clone());
        let session = self.session.id().to_string();
        let summaries = self.world.activity().summaries;
        async move {
            for number in 0..world.random(|random| random.range(1, 3)) {
                let (time, act) = world.random(|random| {
                    let time = match random.below(3) {
                        0 => random.milliseconds(0, 60_000),
                        _ => random.milliseconds(0, 3_000),
                    };
                    let act = match random.below(20) {
                        0 => RivalAct::Delete,
                        1..=3 => RivalAct::Dispose,
                        4..=7 => RivalAct::Abort,
                        _ => RivalAct::Prompt(format!("{name} rival {number}")),
                    };
                    match random.happens(summaries) {
                        true => (time, RivalAct::Summarize),
                        false => (time, act),
                    }
                });
                world.sleep(time).await;
                if let Some(model) = world.server_at(port) {
                    model.rival(&session, &act);
                }
            }
        }
    }

    pub(super) async fn turn(&self, text: &str, plan: &TurnPlan, is_alone: bool) {
        let world = &self.world;
        world.note(format_args!("{text}: {plan:?}"));
        let stream = match plan.joining {
            Joining::FromTheStart => self.session.send(self.request(text, plan)),
            Joining::After(delay) => match self.join(text, plan, delay).await {
                Some(stream) => stream,
                None => return,
            },
        };
        let (begun, jumped) = (world.now(), world.jumped());
        let limit = TURN_LIMIT + world.jumped();
        let mut is_cancelled = false;
        let driven = self.drive(stream, plan, &mut is_cancelled);
        let driven = world.within(limit, driven).await;
        let driven = driven.unwrap_or_else(|| panic!("{text}: the turn does not end"));
        let Some((result, record)) = driven else {
            world.note(format_args!("{text} was dropped"));
            return self.ledger.count("turn: dropped");
        };
        let elapsed = world.now() - begun;
        let over = CheckedTurn {
            world,
            port: self.port,
            weather: self.weather,
            session: self.session.id().as_str(),
            text,
            plan,
            record,
            is_cancelled,
            is_alone,
            elapsed,
            jumped: world.jumped() - jumped,
        };
        over.check(result, &self.ledger);
    }

    /// Posts a prompt, and follows the turn after this time: once for a moment, then for good.
    async fn join(&self, text: &str, plan: &TurnPlan, delay: Duration) -> Option<TurnStream> {
        let world = &self.world;
        let posted = match self.session.post(text).await {
            Ok(posted) => posted,
            Err(error) => {
                let is_deleted =
                    world.server_at(self.port).is_some_and(|it| it.is_deleted(self.name()));
                assert!(
                    self.weather != Weather::CALM || is_deleted,
                    "{text}: cannot post in calm weather: {error:?}"
                );
                self.ledger.count("post: failed");
                error.posted()?.clone()
            }
        };
        self.ledger.count("post: done");
        world.sleep(delay).await;
        let request = self.follow_request(posted, plan);
        let look = world.random(|random| random.milliseconds(0, 20_000));
        let mut glance = self.session.follow(request.clone());
        let glanced = world.within(look, async { while glance.next_event().await.is_some() {} });
        self.ledger.count(match glanced.await {
            Some(()) => "follow: ended",
            None => "follow: dropped",
        });
        // A turn that was dropped for good would hold up those after it.
        Some(self.session.follow(request.with_dropped(DroppedFollow::Abort)))
    }

    fn name(&self) -> &str {
        self.session.id().as_str()
    }

    /// Drives a turn to the end. Returns `None` when the plan drops it.
    async fn drive(
        &self,
        mut stream: TurnStream,
        plan: &TurnPlan,
        is_cancelled: &mut bool,
    ) -> Option<(
        Result<opencode_client::TurnOutcome, opencode_client::TurnError>,
        Option<StreamRecord>,
    )> {
        let world = &self.world;
        let mut interference = plan.interference;
        if plan.reading == Reading::Outcome {
            return match interference {
                None => Some((stream.outcome().await, None)),
                Some((Interference::Cancel, _)) => {
                    *is_cancelled = true;
                    stream.cancel();
                    Some((stream.outcome().await, None))
                }
                Some((Interference::Drop, time)) => {
                    Some((world.within(time, stream.outcome()).await?, None))
                }
            };
        }
        let begun = world.now();
        let mut record = StreamRecord::default();
        loop {
            let event = match interference {
                None => stream.next_event().await,
                Some((kind, time)) => {
                    let left = (begun + time).saturating_sub(world.now());
                    match world.within(left, stream.next_event()).await {
                        Some(event) => event,
                        None => {
                            match kind {
                                Interference::Drop => return None,
                                Interference::Cancel => stream.cancel(),
                            }
                            *is_cancelled = true;
                            interference = None;
                            continue;
                        }
                    }
                }
            };
            let Some(event) = event else { break };
            record.add(&event);
            if let Some(ask) = stream.take_ask() {
                self.reply_to(ask);
            }
            if plan.reading == Reading::Slow {
                let pause = world.random(|random| match random.below(6) {
                    0 => random.milliseconds(0, 8_000),
                    _ => Duration::ZERO,
                });
                world.sleep(pause).await;
            }
        }
        Some((stream.outcome().await, Some(record)))
    }

    /// Replies to an ask at once or later, or drops it.
    fn reply_to(&self, ask: Ask) {
        let (is_left, delay) =
            self.world.random(|random| (random.happens(200), random.milliseconds(0, 20_000)));
        if is_left {
            return drop(ask);
        }
        let user = self.clone();
        drop(self.world.spawn(async move {
            user.world.sleep(delay).await;
            match ask {
                Ask::Permission(token) => {
                    user.ledger.decide(token.request().id.as_str(), AskReply::Granted);
                    token.reply(PermissionReply::Once);
                }
                Ask::Question(token) => {
                    user.ledger.decide(token.request().id.as_str(), AskReply::Granted);
                    token.reply(QuestionReply::Answer(vec![vec!["A".to_owned()].into()]));
                }
            }
        }));
    }

    fn request(&self, text: &str, plan: &TurnPlan) -> TurnRequest {
        let request = match plan.post {
            PostPlan::Prompt => TurnRequest::new(text),
            PostPlan::Shell => TurnRequest::new(ShellRequest::new("build", text)),
            PostPlan::Structured => {
                let schema = r#"{"type":"object","properties":{"x":{"type":"integer"}}}"#;
                let schema = RawJson::parse(schema).expect("a schema");
                let prompt = Prompt::from(text).with_format(OutputFormat::json_schema(schema));
                TurnRequest::new(prompt)
            }
        };
        planned!(self, request, plan)
    }

    /// The same deadlines and handlers as those of a turn that is sent.
    fn follow_request(&self, posted: PostedPrompt, plan: &TurnPlan) -> FollowRequest {
        planned!(self, FollowRequest::from(posted), plan)
    }

    async fn decide_permission(
        self,
        ask: Pending<PermissionRequest>,
        asks: Answering,
    ) -> PermissionReply {
        match self.decide_reply(ask.request.id.as_str(), asks).await {
            AskReply::Granted => PermissionReply::Once,
            AskReply::Refused => PermissionReply::reject(),
            AskReply::RefusedWith(word) => PermissionReply::reject_with(word),
        }
    }

    async fn decide_question(
        self,
        ask: Pending<QuestionRequest>,
        asks: Answering,
    ) -> QuestionReply {
        match self.decide_reply(ask.request.id.as_str(), asks).await {
            AskReply::Granted => QuestionReply::Answer(vec![vec!["A".to_owned()].into()]),
            AskReply::Refused | AskReply::RefusedWith(_) => QuestionReply::Dismiss,
        }
    }

    async fn decide_reply(&self, ask: &str, asks: Answering) -> AskReply {
        let reply = match asks {
            Answering::Never => {
                self.ledger.count("ask: never answered");
                std::future::pending().await
            }
            Answering::Panics => {
                self.ledger.count("ask: panics");
                self.ledger.decide(ask, AskReply::Refused);
                // Unlike `panic!`, this prints nothing.
                panic::resume_unwind(Box::new("a handler panics as planned"))
            }
            Answering::Late => {
                let time = self.world.random(|random| random.milliseconds(0, 200_000));
                self.world.sleep(time).await;
                AskReply::Granted
            }
            Answering::RejectWithMessage => AskReply::RefusedWith("do it otherwise".to_owned()),
            Answering::AtOnce | Answering::ByReader | Answering::NoHandler => AskReply::Granted,
        };
        self.ledger.count(format!("ask: {reply:?}"));
        self.ledger.decide(ask, reply.clone());
        reply
    }
}
