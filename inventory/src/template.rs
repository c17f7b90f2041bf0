//! The one kind of template that is worked out: `{{ name }}`, as in
//! `ansible_host: "{{ inventory_hostname }}.corp.example.jp"`.

use std::sync::Arc;

use fleetmend_yaml::{Tag, Value};

use crate::vars::{Var, Vars};

/// How far variables may refer to variables.
const MAX_DEPTH: usize = 8;

/// A text without templates, and the variables it was made of.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    pub(crate) names: Vec<Arc<str>>,
}

/// Tells whether a value is a template.
pub(crate) fn is_template(var: &Var) -> bool {
    var.node.tag != Some(Tag::Unsafe)
        && var
            .node
            .as_str()
            .is_some_and(|text| ["{{", "{%", "{#"].iter().any(|b| text.contains(b)))
}

/// Works a template out with the variables of a host; the error says what stands in the way.
pub(crate) fn expand(text: &str, host: &str, vars: &Vars) -> Result<Expanded, String> {
    let mut expanded = Expanded::default();
    expanded.text = expand_into(text, host, vars, &mut expanded.names, 0)?;
    Ok(expanded)
}

fn expand_into(
    text: &str,
    host: &str,
    vars: &Vars,
    names: &mut Vec<Arc<str>>,
    depth: usize,
) -> Result<String, String> {
    if text.contains("{%") || text.contains("{#") {
        return Err("only `{{ name }}` is understood".to_owned());
    }
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, tail) = after.split_once("}}").ok_or("`{{` is not closed")?;
        made.push_str(before);
        made.push_str(&value(expression.trim(), host, vars, names, depth)?);
        rest = tail;
    }
    made.push_str(rest);
    Ok(made)
}

fn value(
    expression: &str,
    host: &str,
    vars: &Vars,
    names: &mut Vec<Arc<str>>,
    depth: usize,
) -> Result<String, String> {
    match expression {
        "inventory_hostname" => return Ok(host.to_owned()),
        "inventory_hostname_short" => {
            return Ok(host.split('.').next().unwrap_or(host).to_owned());
        }
        _ => {}
    }
    let is_name =
        !expression.is_empty() && expression.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name {
        return Err(format!(
            "`{expression}` is more than the name of a variable"
        ));
    }
    let Some((name, var)) = vars.get_key_value(expression) else {
        return Err(format!("there is no variable `{expression}`"));
    };
    if depth >= MAX_DEPTH {
        return Err(format!("`{expression}` refers to itself or too far"));
    }
    names.push(Arc::clone(name));
    match (&var.node.value, var.node.tag) {
        (_, Some(Tag::Vault)) => Err(format!("`{expression}` is encrypted by ansible-vault")),
        (Value::String(text), None) => expand_into(text, host, vars, names, depth + 1),
        (Value::String(text), Some(Tag::Unsafe)) => Ok(text.clone()),
        (Value::Int(number), _) => Ok(number.to_string()),
        _ => Err(format!("`{expression}` is {}", var.node.kind())),
    }
}
