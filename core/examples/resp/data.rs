//! The commands that work on keys. Their arguments are as many as the table of commands says.

use crate::command::{Args, Outcome, integer, is};
use crate::reply::Reply;
use crate::store::{CommandError, Hash, List, Set, Sorted, Store, Text, Value};

/// The optional count of the commands that pop.
fn count(args: Args<'_>) -> Result<Option<usize>, CommandError> {
    match args {
        [_, _] => Ok(None),
        [_, _, count] => usize::try_from(integer(count)?).map(Some).map_err(|_| CommandError::NotPositive),
        _ => Err(CommandError::Syntax),
    }
}

pub fn get(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let text = store.get::<Text>(args[1])?;
    reply.option(text.map(|text| text.as_slice()));
    Ok(())
}

pub fn set(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let exists = store.any(args[1]).is_some();
    let wanted = match &args[3..] {
        [] => true,
        [option] if is(option, "NX") => !exists,
        [option] if is(option, "XX") => exists,
        _ => return Err(CommandError::Syntax),
    };
    if wanted {
        store.set(args[1], args[2]);
        reply.ok();
    } else {
        reply.null();
    }
    Ok(())
}

pub fn mget(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    reply.array(args.len() - 1);
    for key in &args[1..] {
        // What is no string is nothing here, and not an error.
        let text = store.get::<Text>(key).ok().flatten();
        reply.option(text.map(|text| text.as_slice()));
    }
    Ok(())
}

pub fn mset(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let (pairs, rest) = args[1..].as_chunks();
    if !rest.is_empty() {
        return Err(CommandError::Arity("mset"));
    }
    for [key, value] in pairs {
        store.set(key, value);
    }
    reply.ok();
    Ok(())
}

pub fn incr(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let old = store.get::<Text>(args[1])?.map_or(Ok(0), |text| integer(text))?;
    let new = old.checked_add(1).ok_or(CommandError::Overflow)?;
    store.set(args[1], new.to_string().as_bytes());
    reply.integer(new);
    Ok(())
}

pub fn del(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let removed = args[1..].iter().filter(|key| store.remove(key)).count();
    reply.count(removed);
    Ok(())
}

pub fn exists(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let existing = args[1..].iter().filter(|key| store.any(key).is_some()).count();
    reply.count(existing);
    Ok(())
}

pub fn kind(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let kind = match store.any(args[1]) {
        None => "none",
        Some(Value::Text(_)) => "string",
        Some(Value::List(_)) => "list",
        Some(Value::Set(_)) => "set",
        Some(Value::Hash(_)) => "hash",
        Some(Value::Sorted(_)) => "zset",
    };
    reply.status(kind);
    Ok(())
}

fn push(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>, push: fn(&mut List, Text)) -> Outcome {
    let list = store.make::<List>(args[1])?;
    args[2..].iter().for_each(|text| push(list, text.to_vec()));
    reply.count(list.len());
    Ok(())
}

fn pop(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>, pop: fn(&mut List) -> Option<Text>) -> Outcome {
    let wanted = count(args)?;
    let popped = store.take(args[1], |list: &mut List| {
        let most = wanted.unwrap_or(1).min(list.len());
        (0..most).filter_map(|_| pop(list)).collect::<Vec<_>>()
    })?;
    if wanted.is_some() && popped.is_none() {
        reply.null_array();
        return Ok(());
    }
    many_or_one(reply, wanted, popped)
}

pub fn lpush(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    push(store, args, reply, List::push_front)
}

pub fn rpush(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    push(store, args, reply, List::push_back)
}

pub fn lpop(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    pop(store, args, reply, List::pop_front)
}

pub fn rpop(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    pop(store, args, reply, List::pop_back)
}

/// The reply of the commands that pop: without a count one or null, with a count an array.
fn many_or_one(reply: &Reply<'_, '_>, wanted: Option<usize>, popped: Option<Vec<Text>>) -> Outcome {
    match (wanted, popped) {
        (None, popped) => reply.option(popped.iter().flatten().next().map(Vec::as_slice)),
        (Some(_), None) => reply.array(0),
        (Some(_), Some(popped)) => {
            reply.array(popped.len());
            popped.iter().for_each(|text| reply.bulk(text));
        }
    }
    Ok(())
}

pub fn llen(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let list = store.get::<List>(args[1])?;
    reply.count(list.map_or(0, |list| list.len()));
    Ok(())
}

pub fn lrange(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = store.get::<List>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    // Negative ones count from the end, the last is -1.
    let place = |at: i64| if at < 0 { at.saturating_add(list.len() as i64) } else { at };
    let begin = place(start).max(0) as usize;
    let end = (place(stop).saturating_add(1).max(0) as usize).min(list.len());
    let begin = begin.min(end);
    reply.array(end - begin);
    list.range(begin..end).for_each(|text| reply.bulk(text));
    Ok(())
}

pub fn sadd(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let set = store.make::<Set>(args[1])?;
    // Looked for first: most benchmarks add what is there.
    let added = args[2..].iter().filter(|text| !set.contains(**text) && set.insert(text.to_vec())).count();
    reply.count(added);
    Ok(())
}

pub fn spop(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let wanted = count(args)?;
    let popped = store.take(args[1], |set: &mut Set| {
        let most = wanted.unwrap_or(1).min(set.len());
        (0..most).filter_map(|_| set.swap_remove_index(fastrand::usize(..set.len()))).collect::<Vec<_>>()
    })?;
    many_or_one(reply, wanted, popped)
}

pub fn scard(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let set = store.get::<Set>(args[1])?;
    reply.count(set.map_or(0, |set| set.len()));
    Ok(())
}

pub fn hset(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let (pairs, rest) = args[2..].as_chunks();
    if !rest.is_empty() {
        return Err(CommandError::Arity("hset"));
    }
    let hash = store.make::<Hash>(args[1])?;
    let added = pairs.iter().filter(|[field, value]| hash.insert(field.to_vec(), value.to_vec()).is_none()).count();
    reply.count(added);
    Ok(())
}

pub fn hget(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let hash = store.get::<Hash>(args[1])?;
    reply.option(hash.and_then(|hash| hash.get(args[2])).map(Vec::as_slice));
    Ok(())
}

pub fn hgetall(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let Some(hash) = store.get::<Hash>(args[1])? else {
        reply.array(0);
        return Ok(());
    };
    reply.array(2 * hash.len());
    for (field, value) in hash {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

pub fn zadd(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let (pairs, rest) = args[2..].as_chunks();
    if !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    // All of them are looked at before one is added.
    let scores = pairs.iter().map(|[score, _]| float(score)).collect::<Result<Vec<_>, _>>()?;
    let sorted = store.make::<Sorted>(args[1])?;
    let added = pairs.iter().zip(scores).filter(|([_, member], score)| sorted.add(member, *score)).count();
    reply.count(added);
    Ok(())
}

fn float(bytes: &[u8]) -> Result<f64, CommandError> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number.filter(|number: &f64| !number.is_nan()).ok_or(CommandError::NotFloat)
}

pub fn zpopmin(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let wanted = count(args)?.unwrap_or(1);
    let popped = store.take(args[1], |sorted: &mut Sorted| {
        let most = wanted.min(sorted.len());
        (0..most).filter_map(|_| sorted.pop_min()).collect::<Vec<_>>()
    })?;
    let popped = popped.unwrap_or_default();
    reply.array(2 * popped.len());
    for (score, member) in popped {
        reply.bulk(&member);
        reply.bulk(score.to_string().as_bytes());
    }
    Ok(())
}

pub fn zcard(store: &mut Store, args: Args<'_>, reply: &Reply<'_, '_>) -> Outcome {
    let sorted = store.get::<Sorted>(args[1])?;
    reply.count(sorted.map_or(0, |sorted| sorted.len()));
    Ok(())
}
