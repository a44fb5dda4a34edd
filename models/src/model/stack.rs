//! What a party has still to do, without an allocation: states are copied by the million.
//!
//! Not here: what a step is (`op`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::op::Op;

/// No party has more before it. One that had would end the exploration with a panic.
const DEEPEST: usize = 12;

/// Steps, the next last.
#[derive(Clone, Copy)]
pub struct Stack {
    len: u8,
    ops: [Op; DEEPEST],
}

impl Stack {
    /// A party that takes `script`, in this order.
    pub fn of(script: &[Op]) -> Self {
        let mut stack = Self { len: 0, ops: [Op::Poll; DEEPEST] };
        script.iter().rev().for_each(|&op| stack.push(op));
        stack
    }

    /// Before everything else, `op`.
    pub fn push(&mut self, op: Op) {
        self.ops[usize::from(self.len)] = op;
        self.len += 1;
    }

    /// The next step.
    pub fn pop(&mut self) -> Option<Op> {
        self.len = self.len.checked_sub(1)?;
        Some(self.ops[usize::from(self.len)])
    }
}

impl Deref for Stack {
    type Target = [Op];

    fn deref(&self) -> &[Op] {
        &self.ops[..usize::from(self.len)]
    }
}

impl PartialEq for Stack {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Stack {}

impl Hash for Stack {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
