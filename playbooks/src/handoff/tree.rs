//! Expressions and texts as trees of JSON arrays, the first element of each its kind.
//!
//! The parser is minijinja's own, so that nobody can read an expression in another way than the
//! decisions do. Its interface is not stable: an upgrade of minijinja may need changes here, and
//! the test that holds both evaluators together tells.

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{parse, parse_expr};
use serde_json::{Value, json};

/// What `playbooks/handoff/Evaluator.cs` has.
const FILTERS: [&str; 24] = [
    "abs",
    "count",
    "default",
    "first",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "tojson",
    "trim",
    "unique",
    "upper",
];
const TESTS: [&str; 22] = [
    "boolean",
    "defined",
    "endingwith",
    "eq",
    "equalto",
    "false",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "le",
    "lessthan",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];
/// Filters whose first argument names a filter, or a test.
const TAKES_TEST: [&str; 2] = ["select", "reject"];
const TAKES_TEST_SECOND: [&str; 2] = ["selectattr", "rejectattr"];

/// Returns the tree of an expression, or what of it the evaluator does not know.
pub(super) fn of_expression(text: &str) -> Result<Value, String> {
    tree(&parse_expr(text).map_err(|error| error.to_string())?)
}

/// Returns a text with `{{ … }}` and `{% if %}` as a list of parts.
pub(super) fn of_text(text: &str) -> Result<Value, String> {
    let parsed = parse(text, "text", Default::default()).map_err(|error| error.to_string())?;
    match &parsed {
        Stmt::Template(template) => parts(&template.children),
        _ => Err("such a text".to_owned()),
    }
}

fn parts(statements: &[Stmt<'_>]) -> Result<Value, String> {
    statements.iter().map(part).collect()
}

fn part(statement: &Stmt<'_>) -> Result<Value, String> {
    Ok(match statement {
        Stmt::EmitRaw(raw) => json!(["raw", raw.raw]),
        Stmt::EmitExpr(emit) => json!(["emit", tree(&emit.expr)?]),
        Stmt::IfCond(cond) => json!([
            "cond",
            tree(&cond.expr)?,
            parts(&cond.true_body)?,
            parts(&cond.false_body)?
        ]),
        _ => return Err("a statement other than `if`".to_owned()),
    })
}

fn trees(items: &[Expr<'_>]) -> Result<Value, String> {
    items.iter().map(tree).collect()
}

fn maybe(item: Option<&Expr<'_>>) -> Result<Value, String> {
    item.map_or(Ok(Value::Null), tree)
}

fn tree(expression: &Expr<'_>) -> Result<Value, String> {
    Ok(match expression {
        Expr::Var(var) => json!(["var", var.id]),
        Expr::Const(constant) => {
            let value = serde_json::to_value(&constant.value).map_err(|error| error.to_string())?;
            json!(["const", value])
        }
        Expr::Slice(slice) => json!([
            "slice",
            tree(&slice.expr)?,
            maybe(slice.start.as_ref())?,
            maybe(slice.stop.as_ref())?,
            maybe(slice.step.as_ref())?
        ]),
        Expr::UnaryOp(unary) => match unary.op {
            UnaryOpKind::Not => json!(["not", tree(&unary.expr)?]),
            UnaryOpKind::Neg => json!(["neg", tree(&unary.expr)?]),
        },
        Expr::BinOp(binary) => json!([
            "binary",
            binary_name(binary.op)?,
            tree(&binary.left)?,
            tree(&binary.right)?
        ]),
        Expr::Compare(chain) => {
            let ops = chain.ops.iter();
            let ops = ops.map(|op| Ok(json!([compare_name(op.op), tree(&op.expr)?])));
            let ops: Vec<Value> = ops.collect::<Result<_, String>>()?;
            json!(["compare", tree(&chain.expr)?, ops])
        }
        Expr::IfExpr(cond) => json!([
            "if",
            tree(&cond.test_expr)?,
            tree(&cond.true_expr)?,
            maybe(cond.false_expr.as_ref())?
        ]),
        Expr::Filter(filter) => {
            known("filter", filter.name, &FILTERS)?;
            let inner = filter.expr.as_ref().ok_or("a filter of a block")?;
            let (args, named) = arguments(&filter.args)?;
            let names_filter = filter.name == "map" && !args.is_empty();
            let tested = match filter.name {
                name if TAKES_TEST.contains(&name) => args.first(),
                name if TAKES_TEST_SECOND.contains(&name) => args.get(1),
                _ => None,
            };
            if names_filter {
                literal("filter", args.first(), &FILTERS)?;
            }
            if tested.is_some() {
                literal("test", tested, &TESTS)?;
            }
            json!(["filter", filter.name, tree(inner)?, args, named])
        }
        Expr::Test(test) => {
            known("test", test.name, &TESTS)?;
            let (args, _) = arguments(&test.args)?;
            json!(["test", test.name, tree(&test.expr)?, args])
        }
        Expr::GetAttr(get) => json!(["attr", tree(&get.expr)?, get.name]),
        Expr::GetItem(get) => json!(["item", tree(&get.expr)?, tree(&get.subscript_expr)?]),
        Expr::List(list) => json!(["list", trees(&list.items)?]),
        Expr::Call(_) => return Err("a call".to_owned()),
        Expr::Tuple(_) => return Err("a tuple".to_owned()),
        Expr::Map(_) => return Err("a map".to_owned()),
    })
}

type Arguments = (Vec<Value>, serde_json::Map<String, Value>);

fn arguments(arguments: &[CallArg<'_>]) -> Result<Arguments, String> {
    let mut all = Arguments::default();
    for argument in arguments {
        match argument {
            CallArg::Pos(value) => all.0.push(tree(value)?),
            CallArg::Kwarg(name, value) => {
                if *name != "attribute" {
                    return Err(format!("the argument `{name}`"));
                }
                all.1.insert((*name).to_owned(), tree(value)?);
            }
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                return Err("an argument list".to_owned());
            }
        }
    }
    Ok(all)
}

fn known(what: &str, name: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&name) {
        return Ok(());
    }
    Err(format!("the {what} `{name}`"))
}

/// The name of a filter or test that stands as a text.
fn literal(what: &str, tree: Option<&Value>, names: &[&str]) -> Result<(), String> {
    let name = tree.and_then(|tree| tree.get(1)).and_then(Value::as_str);
    match name {
        Some(name) => known(what, name, names),
        None => Err(format!("a {what} whose name is computed")),
    }
}

fn binary_name(op: BinOpKind) -> Result<&'static str, String> {
    Ok(match op {
        BinOpKind::Eq => "==",
        BinOpKind::Ne => "!=",
        BinOpKind::Lt => "<",
        BinOpKind::Lte => "<=",
        BinOpKind::Gt => ">",
        BinOpKind::Gte => ">=",
        BinOpKind::ScAnd => "and",
        BinOpKind::ScOr => "or",
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::Concat => "~",
        BinOpKind::In => "in",
        BinOpKind::FloorDiv => return Err("the operator `//`".to_owned()),
        BinOpKind::Rem => return Err("the operator `%`".to_owned()),
        BinOpKind::Pow => return Err("the operator `**`".to_owned()),
    })
}

fn compare_name(op: CompareOpKind) -> &'static str {
    match op {
        CompareOpKind::Eq => "==",
        CompareOpKind::Ne => "!=",
        CompareOpKind::Lt => "<",
        CompareOpKind::Lte => "<=",
        CompareOpKind::Gt => ">",
        CompareOpKind::Gte => ">=",
        CompareOpKind::In => "in",
        CompareOpKind::NotIn => "not in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_says_what_the_text_does() {
        assert_eq!(
            of_expression("facts.a | lower in ['x'] and not b").unwrap(),
            json!([
                "binary",
                "and",
                [
                    "binary",
                    "in",
                    ["filter", "lower", ["attr", ["var", "facts"], "a"], [], {}],
                    ["list", [["const", "x"]]]
                ],
                ["not", ["var", "b"]]
            ])
        );
        assert_eq!(
            of_text("a{% if x %}b{% endif %}").unwrap(),
            json!([["raw", "a"], ["cond", ["var", "x"], [["raw", "b"]], []]])
        );
    }

    #[test]
    fn what_is_not_known_there_is_refused_here() {
        for (text, what) in [
            ("range(3)", "a call"),
            ("a // 2", "the operator `//`"),
            ("a | groupby('x')", "the filter `groupby`"),
            ("a | select('odd')", "the test `odd`"),
            ("a | map('groupby')", "the filter `groupby`"),
            ("a is odd", "the test `odd`"),
            ("{'a': 1}", "a map"),
        ] {
            assert_eq!(of_expression(text).unwrap_err(), what);
        }
        let error = of_text("{% for a in b %}{% endfor %}").unwrap_err();
        assert_eq!(error, "a statement other than `if`");
    }
}
