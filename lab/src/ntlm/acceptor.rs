//! One logon, leg by leg ([MS-NLMP] 3.2.5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::flags;
use super::keys::{hmac_md5, nt_proof, ntowf_v2, rc4_once, same};
use super::message::{
    Authenticate, MIC_AT, MessageError, TargetNames, av, av_pairs, read_negotiate, write_challenge,
};
use super::seal::Sealing;
use super::spnego::{self, Preference, State, Token};

/// Looks up the password of an account.
pub trait Accounts {
    /// Returns the password of the account that a client named, `None` if there is none.
    fn password_of(&self, domain: &str, user: &str) -> Option<String>;
}

/// Who logged on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The domain as the client wrote it.
    pub domain: String,
    /// The user as the client wrote it.
    pub user: String,
}

/// What to do after a leg.
#[derive(Debug)]
pub enum Step {
    /// Send this token with a 401; the client goes on.
    Continue(Vec<u8>),
    /// The client is who it says; the token, if any, goes with the answer.
    Done {
        /// The last token of SPNEGO; bare NTLM has none.
        token: Option<Vec<u8>>,
        /// Who it is.
        identity: Identity,
        /// What was negotiated and how to seal; `None` if the client did not ask for what
        /// sealing needs.
        sealing: Option<Box<Sealing>>,
    },
}

/// Why a logon was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogonError {
    /// A message of NTLM is malformed.
    #[error("read an NTLM message")]
    Message(#[from] MessageError),
    /// The SPNEGO around it is malformed or offers no NTLM.
    #[error("find NTLM in a SPNEGO token")]
    Spnego,
    /// A third message came before the first.
    #[error("accept a message out of turn")]
    OutOfTurn,
    /// The answer is NTLMv1 or LM, or anonymous.
    #[error("find an NTLMv2 response of the user {user}")]
    NotV2 {
        /// The user it named.
        user: String,
    },
    /// No such account, or it may not log on over the network.
    #[error("find the account {user}")]
    NoAccount {
        /// The user it named.
        user: String,
    },
    /// The proof does not fit the password.
    #[error("verify the password of {user}")]
    WrongPassword {
        /// The user it named.
        user: String,
    },
    /// The messages were changed on their way, or the client counted wrong.
    #[error("verify the integrity code of the logon of {user}")]
    Mic {
        /// The user it named.
        user: String,
    },
    /// The client saw another certificate than ours, or none although one is required.
    #[error("verify the channel binding of the logon of {user}")]
    ChannelBinding {
        /// The user it named.
        user: String,
    },
}

impl LogonError {
    /// Returns the account if the logon failed over its password, as a lockout policy counts.
    pub fn spent_password_of(&self) -> Option<&str> {
        match self {
            Self::WrongPassword { user } | Self::NoAccount { user } | Self::NotV2 { user } => {
                Some(user)
            }
            _ => None,
        }
    }
}

/// The server's end of one logon on one connection.
#[derive(Debug)]
pub struct Acceptor {
    names: TargetNames,
    binding: Option<[u8; 16]>,
    binding_required: bool,
    exchange: Option<Exchange>,
    /// The mechanisms of a client that wrapped its tokens, and whether one was named back.
    wrapped: Option<Wrapped>,
}

#[derive(Debug)]
struct Wrapped {
    mechanisms: Vec<u8>,
    named: bool,
    mic_required: bool,
}

#[derive(Debug)]
struct Exchange {
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    nonce: [u8; 8],
}

impl Acceptor {
    /// Starts a logon. `binding` is what `MsvAvChannelBindings` must be on this connection
    /// (TLS only); a client that sends none passes unless `binding_required`.
    pub fn new(names: TargetNames, binding: Option<[u8; 16]>, binding_required: bool) -> Self {
        Self {
            names,
            binding,
            binding_required,
            exchange: None,
            wrapped: None,
        }
    }

    /// Takes the client's next token.
    ///
    /// # Errors
    /// See [`LogonError`]; the logon is over then.
    pub fn accept(&mut self, token: &[u8], accounts: &dyn Accounts) -> Result<Step, LogonError> {
        if spnego::is_wrapped(token) {
            self.accept_wrapped(token, accounts)
        } else {
            self.wrapped = None;
            self.accept_bare(token, accounts)
        }
    }

    fn accept_wrapped(
        &mut self,
        token: &[u8],
        accounts: &dyn Accounts,
    ) -> Result<Step, LogonError> {
        let (inner, mic) = match spnego::read(token).ok_or(LogonError::Spnego)? {
            Token::Init {
                ntlm: Preference::Absent,
                ..
            } => return Err(LogonError::Spnego),
            Token::Init {
                mechanisms,
                ntlm,
                token,
            } => {
                let first = ntlm == Preference::First;
                self.exchange = None;
                self.wrapped = Some(Wrapped {
                    mechanisms: mechanisms.to_vec(),
                    named: false,
                    mic_required: !first,
                });
                // A token for another mechanism is of no use.
                (token.filter(|_| first), None)
            }
            Token::Response { token, mic } => (token, mic.map(<[u8]>::to_vec)),
        };
        let Some(inner) = inner else {
            let wrapped = self.wrapped.as_mut().ok_or(LogonError::OutOfTurn)?;
            let state = if wrapped.mic_required {
                State::RequestMic
            } else {
                State::Incomplete
            };
            wrapped.named = true;
            return Ok(Step::Continue(spnego::write(state, true, None, None)));
        };
        let step = self.accept_bare(inner, accounts)?;
        let wrapped = self.wrapped.as_mut().ok_or(LogonError::OutOfTurn)?;
        match step {
            Step::Continue(challenge) => {
                let name = !std::mem::replace(&mut wrapped.named, true);
                let token = spnego::write(State::Incomplete, name, Some(&challenge), None);
                Ok(Step::Continue(token))
            }
            Step::Done {
                identity,
                mut sealing,
                ..
            } => {
                let own = match (sealing.as_mut(), mic) {
                    (Some(sealing), Some(mic)) => {
                        let user = &identity.user;
                        let failed = |_| LogonError::Mic { user: user.clone() };
                        sealing.verify(&mic, &wrapped.mechanisms).map_err(failed)?;
                        let own = sealing.sign(&wrapped.mechanisms);
                        sealing.reset_ciphers();
                        Some(own)
                    }
                    _ if wrapped.mic_required => {
                        return Err(LogonError::Mic {
                            user: identity.user,
                        });
                    }
                    _ => None,
                };
                let own = own.as_ref().map(<[u8; 16]>::as_slice);
                let token = Some(spnego::write(State::Completed, false, None, own));
                Ok(Step::Done {
                    token,
                    identity,
                    sealing,
                })
            }
        }
    }

    fn accept_bare(&mut self, token: &[u8], accounts: &dyn Accounts) -> Result<Step, LogonError> {
        let Some(exchange) = self.exchange.take().filter(|_| !is_negotiate(token)) else {
            let asked = read_negotiate(token).map_err(|error| match error {
                MessageError::Type(3) => LogonError::OutOfTurn,
                other => LogonError::Message(other),
            })?;
            return Ok(Step::Continue(self.challenge(token, asked)));
        };
        let message = Authenticate::read(token)?;
        self.verify(&exchange, &message, token, accounts)
    }

    /// Answers a NEGOTIATE_MESSAGE: what sealing needs is offered only if the client asked.
    fn challenge(&mut self, negotiate: &[u8], asked: u32) -> Vec<u8> {
        let optional = flags::SIGN
            | flags::SEAL
            | flags::KEY_128
            | flags::KEY_56
            | flags::KEY_EXCH
            | flags::EXTENDED_SESSION_SECURITY
            | flags::REQUEST_TARGET;
        let always =
            flags::UNICODE | flags::NTLM | flags::ALWAYS_SIGN | flags::TARGET_INFO | flags::VERSION;
        let nonce: [u8; 8] = rand::random();
        let challenge =
            write_challenge(&self.names, &nonce, always | (asked & optional), filetime());
        self.exchange = Some(Exchange {
            negotiate: negotiate.to_vec(),
            challenge: challenge.clone(),
            nonce,
        });
        challenge
    }

    fn verify(
        &self,
        exchange: &Exchange,
        message: &Authenticate,
        raw: &[u8],
        accounts: &dyn Accounts,
    ) -> Result<Step, LogonError> {
        let user = || message.user.clone();
        let (proof, blob) = message
            .proof_and_blob()
            .ok_or_else(|| LogonError::NotV2 { user: user() })?;
        let password = accounts
            .password_of(&message.domain, &message.user)
            .ok_or_else(|| LogonError::NoAccount { user: user() })?;
        let key = ntowf_v2(&password, &message.user, &message.domain);
        if !same(&nt_proof(&key, &exchange.nonce, blob), &proof) {
            return Err(LogonError::WrongPassword { user: user() });
        }
        let mut session = hmac_md5(&key, &[&proof]);
        if message.flags & flags::KEY_EXCH != 0 {
            let mut exported = <[u8; 16]>::try_from(message.session_key.as_slice())
                .map_err(|_| MessageError::Field("EncryptedRandomSessionKey"))?;
            rc4_once(&session, &mut exported);
            session = exported;
        }
        // The blob: 28 bytes of head, then the pairs.
        let pairs = av_pairs(blob.get(28..).unwrap_or_default());
        let find = |wanted: u16| {
            pairs
                .iter()
                .find(|(id, _)| *id == wanted)
                .map(|(_, value)| *value)
        };
        let has_mic = find(av::FLAGS)
            .and_then(|value| value.first_chunk::<4>())
            .is_some_and(|value| u32::from_le_bytes(*value) & 2 != 0);
        if has_mic && !mic_holds(&session, exchange, message, raw) {
            return Err(LogonError::Mic { user: user() });
        }
        self.check_binding(find(av::CHANNEL_BINDINGS))
            .ok_or_else(|| LogonError::ChannelBinding { user: user() })?;
        let sealing = (message.flags & flags::FOR_SEALING == flags::FOR_SEALING)
            .then(|| Box::new(Sealing::for_server(&session, message.flags)));
        let identity = Identity {
            domain: message.domain.clone(),
            user: message.user.clone(),
        };
        Ok(Step::Done {
            token: None,
            identity,
            sealing,
        })
    }

    /// Absent and all-zero both mean that the client gave none.
    fn check_binding(&self, given: Option<&[u8]>) -> Option<()> {
        let given = given.filter(|value| value.iter().any(|byte| *byte != 0));
        match (self.binding, given) {
            (None, _) => Some(()),
            (Some(_), None) => (!self.binding_required).then_some(()),
            (Some(own), Some(given)) => same(&own, given).then_some(()),
        }
    }
}

fn is_negotiate(token: &[u8]) -> bool {
    read_negotiate(token).is_ok()
}

fn mic_holds(session: &[u8; 16], exchange: &Exchange, message: &Authenticate, raw: &[u8]) -> bool {
    let Some(mic) = message.mic else { return false };
    let mut zeroed = raw.to_vec();
    let Some(room) = zeroed.get_mut(MIC_AT) else {
        return false;
    };
    room.fill(0);
    same(
        &hmac_md5(
            session,
            &[&exchange.negotiate, &exchange.challenge, &zeroed],
        ),
        &mic,
    )
}

/// Returns now as a FILETIME: 100 ns since 1601.
fn filetime() -> u64 {
    const EPOCH: u64 = 116_444_736_000_000_000;
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    EPOCH.saturating_add(u64::try_from(since.as_nanos() / 100).unwrap_or(0))
}

#[cfg(test)]
#[path = "acceptor_tests.rs"]
mod tests;
