//! Conditions and expressions over facts, strict on undefined names.

/// A `minijinja` expression that yields true or false, with the place where it stands.
#[derive(Clone, Debug)]
pub struct Condition(pub Expression);

/// A `minijinja` expression with the place where it stands.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Its text.
    pub text: String,
    /// `file:line:column (step)`.
    pub place: String,
}
