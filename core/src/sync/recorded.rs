//! The checkers' atomics and cells, each operation written down by [`record`](super::record).
//!
//! Each method is the one of the same name of the checker's own type, with the same arguments and the same meaning,
//! between two calls of the recorder. Not in the build that ships.

use std::fmt;
use std::sync::atomic::Ordering;

use super::record::{Op, after, before, number};

#[cfg(loom)]
use loom::sync::atomic as checker;
#[cfg(shuttle)]
use shuttle::sync::atomic as checker;

/// A read-modify-write that cannot fail; `$left` is what it leaves of the value that it `$seen` and the one `$given`.
macro_rules! update {
    ($method:ident, $value:ty, |$seen:ident, $given:ident| $left:expr) => {
        /// See [`std::sync::atomic`].
        #[track_caller]
        pub fn $method(&self, $given: $value, order: Ordering) -> $value {
            self.about_to(Op::Update, Self::number($given), order);
            // Ordering: the caller's.
            let $seen = self.0.$method($given, order);
            after(Op::Update, Some(Self::number($seen)), Self::number($left));
            $seen
        }
    };
}

/// A compare-exchange.
macro_rules! exchange {
    ($method:ident, $value:ty) => {
        /// See [`std::sync::atomic`].
        ///
        /// # Errors
        ///
        /// The value that it found, where that is not `current`.
        #[track_caller]
        pub fn $method(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            self.about_to(Op::Exchange(false), Self::number(new), success);
            // Ordering: the caller's.
            let found = self.0.$method(current, new, success, failure);
            match found {
                Ok(seen) => after(Op::Exchange(true), Some(Self::number(seen)), Self::number(new)),
                Err(seen) => after(Op::Exchange(false), Some(Self::number(seen)), Self::number(seen)),
            }
            found
        }
    };
}

/// An atomic of the checker, with the operations that all of them have.
macro_rules! atomic {
    ($(#[$doc:meta])* $name:ident, $value:ty, [$($generic:ident)?], $as_u64:expr) => {
        $(#[$doc])*
        pub struct $name$(<$generic>)?(checker::$name$(<$generic>)?, u64);

        impl$(<$generic>)? $name$(<$generic>)? {
            /// An atomic that holds `value`.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self(checker::$name::new(value), number())
            }

            #[track_caller]
            fn about_to(&self, op: Op, operand: u64, order: Ordering) {
                #[cfg(mutation)]
                crate::mutation::named(order, std::panic::Location::caller().file());
                #[cfg(not(mutation))]
                let _ = order;
                before(op, std::ptr::from_ref(self).addr(), self.1, operand);
            }

            #[allow(clippy::redundant_closure_call, reason = "how a value becomes a number is given as a closure")]
            fn number(value: $value) -> u64 {
                $as_u64(value)
            }

            /// See [`std::sync::atomic`].
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.about_to(Op::Load, 0, order);
                // Ordering: the caller's.
                let seen = self.0.load(order);
                after(Op::Load, Some(Self::number(seen)), Self::number(seen));
                seen
            }

            /// See [`std::sync::atomic`].
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                self.about_to(Op::Store, Self::number(value), order);
                // Ordering: the caller's.
                self.0.store(value, order);
                after(Op::Store, None, Self::number(value));
            }

            update!(swap, $value, |seen, value| value);
            exchange!(compare_exchange, $value);
            exchange!(compare_exchange_weak, $value);
        }

        impl$(<$generic>)? fmt::Debug for $name$(<$generic>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// The operations that change bits.
macro_rules! bits {
    ($name:ident, $value:ty) => {
        impl $name {
            update!(fetch_or, $value, |seen, value| seen | value);
            update!(fetch_and, $value, |seen, value| seen & value);
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }
    };
}

/// The operations that count.
macro_rules! counts {
    ($name:ident, $value:ty) => {
        bits!($name, $value);

        impl $name {
            update!(fetch_add, $value, |seen, value| seen.wrapping_add(value));
            update!(fetch_sub, $value, |seen, value| seen.wrapping_sub(value));
        }
    };
}

atomic!(
    /// A `bool`.
    AtomicBool, bool, [], u64::from
);
atomic!(
    /// A `u32`.
    AtomicU32, u32, [], u64::from
);
atomic!(
    /// A `u64`.
    AtomicU64, u64, [], |value| value
);
atomic!(
    /// A `usize`.
    AtomicUsize, usize, [], |value| value as u64
);
atomic!(
    /// A pointer.
    AtomicPtr, *mut T, [T], |value: *mut T| value.addr() as u64
);
bits!(AtomicBool, bool);
counts!(AtomicU32, u32);
counts!(AtomicU64, u64);
counts!(AtomicUsize, usize);

/// A cell whose accesses the checker sees.
///
/// Under loom this is loom's own cell, which reports two accesses that are not ordered by the program; the last step
/// of the record is then the second of the two. Under shuttle it is the plain one, and an access is no step.
#[derive(Debug, Default)]
pub struct UnsafeCell<T>(Inner<T>);

#[cfg(loom)]
type Inner<T> = loom::cell::UnsafeCell<T>;
#[cfg(shuttle)]
type Inner<T> = std::cell::UnsafeCell<T>;

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Calls `f` with a pointer for reading. Dereferencing it is the caller's promise that nobody writes.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        #[cfg(loom)]
        return {
            self.accessed(Op::Read);
            self.0.with(f)
        };
        #[cfg(shuttle)]
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing. Dereferencing it is the caller's promise of exclusive access.
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(loom)]
        return {
            self.accessed(Op::Write);
            self.0.with_mut(f)
        };
        #[cfg(shuttle)]
        f(self.0.get())
    }

    /// Written down before the access, which may be the one that fails. No switch is possible here.
    #[cfg(loom)]
    #[track_caller]
    fn accessed(&self, op: Op) {
        before(op, std::ptr::from_ref(self).addr(), 0, 0);
        after(op, None, 0);
    }
}
