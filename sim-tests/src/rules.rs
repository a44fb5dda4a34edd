//! What the callbacks of one connection do, and the rules that this must keep to.
//!
//! The rules are SPEC.md's, of one connection at a time: OnPrepare, then OnConnect at most once, then OnRequest, never
//! twice at once (S1, S2); OnDisconnect at most once, after OnConnect and before the close callbacks (H1, H4, H5); the
//! close callbacks once each, newest first, when nothing else runs (C2, C3); and an end for every connection (L1).
//! Not here: who writes down what happened (`stage`, `hostile`).

/// What a callback does or has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// OnPrepare.
    Prepare,
    /// OnConnect begins.
    Connect,
    /// OnConnect is over.
    Connected,
    /// OnRequest begins.
    Request,
    /// OnRequest is over.
    Requested,
    /// OnDisconnect begins.
    Disconnect,
    /// OnDisconnect is over.
    Disconnected,
    /// The close callback that was added second.
    CloseNewer,
    /// The close callback that was added first.
    CloseOlder,
}

/// Which rule the callbacks of one connection break.
pub fn broken_rule(steps: &[Step]) -> Option<&'static str> {
    use Step::*;
    let times = |step| steps.iter().filter(|done| **done == step).count();
    if steps.first() != Some(&Prepare) || [Prepare, Connect, Disconnect].iter().any(|step| times(*step) > 1) {
        return Some("once each, OnPrepare first (S2, H1)");
    }
    if !steps.ends_with(&[CloseNewer, CloseOlder]) || times(CloseNewer) + times(CloseOlder) != 2 {
        return Some("each close callback once, the newest first, at the end (C2, L1)");
    }
    let (mut connected, mut serial, mut parting) = (false, false, false);
    for step in steps {
        match step {
            Prepare => {}
            Connect | Request if serial => return Some("serial callbacks do not overlap (S1)"),
            Request | Disconnect if !connected => return Some("nothing before OnConnect is over (H5, S2)"),
            Connect | Request => serial = true,
            Connected => (connected, serial) = (true, false),
            Requested => serial = false,
            Disconnect => parting = true,
            Disconnected => parting = false,
            CloseNewer | CloseOlder if serial || parting => return Some("close callbacks come last (H4, S1)"),
            CloseNewer | CloseOlder => {}
        }
    }
    None
}
