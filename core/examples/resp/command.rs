//! The table of commands, and those that are not about keys.
//!
//! Not here: the commands that are (`data`).

use crate::data;
use crate::parse::parse_integer;
use crate::reply::Reply;
use crate::store::{CommandError, Store};

/// What a connection does after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Command,
    Close,
}

pub type Outcome = Result<(), CommandError>;

/// The arguments, beginning with the command's name.
pub type Args<'a> = &'a [&'a [u8]];

struct Command {
    name: &'static str,
    /// How many arguments, with the name; negative for at least so many. As `COMMAND` tells it.
    arity: i64,
    run: fn(&mut Store, Args<'_>, &Reply<'_, '_>) -> Outcome,
}

static COMMANDS: &[Command] = &[
    Command { name: "get", arity: 2, run: data::get },
    Command { name: "set", arity: -3, run: data::set },
    Command { name: "mget", arity: -2, run: data::mget },
    Command { name: "mset", arity: -3, run: data::mset },
    Command { name: "incr", arity: 2, run: data::incr },
    Command { name: "ping", arity: -1, run: ping },
    Command { name: "echo", arity: 2, run: echo },
    Command { name: "del", arity: -2, run: data::del },
    Command { name: "exists", arity: -2, run: data::exists },
    Command { name: "type", arity: 2, run: data::kind },
    Command { name: "lpush", arity: -3, run: data::lpush },
    Command { name: "rpush", arity: -3, run: data::rpush },
    Command { name: "lpop", arity: -2, run: data::lpop },
    Command { name: "rpop", arity: -2, run: data::rpop },
    Command { name: "llen", arity: 2, run: data::llen },
    Command { name: "lrange", arity: 4, run: data::lrange },
    Command { name: "sadd", arity: -3, run: data::sadd },
    Command { name: "spop", arity: -2, run: data::spop },
    Command { name: "scard", arity: 2, run: data::scard },
    Command { name: "hset", arity: -4, run: data::hset },
    Command { name: "hget", arity: 3, run: data::hget },
    Command { name: "hgetall", arity: 2, run: data::hgetall },
    Command { name: "zadd", arity: -4, run: data::zadd },
    Command { name: "zpopmin", arity: -2, run: data::zpopmin },
    Command { name: "zcard", arity: 2, run: data::zcard },
    Command { name: "dbsize", arity: 1, run: dbsize },
    Command { name: "flushall", arity: -1, run: flush_all },
    Command { name: "select", arity: 2, run: select },
    Command { name: "config", arity: -2, run: config },
    Command { name: "command", arity: -1, run: command },
    Command { name: "quit", arity: -1, run: quit },
];

/// Executes one command, and writes its reply. No arguments are no command, and nothing is written.
pub fn execute(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Next {
    let Some(name) = args.first() else { return Next::Command };
    match run(store, name, args, reply) {
        Ok(next) => next,
        Err(error) => {
            reply.error(&error);
            Next::Command
        }
    }
}

fn run(store: &mut Store, name: &[u8], args: Args<'_>, reply: &Reply<'_, '_>) -> Result<Next, CommandError> {
    let command = COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name));
    let command = command.ok_or_else(|| {
        let shown = &name[..name.len().min(128)];
        CommandError::Unknown(String::from_utf8_lossy(shown).into_owned())
    })?;
    let count = args.len() as i64;
    if count != command.arity && (command.arity > 0 || count < -command.arity) {
        return Err(CommandError::Arity(command.name));
    }
    (command.run)(store, args, reply)?;
    Ok(if command.name == "quit" { Next::Close } else { Next::Command })
}

pub fn integer(bytes: &[u8]) -> Result<i64, CommandError> {
    parse_integer(bytes).ok_or(CommandError::NotInteger)
}

pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn ping(_: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    match args {
        [_] => reply.status("PONG"),
        [_, text] => reply.bulk(text),
        _ => return Err(CommandError::Arity("ping")),
    }
    Ok(())
}

fn echo(_: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    reply.bulk(args[1]);
    Ok(())
}

fn quit(_: &mut Store, _: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    reply.ok();
    Ok(())
}

fn dbsize(store: &mut Store, _: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    reply.count(store.len());
    Ok(())
}

fn flush_all(store: &mut Store, _: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    store.clear();
    reply.ok();
    Ok(())
}

/// There is one database, and it is the first.
fn select(_: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    if integer(args[1])? != 0 {
        return Err(CommandError::NoSuchDatabase);
    }
    reply.ok();
    Ok(())
}

/// `CONFIG GET`: what `redis-benchmark` asks for. Nothing is saved here.
fn config(_: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    if !is(args[1], "GET") || args.len() < 3 {
        return Err(CommandError::Syntax);
    }
    let asked = |name: &str| args[2..].iter().any(|pattern| *pattern == b"*" || is(pattern, name));
    let settings = [("save", ""), ("appendonly", "no")];
    let told: Vec<_> = settings.iter().filter(|(name, _)| asked(name)).collect();
    reply.array(2 * told.len());
    for (name, value) in told {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// `COMMAND`, `COMMAND COUNT`, and `COMMAND DOCS`, which `redis-cli` asks for at its start.
fn command(_: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    match args {
        [_] => {
            reply.array(COMMANDS.len());
            COMMANDS.iter().for_each(|command| describe(command, reply));
        }
        [_, asked] if is(asked, "COUNT") => reply.count(COMMANDS.len()),
        [_, asked, ..] if is(asked, "DOCS") => reply.array(0),
        _ => return Err(CommandError::Syntax),
    }
    Ok(())
}

/// Name, arity, flags, and the places of the first key, the last key, and the step between keys.
fn describe(command: &Command, reply: &Reply<'_, '_>) {
    reply.array(6);
    reply.bulk(command.name.as_bytes());
    reply.integer(command.arity);
    reply.array(0);
    (0..3).for_each(|_| reply.integer(0));
}
