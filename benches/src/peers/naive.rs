//! What a literal port of the published library does: a thread that polls and reads, and workers that handle.
//!
//! Each event costs a hand-over to another thread, and the handler's thread writes. The workers of the port look for
//! work for a while before they sleep, as its channel has it. With a queue that lets them sleep at once, the same is what a
//! hand-over costs at least: nothing is here but the calls and the switch of threads.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::Options;

const LISTENER: u64 = u64::MAX;
const WORKERS: usize = 2;

/// What a worker is given: the connection, and what was read from it.
type Job = (Arc<TcpStream>, Vec<u8>);

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    // A connection has one worker, or its answers could overtake each other.
    let workers = [(); WORKERS].map(|()| {
        let (jobs, inbox) = crossbeam_channel::unbounded::<Job>();
        std::thread::spawn(move || inbox.iter().for_each(|(stream, bytes)| answer(&stream, &bytes)));
        jobs
    });
    poll(address, options, |fd, job| Ok(workers[fd as usize % WORKERS].send(job)?))
}

/// The same, with workers that sleep as soon as there is nothing to do.
pub(super) fn serve_sleeping(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    let workers = [(); WORKERS].map(|()| {
        let queue = Arc::<Queue>::default();
        let own = queue.clone();
        std::thread::spawn(move || {
            loop {
                let (stream, bytes) = own.pop();
                answer(&stream, &bytes);
            }
        });
        queue
    });
    poll(address, options, |fd, job| {
        workers[fd as usize % WORKERS].push(job);
        Ok(())
    })
}

/// The jobs of one worker.
#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    changed: Condvar,
}

impl Queue {
    fn push(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        self.changed.notify_one();
    }

    fn pop(&self) -> Job {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match jobs.pop_front() {
                Some(job) => return job,
                None => jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Polls and reads, and hands what was read over.
fn poll(
    address: SocketAddr,
    options: Options,
    hand_over: impl Fn(RawFd, Job) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    super::announce(listener.local_addr()?)?;
    let mut buffer = vec![0; options.buffer];
    let mut events = vec![EpollEvent::empty(); 256];
    let mut streams: HashMap<RawFd, Arc<TcpStream>> = HashMap::new();
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let fd = stream.as_raw_fd();
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, fd as u64))?;
                streams.insert(fd, Arc::new(stream));
                continue;
            }
            let fd = event.data() as RawFd;
            let Some(stream) = streams.get(&fd) else { continue };
            match (&**stream).read(&mut buffer) {
                Ok(count @ 1..) => hand_over(fd, (stream.clone(), buffer[..count].to_vec()))?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => {
                    epoll.delete(stream)?;
                    streams.remove(&fd);
                }
            }
        }
    }
}

fn answer(mut stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => return,
        }
    }
}
