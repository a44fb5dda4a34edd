//! The close list against a `Vec`: accepted callbacks run once, newest first; the rest come back.
#![cfg(not(any(loom, shuttle)))]

use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::effects::Ran;
use proptest::prelude::*;

proptest! {
    #[test]
    fn behaves_like_a_stack_that_is_emptied_once(steps in prop::collection::vec(any::<Option<(u8, bool)>>(), 0..40)) {
        let list = CloseList::new();
        let mut model = Some(Vec::new());
        for step in steps {
            match step {
                Some((id, panics)) => {
                    let pushed = list.push((id, panics));
                    match &mut model {
                        Some(open) => {
                            prop_assert_eq!(pushed, Ok(()));
                            open.push((id, panics));
                        }
                        None => prop_assert_eq!(pushed, Err((id, panics))),
                    }
                }
                None => {
                    let mut ran = Vec::new();
                    let count = list.run(|(id, panics)| {
                        ran.push((id, panics));
                        prop_assert_late(list.push((id, panics)));
                        if panics { Ran::Panicked } else { Ran::Done }
                    });
                    let mut expected = model.take().unwrap_or_default();
                    expected.reverse();
                    prop_assert_eq!(count, ran.len());
                    prop_assert_eq!(ran, expected);
                }
            }
        }
    }
}

fn prop_assert_late(pushed: Result<(), (u8, bool)>) {
    assert!(pushed.is_err(), "a callback added inside a close callback was accepted");
}
