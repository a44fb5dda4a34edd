//! What SPEC.md says of a history: a connection as plain fields, and each clause as a few lines on them.
//!
//! It knows neither the word nor a transition, and was written from the clauses, so that it can disagree. It says
//! what is true once a step is over and nothing is under way.
//!
//! Not here: pacing and limits (N6, O5, O6), streams that a user keeps open (E4), readers and flushers that wait.

use crate::history::{Act, Plan, SEGMENTS, Step};

/// A connection, as the specification sees it.
#[derive(Clone, Debug)]
pub struct Oracle {
    plan: Plan,
    /// The callbacks that ran, in order, as the rig names them.
    pub events: Vec<String>,
    /// OnConnect is over, or was skipped.
    connected: bool,
    /// OnConnect ran.
    ran_connect: bool,
    /// The fd is in epoll, or was.
    registered: bool,
    user: bool,
    eof: bool,
    peer: bool,
    shutdown: bool,
    detached: bool,
    /// The end is committed.
    pub over: bool,
    /// Which OnRequest is installed; 0 for none.
    handler: u32,
    /// Which waits to be installed.
    fresh: Option<u32>,
    sends: u64,
    read: u64,
    handled: u64,
    /// As much was there when a call consumed nothing.
    seen: u64,
    /// The latest call was told that nothing more will come.
    told: bool,
    flushed: u64,
    sent: u64,
    room: u64,
    no_more_output: bool,
    /// What is left of the output cannot be sent any more.
    lost: bool,
    accepted: Vec<u32>,
    /// Close callbacks in the order in which they ran.
    pub ran: Vec<u32>,
    rejected: u32,
    /// Handlers that were set in vain.
    given_back: usize,
}

/// What a call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing to say.
    None,
    /// A close: whether it was the first.
    Close(bool),
    /// A flush: whether it was taken.
    Flush(bool),
}

impl Oracle {
    /// A connection whose OnPrepare is over.
    pub fn new(plan: Plan) -> Self {
        let mut oracle = Self {
            plan,
            events: Vec::new(),
            connected: false,
            ran_connect: false,
            registered: false,
            user: false,
            eof: false,
            peer: false,
            shutdown: false,
            detached: false,
            over: false,
            handler: plan.handler.into(),
            fresh: None,
            sends: 0,
            read: 0,
            handled: 0,
            seen: 0,
            told: false,
            flushed: 0,
            sent: 0,
            room: plan.room,
            no_more_output: false,
            lost: false,
            accepted: (0..plan.callbacks).collect(),
            ran: Vec::new(),
            rejected: 0,
            given_back: 0,
        };
        oracle.act(plan.on_prepare);
        // H2: a user close before the ADD goes to the close list unregistered.
        oracle.registered = !oracle.user;
        oracle
    }

    /// Whether `step` can come next: a peer does not speak after it has said that it will not.
    pub fn allows(&self, step: Step) -> bool {
        match step {
            Step::Connect => !self.connected,
            Step::Data => self.sends < SEGMENTS && !self.eof && !self.peer,
            Step::Eof => !self.eof && !self.peer,
            Step::Hup => !self.peer,
            _ => true,
        }
    }

    /// What comes of `step`, the `at`-th.
    pub fn step(&mut self, at: usize, step: Step) -> Answer {
        let closing = self.closing();
        let mut answer = Answer::None;
        match step {
            Step::Connect => self.connect(),
            Step::Data => {
                self.sends += 1;
                // N3: whatever is sent before a close is read. S2: also before OnConnect.
                self.read += u64::from(self.polled());
            }
            // E1: OnDisconnect is due at once.
            Step::Eof if self.polled() => {
                self.eof = true;
                self.disconnect_of_first(closing);
            }
            Step::Hup if self.polled() => self.hup(),
            Step::Eof | Step::Hup => {}
            Step::Close => {
                // C1: the first close is the one that finds none.
                answer = Answer::Close(!closing);
                self.user = true;
            }
            Step::Detach => {
                // D3: it wins iff the end is not committed and nobody has asked before.
                self.detached |= !self.over;
                self.user = true;
            }
            Step::Shutdown => self.shutdown = true,
            // U4: accepted, or given back; and so is one that waits when the next is set.
            Step::SetHandler if self.over => self.given_back += 1,
            Step::SetHandler => self.given_back += usize::from(self.fresh.replace(2).is_some()),
            Step::Flush(bytes) => {
                // E2, E3: refused after the end of the output, else sent whole.
                let taken = !self.closed() && !self.no_more_output;
                self.flushed += if taken { bytes } else { 0 };
                answer = Answer::Flush(taken);
            }
            Step::PeerTakes(bytes) => self.room += bytes,
            // C3: accepted, or given back.
            Step::AddCallback if self.over => self.rejected += 1,
            Step::AddCallback => self.accepted.push(100 + at as u32),
        }
        self.send();
        self.section();
        answer
    }

    fn closing(&self) -> bool {
        self.user || self.eof || self.peer
    }

    fn closed(&self) -> bool {
        self.user || self.peer
    }

    /// Whether epoll still tells of the peer. (D1, L1)
    fn polled(&self) -> bool {
        self.registered && !self.closed()
    }

    fn act(&mut self, act: Act) {
        // P1, P2: a panic closes as a user close does.
        self.user |= act != Act::Nothing;
    }

    fn event(&mut self, name: &str) {
        self.events.push(name.to_owned());
    }

    fn connect(&mut self) {
        self.connected = true;
        if self.user {
            // H2: straight to the close list.
            return;
        }
        self.ran_connect = true;
        self.event("connect");
        self.act(self.plan.on_connect);
        if self.closing() {
            // H1: any close that came before OnConnect was over.
            self.disconnect();
        }
    }

    /// E2, C1.
    fn hup(&mut self) {
        if self.sent < self.flushed {
            // epoll reports a consumer that waits, too: it comes first, and finds its output lost. A connection that only
            // waited for that is over by then: G2, E3.
            self.lost = true;
            self.no_more_output = true;
            self.section();
        }
        if !self.over {
            let closing = self.closing();
            self.peer = true;
            self.disconnect_of_first(closing);
        }
    }

    fn disconnect_of_first(&mut self, closing: bool) {
        // H1: the first close is the peer's. H5: not before OnConnect is over.
        if !closing && self.connected {
            self.disconnect();
        }
    }

    fn disconnect(&mut self) {
        self.event("disconnect");
        self.act(self.plan.on_disconnect);
    }

    /// O2, O3: what was flushed is sent as far as the peer takes it; E2: unless the connection is closed.
    fn send(&mut self) {
        if !self.closed() && !self.lost {
            let count = self.room.min(self.flushed - self.sent);
            self.room -= count;
            self.sent += count;
        }
    }

    /// Everything that the owner of the section does, until nothing is left to do. (N2)
    fn section(&mut self) {
        if !self.connected || self.over {
            return;
        }
        loop {
            // R1: installed between two calls, and it has seen nothing yet.
            if let Some(handler) = self.fresh.take() {
                (self.handler, self.seen, self.told) = (handler, 0, false);
            }
            // S4: a user close stops the drain.
            if self.user || !self.due() {
                break;
            }
            self.request();
        }
        if self.ends() {
            self.end();
        }
    }

    /// N4, N5.
    fn due(&self) -> bool {
        let unread = self.read > self.handled;
        self.handler != 0 && unread && (self.read > self.seen || self.closing() && !self.told)
    }

    fn request(&mut self) {
        self.event(if self.handler == 1 { "request" } else { "request2" });
        self.told = self.closing();
        self.act(self.plan.on_request);
        if self.plan.on_request == Act::Panic {
            return;
        }
        let whole = (self.read - self.handled) / self.plan.packet * self.plan.packet;
        self.handled += whole;
        self.seen = if whole == 0 { self.read } else { 0 };
    }

    fn ends(&mut self) -> bool {
        let attended = self.handler != 0 || self.shutdown || self.user;
        let drained = self.lost || self.sent == self.flushed;
        if self.closing() && !attended {
            // C6: it waits for somebody.
            return false;
        }
        if self.closed() {
            return true;
        }
        if self.eof {
            // E3: drained; nothing begins any more, and it ends when what has begun is sent.
            self.no_more_output = true;
            return drained;
        }
        // G2: a graceful end waits until the connection is idle.
        let idle = self.shutdown && self.read == self.handled && drained;
        self.user |= idle;
        idle
    }

    /// C2, C4: newest first, each once; P3: a panic among them stops nothing.
    fn end(&mut self) {
        self.over = true;
        self.event("close");
        self.ran = self.accepted.drain(..).rev().collect();
    }

    /// The rest of the outcome, as the rig words it.
    pub fn outcome(&self) -> String {
        let mut outcome = format!("{} | read {} handled {}", self.events.join(" "), self.read, self.handled);
        if self.flushed > 0 {
            outcome += &format!(" sent {} of {}", self.sent, self.flushed);
        }
        // D1: one DEL for each ADD, when it is closed.
        outcome += &format!(" del {}", u32::from(self.registered && (self.over || self.peer)));
        if self.over && self.detached {
            outcome += " handed back";
        }
        if self.rejected > 0 {
            outcome += &format!(" rejected {}", self.rejected);
        }
        outcome + &" handler given back".repeat(self.given_back)
    }
}
