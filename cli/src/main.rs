//! Remote repair orchestrator for Windows PCs that lost their domain trust.
fn main() {}
