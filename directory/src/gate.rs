//! A wrong password is spent once.

use std::sync::OnceLock;

use tokio::sync::Mutex;

use crate::DirectoryError;
use crate::connection::Logon;

/// Lets one bind at a time pass until one is accepted, and none after the first refusal.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Whether any controller has accepted the account. Held over a bind until one has.
    proven: Mutex<bool>,
    closed: OnceLock<DirectoryError>,
}

impl Gate {
    /// Fails once the gate is closed.
    pub(crate) fn check(&self) -> Result<(), DirectoryError> {
        self.closed.get().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Closes it for good.
    pub(crate) fn close(&self, why: DirectoryError) -> DirectoryError {
        self.closed.get_or_init(|| why).clone()
    }

    /// Binds once, if it may. Must run to its end: a bind that was sent and not waited for may be
    /// a refusal that nobody heard.
    ///
    /// Once the account is proven binds do not wait for each other, lest one controller that hangs
    /// keep all hosts from the others.
    pub(crate) async fn logon(
        &self,
        dc: &str,
        bind: impl Future<Output = Logon>,
    ) -> Result<(), DirectoryError> {
        let mut proven = self.proven.lock().await;
        self.check()?;
        if *proven {
            drop(proven);
            return self.judge(dc, bind.await, true);
        }
        let told = self.judge(dc, bind.await, false);
        *proven = told.is_ok();
        told
    }

    fn judge(&self, dc: &str, logon: Logon, proven: bool) -> Result<(), DirectoryError> {
        let dc = dc.to_owned();
        match logon {
            // Another may have been refused meanwhile.
            Logon::Accepted => self.check(),
            Logon::Refused(refusal) => {
                Err(self.close(DirectoryError::CredentialRefused { dc, refusal }))
            }
            Logon::Unanswered(why) if proven => Err(DirectoryError::Unreachable { dc, why }),
            Logon::Unanswered(why) => Err(self.close(DirectoryError::LogonUnanswered { dc, why })),
            Logon::Answered { code, text } => Err(DirectoryError::Ldap {
                dc,
                doing: "accept the directory account",
                code,
                text,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::LogonRefusal;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_holds_up_the_others_only_before_the_account_is_proven() {
        let gate = Gate::default();
        let accepted = || ready(Logon::Accepted);
        let (hung, second) = tokio::join!(
            timeout(SOON, gate.logon("dc1", pending())),
            timeout(SOON / 2, gate.logon("dc2", accepted()))
        );
        assert!(hung.is_err() && second.is_err(), "{second:?}");

        assert_eq!(gate.logon("dc2", accepted()).await, Ok(()));
        let (hung, third) = tokio::join!(
            timeout(SOON, gate.logon("dc1", pending())),
            timeout(SOON / 2, gate.logon("dc3", accepted()))
        );
        assert!(hung.is_err());
        assert_eq!(third, Ok(Ok(())));
    }

    #[tokio::test]
    async fn a_refusal_counts_for_a_bind_that_was_under_way() {
        let gate = Gate::default();
        gate.logon("dc1", ready(Logon::Accepted)).await.unwrap();
        let (told, heard) = tokio::sync::oneshot::channel::<()>();
        let slow = async {
            heard.await.unwrap();
            Logon::Accepted
        };
        let refused = async {
            let refusal = LogonRefusal::WrongPassword;
            let ended = gate.logon("dc3", ready(Logon::Refused(refusal))).await;
            told.send(()).unwrap();
            ended
        };
        let (slow, refused) = tokio::join!(gate.logon("dc2", slow), refused);
        assert!(refused.is_err());
        assert_eq!(slow, refused);
        let bound = gate.logon("dc4", async { panic!("no bind is sent any more") });
        assert_eq!(bound.await, refused);
    }

    #[tokio::test]
    async fn silence_is_final_only_before_the_account_is_proven() {
        let silent = || ready(Logon::Unanswered("eof".to_owned()));
        let gate = Gate::default();
        gate.logon("dc1", ready(Logon::Accepted)).await.unwrap();
        let lost = gate.logon("dc2", silent()).await;
        assert!(matches!(lost, Err(DirectoryError::Unreachable { .. })));
        assert_eq!(gate.check(), Ok(()));
        let gate = Gate::default();
        assert!(gate.logon("dc1", silent()).await.is_err());
        assert!(gate.check().is_err());
    }
}
