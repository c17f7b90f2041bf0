//! Texts with `{{ … }}`, worked out with the variables of one PC.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use fleetmend_model::Host;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, Value as Ninja};
use serde_json::Value;

/// Instructions that one text may take: far more than any needs, and an end to any that runs away.
const FUEL: u64 = 20_000;

/// No template loader is set, so a text can read no file.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(write_value);
    environment
});

/// A text that may hold `{{ … }}`, known to be readable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    text: String,
}

/// What a template sees of a PC: `name`, `address`, `groups`, Ansible's `inventory_hostname` and
/// `inventory_hostname_short`, and the PC's variables. A variable never hides one of the former.
#[derive(Clone, Debug)]
pub struct Scope {
    values: BTreeMap<String, Value>,
}

/// Why a text could not be worked out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text itself is wrong.
    #[error("`{text}` cannot be read: {why}")]
    Unreadable {
        /// The text.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// A variable is not there.
    #[error("`{text}` needs the variable `{variable}`, which is not set")]
    NoVariable {
        /// The text.
        text: String,
        /// The variable, with dots where it is inside another.
        variable: String,
    },
    /// It came to nothing that could be used.
    #[error("`{text}` cannot be worked out: {why}")]
    Unfit {
        /// The text.
        text: String,
        /// Why.
        why: String,
    },
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TemplateError::Unreadable`].
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        if !is_plain(text) {
            let read = ENVIRONMENT.template_from_named_str("text", text);
            read.map_err(|error| TemplateError::Unreadable {
                text: text.to_owned(),
                why: describe(&error),
            })?;
        }
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// Returns the text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether it may be another text for each PC.
    pub fn is_per_host(&self) -> bool {
        !is_plain(&self.text)
    }

    /// Works the text out; without a scope it must be plain.
    ///
    /// # Errors
    /// [`TemplateError`]: a variable is missing or unfit, or nothing is left.
    pub fn render(&self, scope: Option<&Scope>) -> Result<String, TemplateError> {
        if !self.is_per_host() {
            return Ok(self.text.clone());
        }
        let empty = Scope::empty();
        let scope = scope.unwrap_or(&empty);
        let context = Ninja::from(Serde(&scope.values));
        let rendered = ENVIRONMENT.render_named_str("text", &self.text, context);
        let rendered = rendered.map_err(|error| self.failed(&error, scope))?;
        if rendered.trim().is_empty() {
            return Err(self.unfit("nothing is left of it"));
        }
        // What a program takes for an option must stand in the file, not come from a variable.
        if rendered.starts_with('-') && !self.text.starts_with('-') {
            return Err(self.unfit("a variable makes it begin with `-`"));
        }
        Ok(rendered)
    }

    fn failed(&self, error: &minijinja::Error, scope: &Scope) -> TemplateError {
        if error.kind() == ErrorKind::UndefinedError
            && let Some(variable) = self.missing(scope)
        {
            return TemplateError::NoVariable {
                text: self.text.clone(),
                variable,
            };
        }
        self.unfit(&describe(error))
    }

    fn unfit(&self, why: &str) -> TemplateError {
        TemplateError::Unfit {
            text: self.text.clone(),
            why: why.to_owned(),
        }
    }

    /// Returns the first name of the text that stands for nothing.
    fn missing(&self, scope: &Scope) -> Option<String> {
        let template = ENVIRONMENT.template_from_named_str("text", &self.text);
        let mut names: Vec<String> = template
            .ok()?
            .undeclared_variables(true)
            .into_iter()
            .collect();
        names.sort();
        names.into_iter().find(|name| !scope.has(name))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Scope {
    /// Returns what is known of a PC.
    pub fn of(host: &Host) -> Self {
        let mut values = host.vars.clone();
        let name = &host.name.0;
        let short = name.split('.').next().unwrap_or(name);
        let known = [
            ("name", Value::from(name.as_str())),
            ("address", Value::from(host.address.as_str())),
            ("groups", Value::from(host.groups.clone())),
            ("inventory_hostname", Value::from(name.as_str())),
            ("inventory_hostname_short", Value::from(short)),
        ];
        values.extend(known.map(|(name, value)| (name.to_owned(), value)));
        Self { values }
    }

    fn empty() -> Self {
        Self {
            values: BTreeMap::new(),
        }
    }

    fn has(&self, name: &str) -> bool {
        let mut parts = name.split('.');
        let first = parts.next().and_then(|name| self.values.get(name));
        let found = parts.fold(first, |value, name| value.and_then(|value| value.get(name)));
        found.is_some()
    }
}

/// Writes one value into a text. A value comes from an inventory or a directory: it must not
/// lead out of a folder, nor hold what no name of an entry or a file holds.
fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Ninja,
) -> Result<(), minijinja::Error> {
    let unfit = |why: &'static str| minijinja::Error::new(ErrorKind::InvalidOperation, why);
    if value.is_undefined() {
        return minijinja::escape_formatter(out, state, value);
    }
    if value.is_none() {
        return Err(unfit("a variable has no value"));
    }
    let text = value.to_string();
    if text.is_empty() {
        return Err(unfit("a variable is empty"));
    }
    if text.contains(['/', '\\']) || text.trim() == ".." || text.trim() == "." {
        return Err(unfit(
            "a variable holds `/`, `\\` or `..`, which would lead elsewhere",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(unfit(
            "a variable holds a line end or another control character",
        ));
    }
    out.write_str(&text).map_err(minijinja::Error::from)
}

fn is_plain(text: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|brace| text.contains(brace))
}

/// Says what is wrong without the engine's own file names.
fn describe(error: &minijinja::Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too long".to_owned(),
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn host() -> Host {
        let mut host = Host::new("PC-014.corp.example.jp");
        host.address = "10.0.0.14".into();
        host.groups = vec!["all".into(), "経理部".into()];
        host.vars = [
            ("拠点".to_owned(), json!("大阪")),
            ("site".to_owned(), json!({"name": "osaka", "階": 3})),
            ("name".to_owned(), json!("hidden")),
            ("up".to_owned(), json!("../../etc")),
            ("dots".to_owned(), json!("..")),
            ("none".to_owned(), json!(null)),
            ("lines".to_owned(), json!("a\nb")),
            ("option".to_owned(), json!("--reveal")),
        ]
        .into();
        host
    }

    fn render(text: &str) -> Result<String, TemplateError> {
        Template::new(text)
            .unwrap()
            .render(Some(&Scope::of(&host())))
    }

    #[test]
    fn sees_the_pc_and_its_variables() {
        for (text, worked_out) in [
            ("pw/{{ 拠点 }}.txt", "pw/大阪.txt"),
            ("{{ site.name }}-{{ site.階 }}", "osaka-3"),
            ("{{ name }}", "PC-014.corp.example.jp"),
            ("{{ inventory_hostname_short | lower }}", "pc-014"),
            ("{{ groups[1] }}@{{ address }}", "経理部@10.0.0.14"),
            ("{{ nowhere | default('x') }}", "x"),
            (r".\kiosk", r".\kiosk"),
            ("a { b } c", "a { b } c"),
        ] {
            assert_eq!(render(text).unwrap(), worked_out, "{text}");
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        for (text, name) in [
            ("{{ サイト }}", "サイト"),
            ("x{{ site.city }}", "site.city"),
        ] {
            let error = render(text).unwrap_err();
            assert!(
                matches!(&error, TemplateError::NoVariable { variable, .. } if variable == name),
                "{error}"
            );
        }
    }

    #[test]
    fn values_that_lead_elsewhere_are_refused() {
        for text in [
            "pw/{{ up }}",
            "{{ dots }}",
            "{{ lines }}",
            "{{ none }}",
            "{{ option }}",
        ] {
            let error = render(text).unwrap_err();
            assert!(matches!(error, TemplateError::Unfit { .. }), "{error}");
        }
        assert_eq!(
            render("--account={{ option }}").unwrap(),
            "--account=--reveal"
        );
    }

    #[test]
    fn unreadable_texts_are_refused_at_once_and_endless_ones_end() {
        for text in ["{{ name", "{% if %}", "{{ name | }}"] {
            assert!(Template::new(text).is_err(), "{text}");
        }
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(
            render(endless)
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
    }
}
