//! The short name by which queries find an event.

use fleetmend_model::{Event, HostEvent};

/// Returns the event's name, the same as its tag in JSON.
pub(crate) fn kind(event: &Event) -> &'static str {
    match event {
        Event::RunStarted { .. } => "run-started",
        Event::Interrupted { .. } => "interrupted",
        Event::Resumed { .. } => "resumed",
        Event::BatchStarted { .. } => "batch-started",
        Event::ErrorsSpent(_) => "errors-spent",
        Event::RunEnded { .. } => "run-ended",
        Event::Host { what, .. } => match what {
            HostEvent::Connecting => "connecting",
            HostEvent::CredentialUsed { .. } => "credential-used",
            HostEvent::Connected { .. } => "connected",
            HostEvent::ConnectFailed { .. } => "connect-failed",
            HostEvent::StepStarted { .. } => "step-started",
            HostEvent::StepEnded { .. } => "step-ended",
            HostEvent::Diagnosed { .. } => "diagnosed",
            HostEvent::RungStarted { .. } => "rung-started",
            HostEvent::StepSkipped { .. } => "step-skipped",
            HostEvent::RebootOrdered { .. } => "reboot-ordered",
            HostEvent::RungEnded { .. } => "rung-ended",
            HostEvent::HandedIn(_) => "handed-in",
            HostEvent::Finished { .. } => "finished",
        },
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{Cause, ErrorsSpent, HostName, Phase, StepRef};

    use super::*;

    #[test]
    fn is_the_tag_in_json() {
        let host = |what| Event::Host {
            host: HostName("pc-1".into()),
            what,
        };
        for event in [
            Event::Interrupted { cut: true },
            Event::Resumed {
                version: "0.1.0".into(),
                by: None,
            },
            Event::RunEnded { exit_code: 0 },
            Event::BatchStarted {
                number: 1,
                of: 2,
                hosts: 3,
            },
            Event::ErrorsSpent(ErrorsSpent {
                batch: 1,
                of: 2,
                class: "blocked".into(),
                new: None,
                count: 1,
                allowed: 0,
                hosts: Vec::new(),
                left: 3,
            }),
            host(HostEvent::Connecting),
            host(HostEvent::Diagnosed {
                cause: Cause::new("x"),
            }),
            host(HostEvent::RungEnded {
                rung: "r".into(),
                verified: true,
            }),
            host(HostEvent::StepSkipped {
                step: StepRef {
                    phase: Phase::Repair,
                    rung: Some("r".into()),
                    step: "s".into(),
                },
            }),
        ] {
            let json = serde_json::to_value(&event).unwrap();
            let tag = json.pointer("/what/what").unwrap_or(&json["event"]);
            assert_eq!(tag, kind(&event));
        }
    }
}
