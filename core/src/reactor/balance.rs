//! Which poller a new connection lives on.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

/// How connections are spread over the polling threads; see [`Builder::balance`](crate::Builder::balance).
///
/// ```
/// # use pollproof::{Balance, Server};
/// # let handler = |_: &mut pollproof::Io<'_>| {};
/// let server = Server::builder()
///     .pollers(4)
///     .balance(Balance::LeastLoaded)
///     .on_request(handler)
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balance {
    /// The next one in turn.
    #[default]
    RoundRobin,
    /// Any, each as likely: clients that come in a rhythm do not all land on the same one.
    Random,
    /// The one with the fewest open connections: evens out when some live much longer than others.
    LeastLoaded,
}

impl Balance {
    /// The poller of connection number `id`, of `pollers`, where `open` says how many connections one has.
    pub(crate) fn pick(self, id: u64, pollers: usize, open: impl Fn(usize) -> u64) -> usize {
        match self {
            Balance::RoundRobin => (id % pollers as u64) as usize,
            Balance::Random => fastrand::usize(..pollers),
            Balance::LeastLoaded => (0..pollers).min_by_key(|index| open(*index)).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_picks_as_it_says() {
        let open = [3, 1, 2, 1];
        let picks = |balance: Balance| (0..8).map(|id| balance.pick(id, 4, |index| open[index])).collect::<Vec<_>>();
        assert_eq!(picks(Balance::RoundRobin), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(picks(Balance::LeastLoaded), [1; 8]);
        let mut counts = [0; 4];
        (0..4_000).for_each(|id| counts[Balance::Random.pick(id, 4, |_| 0)] += 1);
        // 1000 each is expected; 15 standard deviations off is a broken spread, not bad luck.
        assert!(counts.iter().all(|count| (600..1_400).contains(count)), "{counts:?}");
    }
}
