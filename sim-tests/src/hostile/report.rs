//! What was executed where: a table with a row for each operation, and a column for each place.
//!
//! A cell names the kinds of threads on which the operation was executed at that place: `p` for a polling thread, `r`
//! for one of a pool or another runner, `f` for any other. A dot is a thread on which it was not, a dash a place where
//! it cannot be.

use comfy_table::{Table, presets};

use super::program::Place;
use super::table::{TABLE, What, entry, possible};
use super::world::{Executed, On};

const KINDS: [(On, char); 3] = [(On::Poller, 'p'), (On::Runner, 'r'), (On::Foreign, 'f')];

/// Whether code at `place` can run on a thread of that kind.
fn reachable(place: Place, on: On) -> bool {
    place != Place::Foreign || on == On::Foreign
}

/// How many cells there are, and how many of them were executed.
pub fn covered(executed: &Executed) -> (usize, usize) {
    let mut all = (0, 0);
    for entry in TABLE {
        for &place in Place::ALL.iter().filter(|place| possible(entry.what, **place)) {
            for on in KINDS.iter().filter(|kind| reachable(place, kind.0)).map(|kind| kind.0) {
                all.0 += 1;
                all.1 += usize::from(executed.contains_key(&(entry.what, place, on)));
            }
        }
    }
    all
}

/// The table.
pub fn table(executed: &Executed, markdown: bool) -> Table {
    let mut table = Table::new();
    table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_header(std::iter::once("operation").chain(Place::ALL.iter().map(|place| place.name())));
    for entry in TABLE {
        let mut row = vec![entry.name.to_owned()];
        for &place in Place::ALL {
            let cell = |&(on, letter): &(On, char)| match executed.contains_key(&(entry.what, place, on)) {
                _ if !reachable(place, on) => None,
                true => Some(letter),
                false => Some('.'),
            };
            row.push(if possible(entry.what, place) {
                KINDS.iter().filter_map(cell).collect()
            } else {
                "-".to_owned()
            });
        }
        table.add_row(row);
    }
    table
}

/// What was executed where, on which kind of thread.
type Cell = (What, Place, On);

/// A cell as a line.
pub fn write_cell((what, place, on): Cell) -> String {
    let letter = KINDS.iter().find(|kind| kind.0 == on).map_or('f', |kind| kind.1);
    format!("{} {} {letter}", entry(what).name, place.name())
}

/// The cell of a line.
pub fn read_cell(line: &str) -> Option<Cell> {
    let mut words = line.split(' ');
    let (what, place, on) = (words.next()?, words.next()?, words.next()?);
    let what = TABLE.iter().find(|entry| entry.name == what)?.what;
    let place = *Place::ALL.iter().find(|known| known.name() == place)?;
    Some((what, place, KINDS.iter().find(|kind| on.starts_with(kind.1))?.0))
}
