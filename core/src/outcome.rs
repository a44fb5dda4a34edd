//! What a callback may return.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

/// What a callback may fail with: any error. Its connection is closed, and the error is told to
/// [`Builder::on_error`](crate::Builder::on_error).
///
/// ```
/// fn on_request(io: &mut pollproof::Io<'_>) -> Result<(), pollproof::BoxError> {
///     let text = std::str::from_utf8(io.data())?;
///     Err(format!("nobody understands {text}").into())
/// }
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a closure may return: nothing, or a result whose error closes the connection.
///
/// ```
/// let server = pollproof::Server::builder()
///     .on_request(|io: &mut pollproof::Io<'_>| -> Result<(), std::num::ParseIntError> {
///         let text = String::from_utf8_lossy(io.data()).into_owned();
///         io.consume(text.len());
///         let number: u64 = text.trim().parse()?;
///         io.write(format!("{}\n", number + 1).as_bytes());
///         Ok(())
///     })
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub trait Outcome {
    /// As a result.
    ///
    /// # Errors
    ///
    /// What the callback failed with.
    fn outcome(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    #[inline(always)]
    fn outcome(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    #[inline(always)]
    fn outcome(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}
