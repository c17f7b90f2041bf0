//! The life of a simulated PC between two boots: up or down, and what answers at its ports.

use std::time::Duration;

use fleetmend_model::TransportKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::machine::{RestartFault, RestartOrder};
use crate::pc::{SimPc, now};

/// How long a PC that boots twice is up in between.
const BETWEEN_BOOTS: Duration = Duration::from_millis(150);

/// What stands behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Somebody who serves.
    Serves,
    /// Nobody: connections are refused.
    Refuses,
    /// Nothing at all comes back.
    Silent,
}

/// What outsiders see of a PC.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    /// Ends with the present boot: every connection and every process.
    pub(crate) life: CancellationToken,
    /// What stands behind each port.
    answers: [(TransportKind, Answer); 3],
}

impl Presence {
    /// Returns a PC that serves at every port.
    pub(crate) fn up(life: CancellationToken) -> Self {
        Self::with(life, |_| Answer::Serves)
    }

    fn with(life: CancellationToken, answer: impl Fn(TransportKind) -> Answer) -> Self {
        use TransportKind::{Ssh, WinrmHttp, WinrmHttps};
        Self {
            life,
            answers: [WinrmHttp, WinrmHttps, Ssh].map(|kind| (kind, answer(kind))),
        }
    }

    /// Returns what stands behind the port of this transport.
    pub(crate) fn answer(&self, transport: TransportKind) -> Answer {
        let found = self.answers.iter().find(|(kind, _)| *kind == transport);
        found.map_or(Answer::Refuses, |(_, answer)| *answer)
    }
}

impl SimPc {
    /// Returns what outsiders see, now and when it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Presence> {
        self.presence().subscribe()
    }

    /// Tells whether it is up.
    pub fn is_up(&self) -> bool {
        !self.presence().borrow().life.is_cancelled()
    }

    /// Carries out an order to restart, if a script has left one.
    pub(crate) fn obey(&self) {
        let Some(order) = self.machine().boot.order.take() else {
            return;
        };
        self.shared().restarts.begin(&self.site());
        if order.fault == RestartFault::BeforeTheAnswer {
            self.go_down();
        }
        self.in_background(|pc| async move { pc.go_round(order).await });
    }

    /// Cuts the power, and lets the PC boot after the time that it always takes.
    pub fn power_cycle(&self) {
        self.shared().restarts.begin(&self.site());
        let order = RestartOrder {
            delay: Duration::ZERO,
            fault: RestartFault::None,
        };
        self.in_background(|pc| async move { pc.go_round(order).await });
    }

    /// Finds out anew which ports the firewall opens.
    pub fn settle_firewall(&self) {
        let life = self.presence().borrow().life.clone();
        let presence = self.standing(life, None);
        self.presence().send_replace(presence);
    }

    fn site(&self) -> String {
        self.machine().site.clone()
    }

    async fn go_round(&self, order: RestartOrder) {
        let scale = self.machine().restarts.delay_scale;
        let delay = Duration::try_from_secs_f64(order.delay.as_secs_f64() * scale);
        tokio::time::sleep(delay.unwrap_or_default()).await;
        let boots = match order.fault {
            RestartFault::NeverGoesDown => {
                self.machine().boot.scheduled = false;
                return self.shared().restarts.end(&self.site());
            }
            RestartFault::BootsTwice => 2,
            _ => 1,
        };
        for boot in 0..boots {
            if boot > 0 {
                tokio::time::sleep(BETWEEN_BOOTS).await;
            }
            self.go_down();
            let down_for = self.machine().restarts.down_for;
            tokio::time::sleep(down_for).await;
            let stays =
                order.fault == RestartFault::NeverReturns || self.machine().boot_needs_hands();
            if stays {
                return self.shared().restarts.end(&self.site());
            }
            let only = match order.fault {
                RestartFault::ReturnsOver(transport) => Some(transport),
                _ => None,
            };
            self.come_up(only);
        }
        self.shared().restarts.end(&self.site());
    }

    fn go_down(&self) {
        let silent = self.machine().restarts.silent;
        let answer = if silent {
            Answer::Silent
        } else {
            Answer::Refuses
        };
        self.presence().send_modify(|presence| {
            presence.life.cancel();
            *presence = Presence::with(presence.life.clone(), |_| answer);
        });
    }

    fn come_up(&self, only: Option<TransportKind>) {
        let now = now();
        {
            let mut machine = self.machine();
            machine.restart(now);
            let domain = self.shared().domain();
            machine.settle_profile(&domain);
        }
        let life = self.shared().cancel.child_token();
        let presence = self.standing(life, only);
        self.presence().send_replace(presence);
    }

    fn standing(&self, life: CancellationToken, only: Option<TransportKind>) -> Presence {
        let machine = self.machine();
        Presence::with(life, |transport| {
            if only.is_some_and(|only| only != transport) {
                Answer::Refuses
            } else if machine.firewall.admits(transport) {
                Answer::Serves
            } else {
                Answer::Silent
            }
        })
    }
}
