//! Conditions and expressions over facts, strict on undefined names, compiled once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value as Ninja};
use serde_json::Value;

use crate::DecisionError;
use crate::scope::Scope;

/// Instructions that one evaluation may take: far more than any condition needs, and an end to
/// any that runs away.
const FUEL: u64 = 50_000;

/// No template loader is set, so an expression can read no file.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
});

/// A `minijinja` expression with the place where it stands.
#[derive(Clone)]
pub struct Expression {
    /// Its text.
    pub text: String,
    /// `file:line:column (step)`.
    pub place: String,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

/// A `minijinja` expression that yields true or false, with the place where it stands.
#[derive(Clone, Debug)]
pub struct Condition(pub Expression);

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What the expression engine says of a text that it cannot read, or the filter or test that
    /// does not exist.
    pub fn compile(text: &str, place: String) -> Result<Self, ExpressionError> {
        let compiled = ENVIRONMENT
            .compile_expression_owned(text.to_owned())
            .map_err(|error| ExpressionError(describe(&error)))?;
        check_operators(text)?;
        Ok(Self {
            text: text.to_owned(),
            place,
            compiled: Arc::new(compiled),
        })
    }

    /// Returns the names that the expression takes from outside, as `facts.dc.name`.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.compiled
            .undeclared_variables(true)
            .into_iter()
            .collect()
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// [`DecisionError`] when it names what is not there or mixes types.
    pub(crate) fn evaluate(&self, scope: &Scope) -> Result<Value, DecisionError> {
        let value = self.run(scope)?;
        if value.is_undefined() {
            return Err(self.error("the value is undefined".to_owned()));
        }
        serde_json::to_value(&value).map_err(|error| self.error(error.to_string()))
    }

    /// Evaluates the expression for use in further ones.
    pub(crate) fn run(&self, scope: &Scope) -> Result<Ninja, DecisionError> {
        self.compiled
            .eval(scope.root())
            .map_err(|error| self.error(describe(&error)))
    }

    fn error(&self, detail: String) -> DecisionError {
        DecisionError {
            place: self.place.clone(),
            detail,
        }
    }
}

impl Condition {
    /// Tells whether the condition holds.
    ///
    /// # Errors
    /// [`DecisionError`] when it names what is not there, or yields anything but a boolean.
    pub(crate) fn holds(&self, scope: &Scope) -> Result<bool, DecisionError> {
        match self.0.evaluate(scope)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(self.0.error(format!("`{other}` is neither true nor false"))),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression")
            .field("text", &self.text)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// An expression or text that cannot be compiled; what the expression engine says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(String);

/// Tells whether the expression engine itself has this name, as `range`.
pub(crate) fn is_global(name: &str) -> bool {
    ENVIRONMENT.globals().any(|(global, _)| global == name)
}

/// Returns the names that a text with `{{ … }}` takes from outside.
pub(crate) fn template_names(text: &str) -> Result<BTreeSet<String>, ExpressionError> {
    let template = ENVIRONMENT
        .template_from_named_str("text", text)
        .map_err(|error| ExpressionError(describe(&error)))?;
    check_operators(&braces(text))?;
    Ok(template.undeclared_variables(true).into_iter().collect())
}

/// Renders a text with `{{ … }}`.
pub(crate) fn render(text: &str, scope: &Scope, place: &str) -> Result<String, DecisionError> {
    ENVIRONMENT
        .render_named_str("text", text, scope.root())
        .map_err(|error| DecisionError {
            place: place.to_owned(),
            detail: describe(&error),
        })
}

/// Says what is wrong without the engine's own file names.
fn describe(error: &minijinja::Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the expression takes too long".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

/// Refuses filters and tests that do not exist; the engine itself would notice only when it
/// comes to them.
fn check_operators(text: &str) -> Result<(), ExpressionError> {
    let words = words(text);
    let mut state = ENVIRONMENT.empty_state();
    for (index, word) in words.iter().enumerate() {
        let name = |offset: usize| words.get(index + offset).map_or("", String::as_str);
        let missing = match word.as_str() {
            "|" => state
                .apply_filter(name(1), &[])
                .is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
                .then(|| format!("unknown filter `{}`", name(1))),
            "is" => {
                let test = if name(1) == "not" { name(2) } else { name(1) };
                state
                    .perform_test(test, &[])
                    .is_err_and(|error| error.kind() == ErrorKind::UnknownTest)
                    .then(|| format!("unknown test `{test}`"))
            }
            _ => None,
        };
        if let Some(message) = missing {
            return Err(ExpressionError(message));
        }
    }
    Ok(())
}

/// Splits an expression into words and signs, leaving out string literals.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_alphanumeric() || c == '_' => {
                word.push(c);
                continue;
            }
            None => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                match c {
                    '"' | '\'' => quote = Some(c),
                    c if c.is_whitespace() => {}
                    c => words.push(c.to_string()),
                }
            }
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Returns what stands inside the braces of a text.
fn braces(text: &str) -> String {
    text.split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}').map(|(code, _)| code))
        .collect::<Vec<_>>()
        .join(" ; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(text: &str, facts: Value) -> Result<Value, DecisionError> {
        let scope = Scope::default().with("facts", &facts);
        Expression::compile(text, "p".into())
            .unwrap()
            .evaluate(&scope)
    }

    #[test]
    fn numbers_stay_numbers() {
        assert_eq!(
            evaluate("facts.x", json!({"x": 4_294_967_295_u64})).unwrap(),
            4_294_967_295_u64
        );
        assert_eq!(evaluate("facts.x == 5", json!({"x": "5"})).unwrap(), false);
        assert_eq!(evaluate("facts.x == 5", json!({"x": 5})).unwrap(), true);
        assert_eq!(
            evaluate("facts.x in [5, 86]", json!({"x": 86})).unwrap(),
            true
        );
        assert_eq!(
            evaluate("facts.x | abs > 300", json!({"x": -300.5})).unwrap(),
            true
        );
        assert_eq!(
            evaluate("facts.x or facts.y", json!({"x": null, "y": 5})).unwrap(),
            5
        );
    }

    #[test]
    fn undefined_names_are_errors() {
        let error = evaluate("facts.a.b == 1", json!({"a": {}})).unwrap_err();
        assert_eq!(error.place, "p");
        assert!(
            error.detail.starts_with("undefined value"),
            "{}",
            error.detail
        );
        assert!(evaluate("facts.a", json!({})).is_err());
    }

    #[test]
    fn conditions_are_booleans() {
        let scope = Scope::default();
        let condition = Condition(Expression::compile("1 + 1", "p".into()).unwrap());
        assert_eq!(
            condition.holds(&scope).unwrap_err().detail,
            "`2` is neither true nor false"
        );
    }

    #[test]
    fn cannot_run_away() {
        let long = format!("[{}]", "range(1)|length, ".repeat(20_000));
        let compiled = Expression::compile(&long, "p".into()).unwrap();
        let error = compiled.evaluate(&Scope::default()).unwrap_err();
        assert_eq!(error.detail, "the expression takes too long");
    }

    #[test]
    fn unknown_filters_and_tests_do_not_compile() {
        for (text, message) in [
            ("facts.x | apparently", "unknown filter `apparently`"),
            ("facts.x is broken", "unknown test `broken`"),
            ("facts.x is not broken", "unknown test `broken`"),
        ] {
            let error = Expression::compile(text, "p".into()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(Expression::compile("facts.x == 'a | b is c'", "p".into()).is_ok());
        assert!(Expression::compile("facts.x ==", "p".into()).is_err());
        assert!(template_names("is {{ facts.x | nothing }}").is_err());
        assert!(template_names("this is prose, a | b {{ facts.x }}").is_ok());
    }

    #[test]
    fn reads_no_file() {
        let scope = Scope::default();
        assert!(render("{% include '/etc/hostname' %}", &scope, "p").is_err());
    }
}
