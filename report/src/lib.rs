//! Events to summary, table, JSON and JSON Lines.
