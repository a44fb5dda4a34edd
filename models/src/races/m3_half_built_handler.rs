//! M3, half-built-handler: a callback cell ported with Relaxed, whose reader finds the callback half built.

use loom_tests::recording::{self, Shown};
use loom_tests::{Shared, share};
use pollproof::protocol::slot::SharedSlot;
use pollproof::sync::UnsafeCell;
use pollproof::sync::atomic::AtomicU32;
use pollproof::sync::atomic::Ordering::Relaxed;

use crate::published::{Count, FLAG, NUMBER};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "M3",
    name: "half-built-handler",
    title: "a handler is called half built",
    story: "Callbacks and the context stand in atomic cells, which others read while the connection runs. Go's \
        atomic.Value publishes what it points to. Ported as a pointer that is stored and loaded with Relaxed, the \
        pointer travels alone: the poller reads the new pointer and, behind it, memory as it was before the handler \
        was built. In Rust that is a data race, which loom reports; with fields that are atomics themselves, one sees \
        the old value come out. Here a handler that several threads read is cloned under its lock.",
    seen: "at once under loom; on hardware that reorders stores or loads (ARM, POWER), and wherever a compiler does",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["R3", "H5"],
    sequential: false,
    variants: &[
        published(plain, data_race("R3", 0)).under_loom().named("published", "as ported, Relaxed"),
        published(fields, breaks("R3", 0)).under_loom().named("fields", "as ported, the handler's fields atomics too"),
        repaired(as_repaired),
    ],
    source: include_str!("m3_half_built_handler.rs"),
};

/// A handler, and the cell that points to it.
struct Plain {
    /// The handler's memory.
    handler: UnsafeCell<u32>,
    /// `onRequestCallback`: 0 points to nothing, 1 to `handler`.
    callback: AtomicU32,
}

// Safety: `handler` is what this race is about; it is accessed in ways that loom sees, and never dereferenced.
unsafe impl Sync for Plain {}
// Safety: nothing here belongs to a thread.
unsafe impl Send for Plain {}

fn plain(stage: &Stage) {
    let c = share(Plain { handler: UnsafeCell::new(0), callback: AtomicU32::new(0) });
    recording::name(&c.handler, "the handler", FLAG);
    recording::name(&c.callback, "callback", Shown::Values(&["none", "the handler"]));
    let (u, p) = (c.clone(), c.clone());
    let set_on_request = move || {
        u.handler.with_mut(|_| ());
        u.callback.store(1, Relaxed);
    };
    let input_ack = move || {
        if p.callback.load(Relaxed) == 1 {
            p.handler.with(|_| ());
        }
    };
    stage.race([role("U", set_on_request), role("P", input_ack)]);
}

/// The same, with a handler of one atomic field.
struct Fields {
    /// 0 until it is built.
    limit: AtomicU32,
    callback: AtomicU32,
    half_built: Count,
}

fn fields(stage: &Stage) {
    let c = share(Fields { limit: AtomicU32::new(0), callback: AtomicU32::new(0), half_built: Count::default() });
    recording::name(&c.limit, "handler.limit", NUMBER);
    recording::name(&c.callback, "callback", Shown::Values(&["none", "the handler"]));
    let (u, p) = (c.clone(), c.clone());
    let set_on_request = move || {
        recording::label("build");
        u.limit.store(64, Relaxed);
        recording::label("SetOnRequest");
        u.callback.store(1, Relaxed);
    };
    let input_ack = move || {
        if p.callback.load(Relaxed) == 1 && p.limit.load(Relaxed) != 64 {
            p.half_built.ran("it has no limit");
        }
    };
    stage.race([role("U", set_on_request), role("P", input_ack)]);
    promise("R3", c.half_built.times() == 0, "OnRequest was called with a handler that was half built");
}

/// A handler with memory that loom watches.
struct Handler(UnsafeCell<u32>);

// Safety: written before it is shared, read after; loom checks that.
unsafe impl Sync for Handler {}
// Safety: nothing here belongs to a thread.
unsafe impl Send for Handler {}

fn as_repaired(stage: &Stage) {
    let slot = share(SharedSlot::<Shared<Handler>>::default());
    recording::name(&*slot, "the slot", FLAG);
    let (u, p) = (slot.clone(), slot.clone());
    let set = move || {
        let handler = Handler(UnsafeCell::new(0));
        handler.0.with_mut(|_| ());
        recording::note("the handler is built");
        u.set(share(handler));
    };
    let call = move || {
        if let Some(handler) = p.get() {
            recording::note("the handler is called");
            handler.0.with(|_| ());
        }
    };
    stage.race([role("U", set), role("P", call)]);
    promise("R3", slot.get().is_some(), "the handler that was set is gone");
}
