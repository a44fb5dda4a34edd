//! What must not compile: a right to a section, or to the memory of a handler, that is carried off. (U7)
//!
//! Each of these is a documentation test, and there is nothing else here.

/// Two readers cannot be swapped: with a reader goes the section that it reads in.
///
/// SPEC: U7
///
/// ```compile_fail,E0277
/// # fn f(io: &mut pollproof::Io<'_>, conn: &pollproof::Connection) -> pollproof::Result<()> {
/// let mut other = conn.reader()?;
/// std::mem::swap(io.reader(), &mut *other);
/// # Ok(()) }
/// ```
///
/// Nor can those of two guards, of two handlers, or of one split `Io` and another.
///
/// ```compile_fail,E0277
/// # fn f(one: &pollproof::Connection, two: &pollproof::Connection) -> pollproof::Result<()> {
/// let (mut one, mut two) = (one.reader()?, two.reader()?);
/// std::mem::swap(&mut *one, &mut *two);
/// # Ok(()) }
/// ```
///
/// ```compile_fail,E0277
/// # fn f<'a>(one: &mut pollproof::Io<'a>, two: &mut pollproof::Io<'a>) {
/// std::mem::swap(one.reader(), two.split().0);
/// # }
/// ```
struct Swapped;

/// A reader cannot be moved out of its place, nor be copied.
///
/// ```compile_fail,E0277
/// # fn f(io: &mut pollproof::Io<'_>) {
/// let mine = *io.reader();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn f(guard: &pollproof::ConnectionReader<'_>) {
/// let mine: pollproof::ConnectionReader<'_> = guard.to_owned().clone().into_inner();
/// # }
/// ```
struct Moved;

/// None of them goes to another thread: a section is given back where it was taken.
///
/// ```compile_fail,E0277
/// # fn f(conn: &'static pollproof::Connection) -> pollproof::Result<()> {
/// let guard = conn.reader()?;
/// std::thread::spawn(move || drop(guard));
/// # Ok(()) }
/// ```
///
/// ```compile_fail,E0277
/// # fn f(io: &mut pollproof::Io<'_>) {
/// std::thread::scope(|scope| {
///     scope.spawn(|| io.write(b"from another thread"));
/// });
/// # }
/// ```
///
/// ```compile_fail,E0277
/// # fn f(io: &mut pollproof::Io<'_>) {
/// let writer = io.writer();
/// std::thread::scope(|scope| {
///     scope.spawn(|| writer.write(b"from another thread"));
/// });
/// # }
/// ```
struct Sent;

/// None of them is kept longer than the call that it was given to.
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// let handler = |io: &mut pollproof::Io<'_>| kept = Some(io.writer());
/// ```
///
/// ```compile_fail,E0505
/// # fn f(conn: pollproof::Connection) -> pollproof::Result<()> {
/// let guard = conn.reader()?;
/// drop(conn);
/// drop(guard);
/// # Ok(()) }
/// ```
struct Kept;

/// A task is run once, and is not copied.
///
/// ```compile_fail,E0382
/// # fn f(task: pollproof::Task) {
/// task.run();
/// task.run();
/// # }
/// ```
///
/// ```compile_fail,E0507
/// # fn f(task: &pollproof::Task) {
/// task.clone().run();
/// # }
/// ```
struct Twice;
