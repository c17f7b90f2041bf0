//! How the operator stops a run.

use tokio::sync::watch;

use crate::machine::Stop;

/// Returns the two ends of a control channel.
pub fn control() -> (ControlSender, ControlReceiver) {
    let (sender, receiver) = watch::channel(Stop::No);
    (ControlSender(sender), ControlReceiver(receiver))
}

/// The operator's end.
#[derive(Clone, Debug)]
pub struct ControlSender(watch::Sender<Stop>);

impl ControlSender {
    /// Notes one Ctrl-C and returns what it means: the first starts nothing new, the second and
    /// any further one cut.
    pub fn interrupt(&self) -> Stop {
        self.0.send_modify(|stop| {
            *stop = if *stop == Stop::No {
                Stop::Soft
            } else {
                Stop::Cut
            };
        });
        *self.0.borrow()
    }
}

/// The run's end.
#[derive(Clone, Debug)]
pub struct ControlReceiver(watch::Receiver<Stop>);

impl ControlReceiver {
    /// Waits until the operator wants more of a stop than `seen`; for ever once the operator's
    /// end is gone.
    pub(crate) async fn beyond(&mut self, seen: Stop) -> Stop {
        let wanted = self.0.wait_for(|stop| *stop > seen).await.map(|stop| *stop);
        match wanted {
            Ok(stop) => stop,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_interrupt_cuts() {
        let (sender, mut receiver) = control();
        assert_eq!(sender.interrupt(), Stop::Soft);
        assert_eq!(receiver.beyond(Stop::No).await, Stop::Soft);
        assert_eq!(sender.interrupt(), Stop::Cut);
        assert_eq!(sender.interrupt(), Stop::Cut);
        drop(sender);
        assert_eq!(receiver.beyond(Stop::Soft).await, Stop::Cut);
    }
}
