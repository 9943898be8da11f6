use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

/// Who answers what a session asks, when several turns go on in it at once and all of them are asked.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the id of the ask.
    claims: BTreeMap<Arc<str>, Claim>,
    /// Of those who would answer what is given up.
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Answered,
    /// Somebody is thinking about it.
    Taken,
}

impl Claims {
    /// Takes an ask. `false`: another turn has.
    pub(crate) fn take(&self, ask: &str) -> bool {
        self.lock(|state| {
            if state.claims.contains_key(ask) {
                return false;
            }
            state.claims.insert(ask.into(), Claim::Taken);
            true
        })
    }

    /// It was answered.
    pub(crate) fn answered(&self, ask: &str) {
        self.lock(|state| state.claims.insert(ask.into(), Claim::Answered));
    }

    /// Whoever took these is gone. What was not answered is for others to take.
    pub(crate) fn give_up(&self, asks: &[String]) {
        let waiting = self.lock(|state| {
            for ask in asks {
                if state.claims.get(ask.as_str()) == Some(&Claim::Taken) {
                    state.claims.remove(ask.as_str());
                }
            }
            std::mem::take(&mut state.waiting)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Has the task woken when something is given up.
    pub(crate) fn wait(&self, cx: &Context<'_>) {
        self.lock(|state| {
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
        });
    }

    fn lock<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
