//! `read-computer`: the account as every controller has it.

use std::sync::Arc;

use futures::StreamExt;
use ldap3::Scope;
use serde_json::{Map, Value, json};

use crate::computer::state::{ATTRIBUTES, State};
use crate::computer::{Deleted, Names, find, find_deleted, may_see, recycle_bin};
use crate::controller::{Controller, Session};
use crate::filter::escape;
use crate::operation::{Question, control};
use crate::security_descriptor::{OWNER_ONLY, SD_FLAGS_OID};
use crate::time::unix;
use crate::{ActiveDirectory, DirectoryError, Limit};

/// How many controllers are asked at once.
const AT_ONCE: usize = 16;

/// Whether twins of the computer are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twins {
    /// Yes, although the controller then looks at every computer that it has.
    Sought,
    /// No; `duplicates` is null.
    Unasked,
}

/// What one controller told.
struct Told {
    controller: Arc<Controller>,
    dc: String,
    /// None within `Ok`: it has no such computer.
    reading: Result<Option<State>, DirectoryError>,
}

impl ActiveDirectory {
    /// Reads a computer's account at every controller and returns what the action `read-computer`
    /// answers, and `duplicates` with it: how many further accounts carry its DNS name or a HOST
    /// service name of it. That costs the controller a look at every computer that it has, so it
    /// is meant for people who ask about one.
    ///
    /// # Errors
    /// The named controller is unknown, or our account is refused.
    pub async fn computer(
        &self,
        computer: &str,
        dc: Option<&str>,
        limit: &Limit,
    ) -> Result<Value, DirectoryError> {
        read_computer(self, computer, dc, Twins::Sought, limit).await
    }

    /// The same without a look for twins, which is cheap: for many computers.
    ///
    /// # Errors
    /// As [`ActiveDirectory::computer`].
    pub async fn computer_alone(
        &self,
        computer: &str,
        limit: &Limit,
    ) -> Result<Value, DirectoryError> {
        read_computer(self, computer, None, Twins::Unasked, limit).await
    }
}

/// Reads the account at every controller and returns the answer of `read-computer`.
///
/// # Errors
/// The named controller is unknown, or our account is refused. That controllers cannot be asked or
/// show nothing is part of the answer.
pub(crate) async fn read_computer(
    directory: &ActiveDirectory,
    computer: &str,
    dc: Option<&str>,
    twins: Twins,
    limit: &Limit,
) -> Result<Value, DirectoryError> {
    let names = Names::of(computer, &directory.access.settings.domain);
    let asked_for = match dc {
        Some(dc) => Some(directory.named(dc, limit).await?),
        None => None,
    };
    // One controller proves the account before all are asked at once.
    if let Err(error) = directory.any(false, limit).await
        && !error.elsewhere()
    {
        return Err(error);
    }
    let controllers = directory.controllers(limit).await?;
    let mut asking = Vec::with_capacity(controllers.len());
    for controller in controllers {
        asking.push(ask(controller, &names, limit));
    }
    let told: Vec<Told> = futures::stream::iter(asking)
        .buffered(AT_ONCE)
        .collect()
        .await;
    if let Some(refused) = told.iter().find_map(|told| refusal(&told.reading)) {
        return Err(refused);
    }
    let chosen = choose(&told, asked_for.as_ref());
    let mut answer = match chosen {
        Some(told) => of_one(directory, &names, told, twins, limit).await?,
        None => nobody(told.iter().find_map(|told| told.reading.as_ref().err())),
    };
    if let Some(silent) = silent(&told, asked_for.as_ref())
        && answer.get("error").is_none_or(Value::is_null)
    {
        answer.insert("error".to_owned(), error_fields(silent));
    }
    answer.insert("pwd_last_set_differs".to_owned(), json!(differs(&told)));
    answer.insert(
        "controllers".to_owned(),
        told.iter().map(controller_fields).collect(),
    );
    Ok(Value::Object(answer))
}

async fn ask(controller: &Arc<Controller>, names: &Names, limit: &Limit) -> Told {
    let reading = async {
        let session = controller.session(limit).await?;
        let owner = control(SD_FLAGS_OID, Some(&OWNER_ONLY));
        let found = find(controller, &session, names, ATTRIBUTES, vec![owner], limit).await?;
        Ok((session.dc.clone(), found.as_ref().map(State::read)))
    };
    let (dc, reading) = match reading.await {
        Ok((dc, reading)) => (dc, Ok(reading)),
        Err(error) => (controller.name().await, Err(error)),
    };
    Told {
        controller: Arc::clone(controller),
        dc,
        reading,
    }
}

/// Returns the error after which nothing more may be asked.
fn refusal<T>(reading: &Result<T, DirectoryError>) -> Option<DirectoryError> {
    let error = reading.as_ref().err()?;
    matches!(
        error,
        DirectoryError::CredentialRefused { .. } | DirectoryError::LogonUnanswered { .. }
    )
    .then(|| error.clone())
}

/// Chooses the reading that is told: the controller asked for, else the first that has the
/// computer, else the first that answered. A controller that has not heard of a new or restored
/// account must not make it look missing. `dc` says which it is: nobody may take the reading of
/// one for that of another.
fn choose<'a>(told: &'a [Told], asked_for: Option<&Arc<Controller>>) -> Option<&'a Told> {
    let answered = || told.iter().filter(|told| told.reading.is_ok());
    let wanted =
        asked_for.and_then(|wanted| answered().find(|told| Arc::ptr_eq(&told.controller, wanted)));
    wanted
        .or_else(|| answered().find(|told| matches!(told.reading, Ok(Some(_)))))
        .or_else(|| answered().next())
}

/// Returns why the controller asked for did not answer, if it did not.
fn silent<'a>(told: &'a [Told], asked_for: Option<&Arc<Controller>>) -> Option<&'a DirectoryError> {
    let wanted = asked_for?;
    let mut told = told.iter();
    let told = told.find(|told| Arc::ptr_eq(&told.controller, wanted))?;
    told.reading.as_ref().err()
}

async fn of_one(
    directory: &ActiveDirectory,
    names: &Names,
    told: &Told,
    twins: Twins,
    limit: &Limit,
) -> Result<Map<String, Value>, DirectoryError> {
    let mut answer = match &told.reading {
        Ok(Some(state)) => state.fields(),
        _ => State::no_fields(),
    };
    answer.insert("dc".to_owned(), json!(told.dc));
    let more = more(directory, names, told, twins, limit).await;
    if let Some(refused) = refusal(&more) {
        return Err(refused);
    }
    let (found, duplicates, deleted, error) = match more {
        Ok(more) => (Some(more.found), more.duplicates, more.deleted, Value::Null),
        // The computer itself was read; only what stands around it was not.
        Err(error) if matches!(told.reading, Ok(Some(_))) => {
            (Some(true), None, Value::Null, error_fields(&error))
        }
        Err(error) => (None, None, Value::Null, error_fields(&error)),
    };
    answer.insert("found".to_owned(), json!(found));
    answer.insert("duplicates".to_owned(), json!(duplicates));
    answer.insert("deleted".to_owned(), deleted);
    answer.insert("error".to_owned(), error);
    Ok(answer)
}

struct More {
    found: bool,
    /// None: not looked for.
    duplicates: Option<usize>,
    deleted: Value,
}

/// Asks what is known around the reading: twins, deleted ones, whether "not found" is worth
/// anything.
async fn more(
    directory: &ActiveDirectory,
    names: &Names,
    told: &Told,
    twins: Twins,
    limit: &Limit,
) -> Result<More, DirectoryError> {
    let session = told.controller.session(limit).await?;
    if let Ok(Some(state)) = &told.reading {
        let duplicates = match twins {
            Twins::Sought => Some(duplicates(&told.controller, &session, state, limit).await?),
            Twins::Unasked => None,
        };
        return Ok(More {
            found: true,
            duplicates,
            deleted: Value::Null,
        });
    }
    may_see(&told.controller, &session, names, limit).await?;
    let deleted = find_deleted(&told.controller, &session, names, limit).await?;
    let deleted = match deleted {
        Some(deleted) => {
            let bin = recycle_bin(directory, &told.controller, &session, limit).await?;
            deleted_fields(&deleted, bin)
        }
        None => Value::Null,
    };
    Ok(More {
        found: false,
        duplicates: None,
        deleted,
    })
}

/// Counts further objects with the same DNS name or HOST service name: with two of them Kerberos
/// does not know whose key to use.
async fn duplicates(
    controller: &Arc<Controller>,
    session: &Session,
    state: &State,
    limit: &Limit,
) -> Result<usize, DirectoryError> {
    let mut any = String::new();
    if let Some(dns) = &state.dns_host_name {
        let dns = escape(dns);
        // Not indexed, so only among computers; a service name may be anybody's.
        any += &format!("(&(objectCategory=computer)(dNSHostName={dns}))");
        any += &format!("(servicePrincipalName=HOST/{dns})");
    }
    for name in state.service_names.iter().flatten() {
        let host = name.get(..5);
        if host.is_some_and(|start| start.eq_ignore_ascii_case("HOST/")) {
            any += &format!("(servicePrincipalName={})", escape(name));
        }
    }
    if any.is_empty() {
        return Ok(0);
    }
    let filter = format!("(|{any})");
    let question = Question {
        doing: "look for twins of a computer",
        base: &session.domain,
        scope: Scope::Subtree,
        filter: &filter,
        attributes: &["objectSid"],
        controls: Vec::new(),
        size_limit: 20,
    };
    let answer = controller.search(&question, limit).await?;
    let others = answer.entries.iter().filter(|entry| entry.dn != state.dn);
    Ok(others.count())
}

fn nobody(error: Option<&DirectoryError>) -> Map<String, Value> {
    let mut answer = State::no_fields();
    let error = error.map_or(Value::Null, error_fields);
    for (name, value) in [
        ("found", Value::Null),
        ("dc", Value::Null),
        ("duplicates", Value::Null),
        ("deleted", Value::Null),
        ("error", error),
    ] {
        answer.insert(name.to_owned(), value);
    }
    answer
}

/// Tells whether controllers disagree about when the password was set; none if fewer than two say.
fn differs(told: &[Told]) -> Option<bool> {
    let mut times = told.iter().filter_map(|told| match &told.reading {
        Ok(Some(state)) => state.password_set,
        _ => None,
    });
    let first = times.next()?;
    times
        .map(|time| time != first)
        .reduce(|one, other| one || other)
}

fn deleted_fields(deleted: &Deleted, recycle_bin: bool) -> Value {
    json!({
        "dn": deleted.dn,
        "recycle_bin": recycle_bin && !deleted.recycled,
        "when_changed": deleted.changed.map(|time| time.to_string()),
    })
}

fn controller_fields(told: &Told) -> Value {
    let state = told.reading.as_ref().ok().and_then(Option::as_ref);
    let error = told.reading.as_ref().err();
    json!({
        "dc": told.dc,
        "answered": error.is_none(),
        "found": error.is_none().then_some(state.is_some()),
        "pwd_last_set_unix": state.and_then(|state| state.password_set).map(unix),
        "enabled": state.and_then(State::enabled),
        "bad_pwd_count": state.and_then(|state| state.bad_passwords),
        "code": error.and_then(DirectoryError::code),
        "error": error.map(ToString::to_string),
    })
}

fn error_fields(error: &DirectoryError) -> Value {
    json!({"code": error.code(), "error_id": error.id(), "message": error.to_string()})
}
