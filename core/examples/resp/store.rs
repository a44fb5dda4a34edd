//! The keys and their values. One thread at a time; no I/O.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, VecDeque};

use indexmap::IndexSet;

/// What a command may fail with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("ERR unknown command '{0}'")]
    Unknown(String),
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR value is not a valid float")]
    NotFloat,
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    #[error("ERR DB index is out of range")]
    NoSuchDatabase,
    #[error("ERR syntax error")]
    Syntax,
}

pub type Text = Vec<u8>;
pub type List = VecDeque<Text>;
/// In an order of their own, so that one can be picked at random.
pub type Set = IndexSet<Text>;
pub type Hash = HashMap<Text, Text>;

/// Members with scores, by score.
#[derive(Default)]
pub struct Sorted {
    scores: HashMap<Text, f64>,
    order: BTreeSet<(Score, Text)>,
}

/// A number that is not NaN, in its order.
#[derive(Clone, Copy, PartialEq)]
pub struct Score(pub f64);

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Sorted {
    /// Whether the member is a new one.
    pub fn add(&mut self, member: &[u8], score: f64) -> bool {
        // Zero has two signs; they are the same score.
        let score = score + 0.0;
        let old = self.scores.insert(member.to_vec(), score);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.to_vec()));
        }
        self.order.insert((Score(score), member.to_vec()));
        old.is_none()
    }

    pub fn pop_min(&mut self) -> Option<(f64, Text)> {
        let (Score(score), member) = self.order.pop_first()?;
        self.scores.remove(&member);
        Some((score, member))
    }

    pub fn len(&self) -> usize {
        self.scores.len()
    }
}

pub enum Value {
    Text(Text),
    List(List),
    Set(Set),
    Hash(Hash),
    Sorted(Sorted),
}

/// One kind of value: the type that it is kept in.
pub trait Kind: Default {
    fn wrap(self) -> Value;
    fn of(value: &mut Value) -> Option<&mut Self>;
    /// Whether a key with this value is as good as none.
    fn is_gone(&self) -> bool;
}

macro_rules! kind {
    ($($kind:ident, $gone:expr;)*) => {
        $(impl Kind for $kind {
            fn wrap(self) -> Value {
                Value::$kind(self)
            }
            fn of(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$kind(value) => Some(value),
                    _ => None,
                }
            }
            fn is_gone(&self) -> bool {
                let gone: fn(&Self) -> bool = $gone;
                gone(self)
            }
        })*
    };
}

kind! {
    Text, |_| false;
    List, |list| list.is_empty();
    Set, |set| set.is_empty();
    Hash, |hash| hash.is_empty();
    Sorted, |sorted| sorted.len() == 0;
}

#[derive(Default)]
pub struct Store {
    keys: HashMap<Text, Value>,
}

impl Store {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn clear(&mut self) {
        self.keys.clear();
    }

    pub fn any(&self, key: &[u8]) -> Option<&Value> {
        self.keys.get(key)
    }

    /// Whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.keys.remove(key).is_some()
    }

    /// Sets a key, whatever it was.
    pub fn set(&mut self, key: &[u8], text: &[u8]) {
        match self.keys.get_mut(key) {
            Some(old) => *old = Value::Text(text.to_vec()),
            None => drop(self.keys.insert(key.to_vec(), Value::Text(text.to_vec()))),
        }
    }

    /// The value of this kind, if the key has one.
    pub fn get<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, CommandError> {
        match self.keys.get_mut(key) {
            None => Ok(None),
            Some(value) => K::of(value).map(Some).ok_or(CommandError::WrongType),
        }
    }

    /// The value of this kind, which is made if there is none.
    pub fn make<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, CommandError> {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_vec(), K::default().wrap());
        }
        self.get(key)?.ok_or(CommandError::WrongType)
    }

    /// Calls `take` with the value, if there is one, and removes the key if nothing is left.
    pub fn take<K: Kind, R>(&mut self, key: &[u8], take: impl FnOnce(&mut K) -> R) -> Result<Option<R>, CommandError> {
        let Some(value) = self.get::<K>(key)? else { return Ok(None) };
        let taken = take(value);
        if value.is_gone() {
            self.remove(key);
        }
        Ok(Some(taken))
    }
}
