//! A state graph as the player of a page reads it: short, and no larger than its share of the page.

use std::collections::BTreeMap;

use loom_tests::timeline::{Change, Kind, Row};
use serde_json::{Value, json};

use crate::graph::Graph;

/// The data of `graph`, and whether that is all of it: where it has more than `most` bytes, the part of it that is next
/// to the schedule.
pub fn within(graph: &Graph, most: usize) -> (String, bool) {
    let whole = encoded(graph);
    if whole.len() <= most {
        return (whole, graph.is_whole());
    }
    let (mut fits, mut does_not) = (1, graph.states.len());
    while fits + 1 < does_not {
        let middle = fits.midpoint(does_not);
        if encoded(&graph.around(middle)).len() <= most { fits = middle } else { does_not = middle }
    }
    (encoded(&graph.around(fits)), false)
}

#[derive(Default)]
struct Table {
    known: BTreeMap<String, usize>,
    values: Vec<Value>,
}

impl Table {
    fn put(&mut self, value: Value) -> usize {
        let next = self.values.len();
        let at = *self.known.entry(value.to_string()).or_insert(next);
        if at == next {
            self.values.push(value);
        }
        at
    }
}

/// See `play.js` for the format.
fn encoded(graph: &Graph) -> String {
    let (mut threads, mut strings, mut rows) = (Table::default(), Table::default(), Table::default());
    graph.threads.iter().for_each(|thread| {
        threads.put(json!(thread));
    });
    let mut states = Vec::new();
    for state in &graph.states {
        if let Some(failure) = &state.failure {
            states.push(json!({ "f": failure.clause.as_deref().unwrap_or_default(), "m": failure.message }));
            continue;
        }
        if state.open {
            states.push(json!({ "o": 1 }));
            continue;
        }
        let mut moves = Vec::new();
        for it in &state.moves {
            let step = it.step.as_ref().map_or(json!(-1), |step| json!(strings.put(json!(step))));
            let shown: Vec<usize> = it.rows.iter().map(|shown| row(shown, &mut strings, &mut rows)).collect();
            moves.push(json!([threads.put(json!(it.thread)), step, shown, it.to]));
        }
        states.push(Value::Array(moves));
    }
    let data = json!({ "t": threads.values, "s": strings.values, "r": rows.values, "n": states });
    // Nothing in a script element may look like its end.
    data.to_string().replace('<', "\\u003c")
}

fn row(row: &Row, strings: &mut Table, rows: &mut Table) -> usize {
    let note = row.kind == Kind::Note;
    let token = |text: &str, change, strings: &mut Table| {
        let change = match change {
            Change::Same => 0,
            Change::Added => 1,
            Change::Removed => 2,
        };
        3 * strings.put(json!(text)) + change
    };
    let shown = row.state.iter().filter(|_| !note);
    let tokens: Vec<usize> = shown.map(|it| token(&it.text, it.change, strings)).collect();
    let text = strings.put(json!(row.text));
    rows.put(json!([u8::from(note), text, tokens]))
}
