//! Speed, memory and cost measurements.
fn main() {}
