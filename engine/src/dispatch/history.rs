//! What earlier runs did for a PC.

use jiff::Timestamp;
use serde_json::{Value, json};

/// How often the trust of a PC was repaired lately, by the journal of the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Runs in the last 90 days that proved a repair of its trust.
    pub repairs: u32,
    /// When the last of them did.
    pub last_repaired: Option<Timestamp>,
}

impl History {
    /// Returns it as expressions see it: `host.history`.
    pub(crate) fn to_value(self) -> Value {
        json!({
            "repairs": self.repairs,
            "last_repaired": self.last_repaired.map(|at| at.to_string()),
        })
    }
}
