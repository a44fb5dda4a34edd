//! Threads that ThreadSanitizer sees the end of. For `--cfg tsan` alone.
//!
//! Whoever comes last, the thread or the one that drops its handle, frees what `std` keeps of it. Without an instrumented
//! `std` the sanitizer sees no order between the two, and would report a race. So a handle that is dropped keeps that
//! for ever here; one that is joined does not. Not for production: it leaks.

use std::io;
use std::mem::ManuallyDrop;

/// A thread that can be joined.
pub struct JoinHandle<T>(ManuallyDrop<std::thread::JoinHandle<T>>);

impl<T> JoinHandle<T> {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it panicked.
    pub fn join(self) -> std::thread::Result<T> {
        ManuallyDrop::into_inner(self.0).join()
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinHandle")
    }
}

/// What a thread begins with.
#[derive(Debug)]
pub struct Builder(std::thread::Builder);

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// Nothing that is not usual.
    pub fn new() -> Self {
        Self(std::thread::Builder::new())
    }

    /// Its name.
    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn spawn<T: Send + 'static>(self, body: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
        Ok(JoinHandle(ManuallyDrop::new(self.0.spawn(body)?)))
    }
}

/// Starts a thread.
///
/// # Panics
///
/// When the kernel refuses.
pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(body).expect("threads")
}
