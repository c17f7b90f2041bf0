//! What stands in the place of a wire that was taken away.

use async_trait::async_trait;

use crate::{CommandLine, Limits, Reached, Received, SessionError, Wire};

/// A wire on which nothing runs any more.
pub(super) struct GoneWire {
    pub(super) reached: Reached,
}

fn gone() -> SessionError {
    SessionError::NotRun {
        detail: "the session is closed".to_owned(),
    }
}

#[async_trait]
impl Wire for GoneWire {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn start(&mut self, _: &CommandLine, _: &Limits) -> Result<(), SessionError> {
        Err(gone())
    }

    async fn send(&mut self, _: &[u8], _: bool, _: &Limits) -> Result<(), SessionError> {
        Err(gone())
    }

    async fn receive(&mut self, _: &Limits) -> Result<Received, SessionError> {
        Err(gone())
    }

    async fn terminate(&mut self, _: &Limits) -> Result<(), SessionError> {
        Err(gone())
    }

    async fn close(self: Box<Self>) {}
}
