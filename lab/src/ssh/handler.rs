//! One SSH connection: who logs on, what is started.

use std::collections::HashMap;
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodSet, Pty};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exec;
use crate::domain::account_name;
use crate::process::{LabCommand, Pc};

/// The server's side of one connection.
pub(crate) struct Connection {
    pub(crate) pc: Arc<dyn Pc>,
    /// What it lets clients try, also after a refusal: sshd takes no method away.
    pub(crate) methods: MethodSet,
    pub(crate) accepted_keys: Arc<[PublicKey]>,
    pub(crate) lab: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) user: Option<String>,
    pub(crate) channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Connection {
    fn refuse(&self) -> Auth {
        Auth::Reject {
            proceed_with_methods: Some(self.methods.clone()),
            partial_success: false,
        }
    }

    fn judge(&mut self, user: &str, password: &str) -> Auth {
        let user = account_name(user);
        let accepted = !password.is_empty()
            && self
                .pc
                .password_of(user)
                .is_some_and(|expected| expected == password);
        self.pc.note_logon(user, accepted);
        if accepted {
            self.user = Some(user.to_owned());
            Auth::Accept
        } else {
            self.refuse()
        }
    }

    fn judge_key(&self, user: &str, key: &PublicKey) -> bool {
        // sshd lets no account in that could not log on at all.
        self.pc.password_of(account_name(user)).is_some()
            && self
                .accepted_keys
                .iter()
                .any(|known| known.key_data() == key.key_data())
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        let password = response.next().unwrap_or_default();
        let password = String::from_utf8_lossy(&password).into_owned();
        Ok(self.judge(user, &password))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.judge_key(user, offer.public_key);
        Ok(if known { Auth::Accept } else { self.refuse() })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if !self.judge_key(user, key.public_key) {
            return Ok(self.refuse());
        }
        let user = account_name(user);
        self.pc.note_logon(user, true);
        self.user = Some(user.to_owned());
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (Some(channel), Some(user)) = (self.channels.remove(&id), self.user.clone()) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let process = self.pc.spawn(LabCommand {
            user,
            line: String::from_utf8_lossy(data).into_owned(),
            through_shell: true,
            code_page: None,
        });
        self.tasks
            .spawn(exec::run(channel, process, self.lab.clone()));
        Ok(())
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }
}
