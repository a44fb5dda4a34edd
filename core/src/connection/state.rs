//! What is behind a connection: every cell, and the bit that guards it.
//!
//! Not here: what users call (`Connection`), and who may change which bit (`protocol`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use super::cold_parts::ColdParts;
use super::lazy_trigger::LazyTrigger;
use super::service::Service;
use super::shared::{Place, Shared};
use super::{CloseCallback, Connection, Disconnect, Request};
use crate::addr::Addr;
use crate::buffer::input::Input;
use crate::buffer::output::Output;
use crate::protocol::close_list::CloseList;
use crate::protocol::slot::{SharedSlot, Slot};
use crate::protocol::transitions::Word;
use crate::reactor::poller::Poller;
use crate::reactor::registry::Token;
use crate::sync::Arc;
use crate::sync::atomic::AtomicBool;
use crate::sync::bit_cell::{Exclusive, Held};
use crate::sys::{Interest, Kernel, Sys};

/// What is behind a [`Connection`].
///
/// There are as many of these as connections, most of them idle: what is needed only now and then is behind a
/// pointer. The word has no cache line of its own: whoever changes it uses what is beside it as well.
pub(crate) struct Conn {
    pub(crate) word: Word,
    /// Used under `TASK` or a hold; taken by `finish`.
    pub(crate) fd: Held<Option<<Kernel as Sys>::Fd>>,
    pub(crate) token: Token,
    pub(crate) place: Place,
    pub(crate) server: Arc<Shared>,
    pub(crate) service: Box<dyn Service>,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// epoll's mask in force. Under `MOD`.
    pub(crate) mask: Held<Interest>,
    pub(crate) close_list: CloseList<CloseCallback>,
    /// The service has an OnConnect or OnRequest.
    pub(crate) serves: bool,
    /// An OnRequest that replaces the service's, on its way to the owner. (R1)
    pub(crate) slot: Slot<Request>,
    /// The one that is installed; under `TASK`.
    pub(crate) request: Held<Exclusive<Option<Request>>>,
    /// An OnDisconnect that replaces the service's. (R3)
    pub(crate) disconnect: SharedSlot<Disconnect>,
    /// The output that its handler waits for, if it is not its own. Under `TASK`. (O6)
    pub(crate) paced_by: Held<Option<Connection>>,
    /// The end of its peer's stream does not end it. Under `TASK`. (E4)
    pub(crate) keeps_open: Held<bool>,
    /// What few ever need.
    pub(crate) cold: ColdParts,
    /// Its user has ended the output.
    pub(crate) ended: AtomicBool,
    /// A read or write failed.
    pub(crate) broken: AtomicBool,
    /// Somebody reads outside handlers.
    pub(crate) reader: AtomicBool,
    pub(crate) read_trigger: LazyTrigger,
    pub(crate) write_trigger: LazyTrigger,
    /// As accept found it, or as it was dialed.
    pub(crate) peer: Addr,
}

impl Conn {
    /// Of a connection that is born owned. (S2)
    pub(crate) fn new(
        server: Arc<Shared>,
        place: Place,
        token: Token,
        fd: <Kernel as Sys>::Fd,
        peer: Addr,
        service: Box<dyn Service>,
    ) -> Self {
        let serves = service.has_handler();
        Self {
            word: Word::new(serves),
            fd: Held::new(Some(fd)),
            token,
            place,
            server,
            service,
            input: Input::new(),
            output: Output::new(),
            mask: Held::new(Interest::READABLE),
            close_list: CloseList::new(),
            serves,
            slot: Slot::default(),
            request: Held::new(Exclusive::new(None)),
            disconnect: SharedSlot::default(),
            paced_by: Held::new(None),
            keeps_open: Held::new(false),
            cold: ColdParts::new(),
            ended: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            reader: AtomicBool::new(false),
            read_trigger: LazyTrigger::default(),
            write_trigger: LazyTrigger::default(),
            peer,
        }
    }

    #[inline]
    pub(crate) fn poller(&self) -> &Poller<Shared> {
        &self.server.pollers[self.place.home()]
    }
}
