//! Rows of the budget's tables.

use std::time::Duration;

use fleetmend_engine::{AccountName, AccountPolicy, SpentTry};
use fleetmend_model::HostName;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

pub(super) fn trial(
    connection: &Connection,
    account: &AccountName,
) -> Result<Option<(String, Timestamp)>> {
    connection
        .query_row(
            "SELECT holder, since FROM trials WHERE account = ?1",
            [account.as_str()],
            |row| Ok((row.get(0)?, time(row, 1)?)),
        )
        .optional()
}

pub(super) fn begin_trial(
    connection: &Connection,
    account: &AccountName,
    holder: &str,
    now: Timestamp,
) -> Result<()> {
    connection
        .execute(
            "INSERT INTO trials (account, holder, since) VALUES (?1, ?2, ?3)",
            params![account.as_str(), holder, now.as_microsecond()],
        )
        .map(|_| ())
}

pub(super) fn end_trial(connection: &Connection, account: &AccountName) -> Result<()> {
    connection
        .execute("DELETE FROM trials WHERE account = ?1", [account.as_str()])
        .map(|_| ())
}

pub(super) fn spend(
    connection: &Connection,
    account: &AccountName,
    spent: &SpentTry,
) -> Result<()> {
    connection
        .execute(
            "INSERT INTO spent_tries (account, at, host, code, perhaps) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                account.as_str(),
                spent.at.as_microsecond(),
                spent.host.as_ref().map(|host| host.0.as_str()),
                spent.code,
                spent.perhaps,
            ],
        )
        .map(|_| ())
}

/// Returns what counts still or has counted, the oldest first.
pub(super) fn tries(connection: &Connection, account: &AccountName) -> Result<Vec<SpentTry>> {
    let mut statement = connection.prepare(
        "SELECT at, host, code, perhaps FROM spent_tries
         WHERE account = ?1 AND waived_at IS NULL ORDER BY at",
    )?;
    let rows = statement.query_map([account.as_str()], |row| {
        Ok(SpentTry {
            at: time(row, 0)?,
            host: row.get::<_, Option<String>>(1)?.map(HostName),
            code: row.get(2)?,
            perhaps: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// The account was accepted: its domain counts from nothing again.
pub(super) fn forget(connection: &Connection, account: &AccountName) -> Result<()> {
    connection
        .execute(
            "DELETE FROM spent_tries WHERE account = ?1 AND waived_at IS NULL",
            [account.as_str()],
        )
        .map(|_| ())
}

pub(super) fn remove_before(connection: &Connection, old: Timestamp) -> Result<()> {
    connection
        .execute(
            "DELETE FROM spent_tries WHERE at < ?1",
            [old.as_microsecond()],
        )
        .map(|_| ())
}

/// What was spent until now counts no more; what was read of the account is forgotten with it,
/// so that one mistake more is borne, and only one. Returns whether there was anything.
pub(super) fn waive(
    connection: &Connection,
    account: &AccountName,
    at: Timestamp,
    by: &str,
) -> Result<bool> {
    let tries = connection.execute(
        "UPDATE spent_tries SET waived_at = ?2, waived_by = ?3
         WHERE account = ?1 AND waived_at IS NULL",
        params![account.as_str(), at.as_microsecond(), by],
    )?;
    let policies = connection.execute(
        "DELETE FROM account_policies WHERE account = ?1",
        [account.as_str()],
    )?;
    Ok(tries + policies > 0)
}

pub(super) fn learn(
    connection: &Connection,
    account: &AccountName,
    policy: &AccountPolicy,
) -> Result<()> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    connection
        .execute(
            "INSERT INTO account_policies (account, threshold, window, bad, read_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account) DO UPDATE SET threshold = excluded.threshold,
                 window = coalesce(excluded.window, window), bad = excluded.bad,
                 read_at = excluded.read_at",
            params![
                account.as_str(),
                policy.threshold,
                policy.window.map(seconds),
                policy.bad,
                policy.read.as_microsecond(),
            ],
        )
        .map(|_| ())
}

pub(super) fn policy(
    connection: &Connection,
    account: &AccountName,
) -> Result<Option<AccountPolicy>> {
    connection
        .query_row(
            "SELECT threshold, window, bad, read_at FROM account_policies WHERE account = ?1",
            [account.as_str()],
            |row| {
                let window: Option<i64> = row.get(1)?;
                let window = window.and_then(|seconds| u64::try_from(seconds).ok());
                Ok(AccountPolicy {
                    threshold: row.get(0)?,
                    window: window.map(Duration::from_secs),
                    bad: row.get(2)?,
                    read: time(row, 3)?,
                })
            },
        )
        .optional()
}

fn time(row: &Row<'_>, index: usize) -> Result<Timestamp> {
    let microseconds = row.get(index)?;
    Timestamp::from_microsecond(microseconds).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Integer, Box::new(error))
    })
}
