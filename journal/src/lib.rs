//! The run journal in SQLite.
