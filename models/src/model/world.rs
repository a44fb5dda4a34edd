//! The peer, the kernel, and the pollers that ask it for ever.

use super::op::Op;
use super::step::Machine;

impl Machine<'_> {
    pub fn world(&mut self, op: Op) -> bool {
        match op {
            Op::Poll => self.poll(true),
            Op::PollOnce => self.poll(false),
            Op::PeerSends => self.s.kernel.inbox += 1,
            Op::PeerStops => self.s.kernel.eof = true,
            Op::PeerIsGone => self.s.kernel.gone = true,
            Op::PeerTakes { bytes } => self.s.kernel.room += bytes,
            _ => return false,
        }
        true
    }

    fn poll(&mut self, again: bool) {
        if again {
            self.then(Op::Poll);
        }
        if self.s.data.passed_on > 0 {
            self.s.data.passed_on -= 1;
            return self.then(Op::LookAndRun);
        }
        let Some(event) = self.s.kernel.event() else { return };
        if self.s.kernel.mask.2 {
            self.s.kernel.reported = Some(self.s.kernel.edge());
        }
        if event.readable {
            self.then(Op::BeginRead { hup: event.hup });
        }
        if event.writable {
            self.then(Op::Unpark);
        }
    }
}
