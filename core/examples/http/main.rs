//! An HTTP/1.1 server: `/` says hello, `/echo` sends the request's body back.
//!
//! `http ADDRESS [POLLERS]`, as `common` has it. Keep-alive and pipelining, HEAD, bodies with `Content-Length` and
//! chunked ones, `Expect: 100-continue`, HTTP/1.0.
//!
//! No call waits: what a connection is in the middle of is its [`State`], and each call goes on from there with
//! the bytes that have come. A body passes through piece by piece, so its size does not matter. A client that
//! sends without reading its echo is not read from either, once enough is queued for it.

#![cfg_attr(not(any(loom, shuttle)), allow(clippy::disallowed_types, reason = "nothing here is explored"))]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    println!("{}", common::start(http::Http)?.end()?);
    Ok(())
}

#[cfg(not(any(loom, shuttle)))]
mod body;
#[cfg(not(any(loom, shuttle)))]
#[path = "../common/mod.rs"]
mod common;
#[cfg(not(any(loom, shuttle)))]
mod head;
#[cfg(not(any(loom, shuttle)))]
mod reply;

#[cfg(not(any(loom, shuttle)))]
mod http {
    use pollproof::{BoxError, Handler, Io};

    use crate::body::Decoder;
    use crate::head::{self, Head, Parsed, Refusal};
    use crate::reply::{self, Echo, Page};

    pub(crate) struct Http;

    /// What a connection is in the middle of.
    #[derive(Default)]
    pub(crate) enum State {
        /// Between two requests, or within the head of one.
        #[default]
        Head,
        /// Within the body of a request.
        Body { decoder: Decoder, use_of: Use, keep_alive: bool },
        /// The last answer is written; whatever comes is not read as requests.
        Over,
    }

    /// What a body is for.
    pub(crate) enum Use {
        Echo(Echo),
        /// Its request is answered already.
        Nothing,
    }

    impl Handler for Http {
        type Context = ();
        type State = State;

        fn on_connect(&self, _: &mut State, _: &mut Io<'_>) -> Result<(), BoxError> {
            Ok(())
        }

        fn on_request(&self, (): &(), state: &mut State, io: &mut Io<'_>) -> Result<(), BoxError> {
            // The state changes at least once more after the last byte: a body may be empty.
            while let Some(next) = step(state, io)? {
                *state = next;
            }
            Ok(())
        }
    }

    /// Goes on as far as to the next state; to none when more bytes are needed.
    fn step(state: &mut State, io: &mut Io<'_>) -> std::io::Result<Option<State>> {
        match state {
            State::Head => {
                let parsed = head::parse(io.data(), io.is_last());
                match parsed {
                    Ok(Parsed::Nothing { blank }) => {
                        io.consume(blank);
                        Ok(None)
                    }
                    Ok(Parsed::Part) => Ok(None),
                    Ok(Parsed::Head(head, length)) => {
                        // The head borrows what is consumed here: it is answered by what was made of it.
                        let answer = Answer::to(&head);
                        io.consume(length);
                        answer.begin(io).map(Some)
                    }
                    Err(refusal) => refuse(io, refusal).map(Some),
                }
            }
            State::Body { decoder, use_of, keep_alive } => {
                while !decoder.is_done() {
                    match decoder.next(io.data()) {
                        Ok(Some(piece)) => {
                            if let Use::Echo(echo) = use_of {
                                echo.piece(io, piece.data)?;
                            }
                            io.consume(piece.length);
                        }
                        Ok(None) => return Ok(None),
                        Err(refusal) => match use_of {
                            Use::Echo(echo) if !echo.has_begun() => return refuse(io, refusal).map(Some),
                            // Too late to say so: an answer that ends too early says it.
                            _ => return Ok(Some(over(io))),
                        },
                    }
                }
                if let Use::Echo(echo) = use_of {
                    echo.end(io)?;
                }
                Ok(Some(if *keep_alive { State::Head } else { over(io) }))
            }
            State::Over => {
                io.consume(io.data().len());
                Ok(None)
            }
        }
    }

    /// What is due for one request.
    struct Answer {
        page: Option<Page>,
        echo: Option<Echo>,
        without_body: bool,
        decoder: Decoder,
        expects_continue: bool,
        keep_alive: bool,
        version: u8,
    }

    impl Answer {
        fn to(head: &Head<'_>) -> Self {
            let is_head = head.method == "HEAD";
            let (page, echo) = match head.path {
                "/" if is_head || head.method == "GET" => (Some(Page::Hello), None),
                "/" => (Some(Page::NotAllowed), None),
                "/echo" if is_head => (Some(Page::Empty), None),
                "/echo" => (None, Some(Echo::new(head))),
                _ => (Some(Page::NotFound), None),
            };
            let unwanted = head.expects_continue && page.is_some();
            Self {
                page,
                echo,
                without_body: is_head,
                decoder: Decoder::new(head.length),
                expects_continue: head.expects_continue,
                // A client that was not told to go on may or may not send its body: only an end is clear.
                keep_alive: head.keep_alive && !unwanted,
                version: head.version,
            }
        }

        /// Writes what does not depend on the body. Returns the state in which the body is read.
        fn begin(self, io: &mut Io<'_>) -> std::io::Result<State> {
            let Self { page, echo, decoder, keep_alive, .. } = self;
            if let Some(page) = page {
                reply::page(io, page, self.version, keep_alive, self.without_body)?;
                if self.expects_continue {
                    return Ok(over(io));
                }
            } else if self.expects_continue && io.data().is_empty() {
                io.write(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let use_of = echo.map_or(Use::Nothing, Use::Echo);
            Ok(State::Body { decoder, use_of, keep_alive })
        }
    }

    fn refuse(io: &mut Io<'_>, refusal: Refusal) -> std::io::Result<State> {
        reply::page(io, Page::Refused(refusal), 1, false, false)?;
        Ok(over(io))
    }

    /// Ends the connection, once everything that was written is sent.
    fn over(io: &mut Io<'_>) -> State {
        io.connection().shutdown();
        State::Over
    }
}
