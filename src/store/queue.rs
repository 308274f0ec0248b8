//! The queue as it is written down: its order, and whose turn has passed. What is held for whom follows from it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Ledger, StoreError, parse};
use crate::reservation::{Missed, Queue, Target, UserName, Waiting};

impl Ledger {
    /// Writes the queue down. It is asked for once no other writing is under way, so that the last one to be
    /// written is the newest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn save_queue(&self, newest: impl FnOnce() -> Queue) -> Result<u64, StoreError> {
        self.with(|c| {
            let queue = newest();
            let transaction = c.transaction()?;
            transaction.execute_batch("DELETE FROM queue; DELETE FROM missed_turns;")?;
            write(&transaction, &queue)?;
            transaction.commit()?;
            Ok(queue.revision())
        })
    }

    /// The queue as it was written down.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn queue(&self) -> Result<(Vec<Waiting>, BTreeMap<UserName, Missed>), StoreError> {
        self.with(|c| {
            let mut query = c.prepare("SELECT user, target, since FROM queue ORDER BY place")?;
            let rows = query
                .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?
                .collect::<Result<Vec<[String; 3]>, _>>()?;
            let waiting = rows.iter().map(|[user, target, since]| {
                let target = if target.is_empty() { Target::Any } else { parse(target)? };
                Ok(Waiting { user: parse(user)?, target, since: parse(since)?, hold: None })
            });
            let waiting = waiting.collect::<Result<_, StoreError>>()?;
            let mut query = c.prepare("SELECT user, slot, at FROM missed_turns")?;
            let rows = query
                .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?
                .collect::<Result<Vec<[String; 3]>, _>>()?;
            let missed = rows
                .iter()
                .map(|[user, slot, at]| Ok((parse(user)?, Missed { slot: parse(slot)?, at: parse(at)? })));
            Ok((waiting, missed.collect::<Result<_, StoreError>>()?))
        })
    }
}

fn write(c: &Connection, queue: &Queue) -> Result<(), StoreError> {
    let mut add = c.prepare("INSERT INTO queue (user, target, since) VALUES (?1, ?2, ?3)")?;
    for waiting in queue.waiting() {
        add.execute(params![waiting.user.as_str(), waiting.target.to_string(), waiting.since.to_string()])?;
    }
    let mut add = c.prepare("INSERT INTO missed_turns (user, slot, at) VALUES (?1, ?2, ?3)")?;
    for (user, missed) in queue.missed() {
        add.execute(params![user.as_str(), missed.slot.to_string(), missed.at.to_string()])?;
    }
    Ok(())
}
