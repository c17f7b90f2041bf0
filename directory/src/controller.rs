//! One domain controller: its connection, opened when first asked and again when lost.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::Credential;
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::sync::{Mutex, OnceCell, OwnedMutexGuard, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::account::{bind_name, complete};
use crate::connection::{Connection, Target};
use crate::distinguished_name::dns_name;
use crate::gate::Gate;
use crate::limit::{Ended, Limit};
use crate::operation::{Answer, Change, NotWritten, Question};
use crate::root_dse::RootDse;
use crate::{DirectoryError, Settings, TlsSettingsError, Trust, certificate};

/// How long a controller that failed is left alone, so that a thousand hosts do not each wait for
/// it.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// How many questions may be under way at one controller; it serves 20 of one account at once
/// (`MaxActiveQueries` in Microsoft's query policy).
const AT_ONCE: usize = 12;

/// What all controllers share.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) settings: Settings,
    pub(crate) account: Credential,
    pub(crate) gate: Gate,
    pub(crate) tls: OnceCell<Arc<ClientConfig>>,
}

impl Access {
    /// Returns the TLS configuration, read once.
    pub(crate) async fn tls(&self) -> Result<Arc<ClientConfig>, DirectoryError> {
        let read = async || {
            let trust = self.settings.trust.clone();
            let read = tokio::task::spawn_blocking(move || certificate::client_config(&trust));
            read.await
                .map_err(|error| TlsSettingsError::Library(error.to_string()))?
        };
        Ok(Arc::clone(self.tls.get_or_try_init(read).await?))
    }
}

/// One domain controller.
#[derive(Debug)]
pub(crate) struct Controller {
    access: Arc<Access>,
    target: Target,
    state: Arc<Mutex<State>>,
    permits: Semaphore,
}

#[derive(Debug)]
enum State {
    Idle,
    Open(Arc<Session>),
    Failed { at: Instant, why: DirectoryError },
}

/// A connection on which our account is logged on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) root: RootDse,
    /// The controller's DNS name as it says, else as it was named.
    pub(crate) dc: String,
    /// The head of the domain.
    pub(crate) domain: String,
    /// When it was asked for its clock.
    pub(crate) asked_at: Timestamp,
}

impl Controller {
    pub(crate) fn new(access: Arc<Access>, host: String, port: Option<u16>) -> Self {
        let encryption = access.settings.encryption;
        Self {
            target: Target {
                host,
                port: port.unwrap_or(encryption.port()),
                encryption,
                pinned: matches!(access.settings.trust, Trust::Pinned(_)),
            },
            access,
            state: Arc::new(Mutex::new(State::Idle)),
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Returns the name under which we reach it.
    pub(crate) fn host(&self) -> &str {
        &self.target.host
    }

    /// Returns that name for messages, with an unusual port.
    pub(crate) fn label(&self) -> String {
        self.target.label()
    }

    /// Returns its DNS name as it said when it was last reached, else the name that we have.
    pub(crate) async fn name(&self) -> String {
        match &*self.state.lock().await {
            State::Open(session) => session.dc.clone(),
            _ => self.label(),
        }
    }

    /// Returns the open connection, opening it if there is none.
    pub(crate) async fn session(
        self: &Arc<Self>,
        limit: &Limit,
    ) -> Result<Arc<Session>, DirectoryError> {
        let opened = limit.bound(self.open_or_opened()).await;
        opened.unwrap_or_else(|ended| Err(self.ended(ended, "connect")))
    }

    async fn open_or_opened(self: &Arc<Self>) -> Result<Arc<Session>, DirectoryError> {
        self.access.gate.check()?;
        let state = Arc::clone(&self.state).lock_owned().await;
        self.access.gate.check()?;
        match &*state {
            State::Open(session) if !session.connection.is_closed() => {
                return Ok(Arc::clone(session));
            }
            State::Failed { at, why } if at.elapsed() < LEFT_ALONE => return Err(why.clone()),
            _ => {}
        }
        // Its own task: a host that gives up must not break off a logon that all others need.
        let opening = tokio::spawn(Arc::clone(self).open_into(state));
        opening.await.unwrap_or_else(|error| {
            Err(DirectoryError::Unreachable {
                dc: self.label(),
                why: error.to_string(),
            })
        })
    }

    async fn open_into(
        self: Arc<Self>,
        mut state: OwnedMutexGuard<State>,
    ) -> Result<Arc<Session>, DirectoryError> {
        let opened = self.open().await;
        *state = match &opened {
            Ok(session) => State::Open(Arc::clone(session)),
            Err(why) => State::Failed {
                at: Instant::now(),
                why: why.clone(),
            },
        };
        opened
    }

    async fn open(&self) -> Result<Arc<Session>, DirectoryError> {
        let Access {
            settings,
            account,
            gate,
            ..
        } = &*self.access;
        complete(account)?;
        let asked_at = Timestamp::now();
        let (connection, root) = self
            .connect(&Limit::within(
                settings.connect_timeout,
                &CancellationToken::new(),
            ))
            .await?;
        let dc = root
            .dns_host_name
            .clone()
            .unwrap_or_else(|| self.host().to_owned());
        let domain = self.domain_of(&dc, &root)?;
        let name = bind_name(&account.user, &settings.domain);
        let limit = Limit::within(settings.answer_timeout, &CancellationToken::new());
        let connection = connection.named(&dc);
        let bind = connection.logon(&name, account, &limit);
        gate.logon(&dc, bind).await?;
        tracing::debug!(%dc, "logged on to the directory");
        Ok(Arc::new(Session {
            connection,
            root,
            dc,
            domain,
            asked_at,
        }))
    }

    /// Connects and asks what anybody may ask.
    pub(crate) async fn connect(
        &self,
        limit: &Limit,
    ) -> Result<(Connection, RootDse), DirectoryError> {
        let tls = self.access.tls().await?;
        let connection = Connection::open(&self.target, tls, limit).await?;
        let question = Question::of_object("say what it is", "", RootDse::ATTRIBUTES);
        let answer = connection.search(&question, limit).await?;
        let root = answer
            .entries
            .first()
            .map(RootDse::read)
            .unwrap_or_default();
        Ok((connection, root))
    }

    /// Returns the head of its domain, if it is ours: no other learns our password.
    fn domain_of(&self, dc: &str, root: &RootDse) -> Result<String, DirectoryError> {
        let head = root.default_naming_context.as_deref().unwrap_or_default();
        let actual = dns_name(head);
        let expected = &self.access.settings.domain;
        if actual == *expected && root.active_directory {
            return Ok(head.to_owned());
        }
        Err(DirectoryError::OtherDomain {
            dc: dc.to_owned(),
            expected: expected.clone(),
            actual: if root.active_directory {
                actual
            } else {
                "no Active Directory".to_owned()
            },
        })
    }

    /// Asks; once more on a new connection if the first was lost.
    pub(crate) async fn search(
        self: &Arc<Self>,
        question: &Question<'_>,
        limit: &Limit,
    ) -> Result<Answer, DirectoryError> {
        match self.search_once(question, limit).await {
            Err(DirectoryError::Lost { .. }) => self.search_once(question, limit).await,
            told => told,
        }
    }

    async fn search_once(
        self: &Arc<Self>,
        question: &Question<'_>,
        limit: &Limit,
    ) -> Result<Answer, DirectoryError> {
        let session = self.session(limit).await?;
        self.search_on(&session, question, limit).await
    }

    /// Asks on this connection and no other, as a page does that goes on where one ended.
    pub(crate) async fn search_on(
        &self,
        session: &Arc<Session>,
        question: &Question<'_>,
        limit: &Limit,
    ) -> Result<Answer, DirectoryError> {
        self.access.gate.check()?;
        let waited = limit.bound(self.permits.acquire()).await;
        let _permit = waited.map_err(|ended| self.ended(ended, question.doing))?;
        let shorter = limit.at_most(self.access.settings.answer_timeout);
        let told = session.connection.search(question, &shorter).await;
        match &told {
            Err(DirectoryError::Lost { .. }) => self.forget(session).await,
            // Silence is the controller's fault only where the host had time left.
            Err(DirectoryError::Deadline { .. }) if limit.ended().is_none() => {
                self.forget(session).await;
            }
            _ => {}
        }
        told
    }

    /// Writes, at most once.
    pub(crate) async fn modify(
        self: &Arc<Self>,
        change: Change<'_>,
        limit: &Limit,
    ) -> Result<(), NotWritten> {
        let doing = change.doing;
        let session = self.session(limit).await.map_err(NotWritten::Certainly)?;
        if session.root.read_only {
            let dc = session.dc.clone();
            return Err(NotWritten::Certainly(DirectoryError::ReadOnlyController {
                dc,
            }));
        }
        let waited = limit.bound(self.permits.acquire()).await;
        let _permit = waited.map_err(|ended| NotWritten::Certainly(self.ended(ended, doing)))?;
        let shorter = limit.at_most(self.access.settings.answer_timeout);
        let written = session.connection.modify(change, &shorter).await;
        if matches!(written, Err(NotWritten::Perhaps(_))) && limit.ended().is_none() {
            self.forget(&session).await;
        }
        written
    }

    /// Lets go of a connection that does not answer, unless another took its place.
    async fn forget(&self, session: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Open(open) if Arc::ptr_eq(open, session)) {
            *state = State::Idle;
        }
    }

    fn ended(&self, ended: Ended, doing: &'static str) -> DirectoryError {
        let dc = self.label();
        match ended {
            Ended::Deadline => DirectoryError::Deadline { dc, doing },
            Ended::Cancelled => DirectoryError::Cancelled { dc, doing },
        }
    }
}
