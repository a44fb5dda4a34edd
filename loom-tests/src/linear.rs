//! Is a history of calls linearizable: can each call be given one instant between its beginning and its end, so that
//! a sequential object, called in that order, answers the same?
//!
//! For: the scenarios of objects that several threads call at once. A [`History`] is written down beside the calls,
//! where no checker sees it, so it adds no interleaving; [`History::order`] then searches for an order, by the method
//! of Wing and Gong. Not for: long histories, the search is exponential.

use std::fmt::Debug;
use std::sync::PoisonError;

use crate::share::{Unseen, UnseenGuard};

/// An object as its specification has it: one call at a time.
pub trait Sequential: Clone {
    /// What is called.
    type Call: Clone + Debug;
    /// What the call answers.
    type Answer: Clone + PartialEq + Debug;

    /// What `call` answers in this state, and the next state. `None`: the call cannot end in this state, because it
    /// blocks.
    fn apply(&mut self, call: &Self::Call) -> Option<Self::Answer>;
}

enum Event<S: Sequential> {
    Called(usize, S::Call),
    Answered(usize, S::Answer),
}

/// What was called, and what it answered, in the order in which it happened.
///
/// ```
/// use loom_tests::linear::{History, Sequential};
///
/// /// A counter: each call answers how many there were before.
/// #[derive(Clone)]
/// struct Counter(u32);
///
/// impl Sequential for Counter {
///     type Call = ();
///     type Answer = u32;
///
///     fn apply(&mut self, (): &()) -> Option<u32> {
///         self.0 += 1;
///         Some(self.0 - 1)
///     }
/// }
///
/// let history = History::<Counter>::default();
/// assert_eq!(history.call((), || 0), 0);
/// history.call((), || 1);
/// assert_eq!(history.order(Counter(0)), Ok("() = 0, () = 1".to_owned()));
/// history.call((), || 1);
/// assert!(history.order(Counter(0)).is_err(), "two calls found the same");
/// ```
pub struct History<S: Sequential>(Unseen<Vec<Event<S>>>);

impl<S: Sequential> Default for History<S> {
    fn default() -> Self {
        Self(Unseen::new(Vec::new()))
    }
}

impl<S: Sequential> History<S> {
    /// Calls `real`, which is what `call` stands for, and writes it down. Any thread.
    pub fn call(&self, call: S::Call, real: impl FnOnce() -> S::Answer) -> S::Answer {
        let id = {
            let mut events = self.events();
            let id = events.len();
            events.push(Event::Called(id, call));
            id
        };
        let answer = real();
        self.events().push(Event::Answered(id, answer.clone()));
        answer
    }

    fn events(&self) -> UnseenGuard<'_, Vec<Event<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the calls answered, whatever their order: equal for two executions that differ only in what no thread can
    /// tell.
    pub fn answers(&self) -> String {
        let events = self.events();
        let calls = calls(&events);
        let answered = |call: &Call<'_, S>| match call.ended {
            Some((_, answer)) => format!("{:?} = {answer:?}", call.call),
            None => format!("{:?}", call.call),
        };
        let mut answers: Vec<String> = calls.iter().map(answered).collect();
        answers.sort();
        answers.join(", ")
    }

    /// The calls with their answers in an order that explains them, beginning with `object`. All calls have ended.
    ///
    /// # Errors
    ///
    /// The history, if there is no such order.
    pub fn order(&self, object: S) -> Result<String, String> {
        let events = self.events();
        let mut calls = calls(&events);
        let mut order = Vec::new();
        if explain(&object, &mut calls, &mut order) {
            return Ok(order.join(", "));
        }
        let shown: Vec<String> = calls.iter().map(Call::show).collect();
        Err(format!("no order of calls explains the answers: {}", shown.join(", ")))
    }
}

/// The calls of a history, in the order in which they began.
fn calls<S: Sequential>(events: &[Event<S>]) -> Vec<Call<'_, S>> {
    let mut calls: Vec<Call<'_, S>> = Vec::new();
    for (time, event) in events.iter().enumerate() {
        match event {
            Event::Called(id, call) => calls.push(Call { id: *id, call, begun: time, ended: None }),
            Event::Answered(id, answer) => {
                if let Some(call) = calls.iter_mut().find(|call| call.id == *id) {
                    call.ended = Some((time, answer));
                }
            }
        }
    }
    calls
}

/// A call, and when it began and ended.
struct Call<'a, S: Sequential> {
    id: usize,
    call: &'a S::Call,
    begun: usize,
    ended: Option<(usize, &'a S::Answer)>,
}

impl<S: Sequential> Call<'_, S> {
    fn show(&self) -> String {
        match self.ended {
            Some((time, answer)) => format!("{:?} = {answer:?} [{}..{time}]", self.call, self.begun),
            None => format!("{:?} [{}..]", self.call, self.begun),
        }
    }
}

/// Whether `calls` can follow, in some order; if so they are appended to `order`.
fn explain<S: Sequential>(object: &S, calls: &mut Vec<Call<'_, S>>, order: &mut Vec<String>) -> bool {
    // A call that began after another had ended cannot come before it.
    let Some(first_end) = calls.iter().filter_map(|call| call.ended.map(|(time, _)| time)).min() else {
        return calls.is_empty();
    };
    for at in 0..calls.len() {
        let Some((_, answer)) = calls[at].ended else { continue };
        let mut next = object.clone();
        if calls[at].begun > first_end || next.apply(calls[at].call).as_ref() != Some(answer) {
            continue;
        }
        let call = calls.remove(at);
        order.push(format!("{:?} = {answer:?}", call.call));
        if explain(&next, calls, order) {
            return true;
        }
        order.pop();
        calls.insert(at, call);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Event, History, Sequential};

    /// A register that is born with 0.
    #[derive(Clone)]
    struct Register(u32);

    #[derive(Clone, Debug)]
    enum Call {
        Write(u32),
        Read,
    }

    impl Sequential for Register {
        type Call = Call;
        type Answer = u32;

        fn apply(&mut self, call: &Call) -> Option<u32> {
            if let Call::Write(value) = call {
                self.0 = *value;
            }
            Some(self.0)
        }
    }

    /// The calls, each with when it began and ended, and what it answered.
    fn explained(calls: &[(Call, usize, usize, u32)]) -> bool {
        let history = History::<Register>::default();
        let end = calls.iter().map(|call| call.2).max().unwrap_or(0);
        for time in 0..=end {
            for (id, (call, begun, ended, answer)) in calls.iter().enumerate() {
                if *begun == time {
                    history.events().push(Event::Called(id, call.clone()));
                }
                if *ended == time {
                    history.events().push(Event::Answered(id, *answer));
                }
            }
        }
        history.order(Register(0)).is_ok()
    }

    #[test]
    fn calls_that_overlap_may_go_either_way() {
        for read in [0, 7] {
            assert!(explained(&[(Call::Write(7), 0, 3, 7), (Call::Read, 1, 2, read)]));
        }
        assert!(!explained(&[(Call::Write(7), 0, 3, 7), (Call::Read, 1, 2, 8)]), "nobody wrote it");
    }

    #[test]
    fn a_call_that_began_after_another_had_ended_comes_after_it() {
        assert!(!explained(&[(Call::Write(7), 0, 1, 7), (Call::Read, 2, 3, 0)]));
        assert!(explained(&[(Call::Write(7), 0, 1, 7), (Call::Read, 2, 3, 7)]));
    }

    #[test]
    fn two_readers_agree_on_the_order_of_two_writers() {
        let writers = [(Call::Write(1), 0, 9, 1), (Call::Write(2), 0, 9, 2)];
        let seen = |values: [u32; 2]| {
            let mut calls = writers.to_vec();
            calls.extend([(Call::Read, 1, 2, values[0]), (Call::Read, 3, 4, values[1])]);
            explained(&calls)
        };
        assert!(seen([1, 2]) && seen([2, 1]) && seen([1, 1]) && seen([0, 2]));
        assert!(!seen([1, 0]), "the first value does not come back");
    }
}
