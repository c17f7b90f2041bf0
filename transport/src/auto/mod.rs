//! From an inventory host to a session over whatever it answers on.

mod candidates;
mod connector;
pub(crate) mod dial;
mod probe;
mod race;

pub use connector::{AutoConnector, ConnectorOptions};
pub use probe::probe;
