//! The turns of one session.

use std::panic;
use std::time::Duration;

use opencode_client::{
    Ask, Deadlines, EventLogConfig, PermissionReply, QuestionReply, Session, TurnRequest,
    TurnStream,
};
use testkit::world::{AskReply, Inhabitant, Weather};

use crate::check::{Book, Over, Told};
use crate::plan::{Answering, Interference, Logging, Manner, Reading, Size};

/// No turn takes longer.
const TURN_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

#[derive(Clone)]
pub(crate) struct Talk {
    pub(crate) world: Inhabitant,
    pub(crate) book: Book,
    pub(crate) weather: Weather,
    pub(crate) size: Size,
    pub(crate) port: u16,
    pub(crate) session: Session,
    pub(crate) name: String,
    pub(crate) log: std::path::PathBuf,
}

impl Talk {
    /// Some turns, one after the other, now and then two at once.
    pub(crate) async fn go_on(self) {
        let turns = self.world.random(|random| random.range(1, self.size.turns_max()));
        for number in 0..turns {
            let (manner, beside) = self.world.random(|random| {
                let beside = random
                    .happens(150)
                    .then(|| (Manner::any(random), random.milliseconds(0, 3_000)));
                (Manner::any(random), beside)
            });
            let text = format!("{} turn {number}", self.name);
            let Some((other, delay)) = beside else {
                self.turn(&text, &manner, true).await;
                continue;
            };
            let (talk, name) = (self.clone(), format!("{text} beside"));
            let second = self.world.spawn(async move {
                talk.world.sleep(delay).await;
                talk.turn(&name, &other, false).await;
            });
            self.turn(&text, &manner, false).await;
            second.await;
        }
    }

    pub(crate) async fn turn(&self, text: &str, manner: &Manner, is_alone: bool) {
        let world = &self.world;
        world.note(format_args!("{text}: {manner:?}"));
        let (begun, jumped) = (world.now(), world.jumped());
        let stream = self.session.send(self.request(text, manner));
        let limit = TURN_LIMIT + world.jumped();
        let mut is_cancelled = false;
        let driven = self.drive(stream, manner, &mut is_cancelled);
        let driven = world.within(limit, driven).await;
        let driven = driven.unwrap_or_else(|| panic!("{text}: it has no end"));
        let Some((result, told)) = driven else {
            world.note(format_args!("{text} was dropped"));
            return self.book.count("turn: dropped");
        };
        let elapsed = world.now() - begun;
        let over = Over {
            world,
            port: self.port,
            weather: self.weather,
            text,
            manner,
            told,
            is_cancelled,
            is_alone,
            elapsed,
            jumped: world.jumped() - jumped,
        };
        over.check(result, &self.book);
    }

    /// `None`: it was dropped.
    async fn drive(
        &self,
        mut stream: TurnStream,
        manner: &Manner,
        is_cancelled: &mut bool,
    ) -> Option<(Result<opencode_client::TurnOutcome, opencode_client::TurnError>, Option<Told>)>
    {
        let world = &self.world;
        let mut interference = manner.interference;
        if manner.reading == Reading::Outcome {
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
        let mut told = Told::default();
        loop {
            let event = match interference {
                None => stream.next_event().await,
                Some((what, time)) => {
                    let left = (begun + time).saturating_sub(world.now());
                    match world.within(left, stream.next_event()).await {
                        Some(event) => event,
                        None => {
                            match what {
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
            told.add(&event);
            if let Some(ask) = stream.take_ask() {
                self.deal_with(ask);
            }
            if manner.reading == Reading::Slow {
                let pause = world.random(|random| match random.below(6) {
                    0 => random.milliseconds(0, 8_000),
                    _ => Duration::ZERO,
                });
                world.sleep(pause).await;
            }
        }
        Some((stream.outcome().await, Some(told)))
    }

    /// Answers now, later, or not at all.
    fn deal_with(&self, ask: Ask) {
        let (is_left, delay) =
            self.world.random(|random| (random.happens(200), random.milliseconds(0, 20_000)));
        if is_left {
            return drop(ask);
        }
        let talk = self.clone();
        drop(self.world.spawn(async move {
            talk.world.sleep(delay).await;
            match ask {
                Ask::Permission(token) => {
                    talk.book.decide(token.request().id.as_str(), AskReply::Granted);
                    token.reply(PermissionReply::Once);
                }
                Ask::Question(token) => {
                    talk.book.decide(token.request().id.as_str(), AskReply::Granted);
                    token.reply(QuestionReply::Answer(vec![vec!["A".to_owned()].into()]));
                }
            }
        }));
    }

    fn request(&self, text: &str, manner: &Manner) -> TurnRequest {
        let request = TurnRequest::new(text);
        let request = match manner.asks {
            Answering::Nobody => request,
            Answering::ByReader => request.with_asks_in_stream(),
            Answering::Late
            | Answering::Never
            | Answering::Panics
            | Answering::Prompt
            | Answering::WithWord => self.with_handlers(request, manner.asks),
        };
        let mut deadlines = request.settings.deadlines;
        if let Some(overall) = manner.overall {
            deadlines = Deadlines::with_overall(deadlines, overall);
        }
        let request = request.with_deadlines(deadlines);
        match manner.log {
            Logging::Full => request.with_log(EventLogConfig::new("/dev/full")),
            Logging::Off => request,
            Logging::On => request.with_log(EventLogConfig::new(&self.log)),
        }
    }

    fn with_handlers(&self, request: TurnRequest, asks: Answering) -> TurnRequest {
        let (one, other) = (self.clone(), self.clone());
        let request = request.on_permission(move |ask| {
            let talk = one.clone();
            async move {
                match talk.think(ask.request.id.as_str(), asks).await {
                    AskReply::Granted => PermissionReply::Once,
                    AskReply::Refused => PermissionReply::reject(),
                    AskReply::RefusedWith(word) => PermissionReply::reject_with(word),
                }
            }
        });
        request.on_question(move |ask| {
            let talk = other.clone();
            async move {
                match talk.think(ask.request.id.as_str(), asks).await {
                    AskReply::Granted => QuestionReply::Answer(vec![vec!["A".to_owned()].into()]),
                    AskReply::Refused | AskReply::RefusedWith(_) => QuestionReply::Dismiss,
                }
            }
        })
    }

    async fn think(&self, ask: &str, asks: Answering) -> AskReply {
        let reply = match asks {
            Answering::Never => {
                self.book.count("ask: never answered");
                std::future::pending().await
            }
            Answering::Panics => {
                self.book.count("ask: panics");
                self.book.decide(ask, AskReply::Refused);
                // Without a word on standard error.
                panic::resume_unwind(Box::new("a handler that panics"))
            }
            Answering::Late => {
                let time = self.world.random(|random| random.milliseconds(0, 200_000));
                self.world.sleep(time).await;
                AskReply::Granted
            }
            Answering::WithWord => AskReply::RefusedWith("do it otherwise".to_owned()),
            Answering::Prompt | Answering::ByReader | Answering::Nobody => AskReply::Granted,
        };
        self.book.count(format!("ask: {reply:?}"));
        self.book.decide(ask, reply.clone());
        reply
    }
}
