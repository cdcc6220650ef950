//! `select`: JMESPath over JSON, bounded. The only module that names jmespath.

use jmespath::ast::Ast;
use jmespath::{DEFAULT_RUNTIME, ErrorReason, Expression, JmespathError, Variable};
use serde_json::Value;

/// The longest expression, in bytes: the parser recurses.
const MAX_LENGTH: usize = 2048;
/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 32;
/// The most values that an expression may give: it can repeat its input.
const MAX_VALUES: usize = 1_000_000;

/// A compiled JMESPath.
#[derive(Debug)]
pub struct Select(Expression<'static>);

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectError {
    /// The text at fault, as it stands in the expression; empty for all of it.
    pub text: String,
    /// What is wrong, in words for the admin.
    pub why: String,
}

// === impl Select ===

impl Select {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Returns a [`SelectError`] when it is too long, nested too deeply, not JMESPath, or calls an unknown function.
    pub fn compile(written: &str) -> Result<Self, SelectError> {
        let whole = |why: String| SelectError { text: String::new(), why };
        if written.len() > MAX_LENGTH {
            return Err(whole(format!("an expression is at most {MAX_LENGTH} bytes long")));
        }
        if depth(written) > MAX_DEPTH {
            return Err(whole(format!("brackets are nested at most {MAX_DEPTH} deep")));
        }
        let expression = jmespath::compile(written).map_err(|error| explain(written, &error))?;
        let mut unknown = None;
        walk(expression.as_ast(), &mut |node| {
            if let Ast::Function { name, .. } = node
                && DEFAULT_RUNTIME.get_function(name).is_none()
            {
                unknown.get_or_insert_with(|| name.clone());
            }
        });
        match unknown {
            Some(name) => {
                let why = match crate::diag::suggest(&name, FUNCTIONS) {
                    Some(near) => format!("JMESPath has no function of this name; did you mean `{near}`?"),
                    None => "JMESPath has no function of this name".to_owned(),
                };
                Err(SelectError { text: name, why })
            }
            None => Ok(Self(expression)),
        }
    }

    /// Applies the expression; what is not there is null.
    ///
    /// # Errors
    /// Returns why it can't be applied to this value, in words for the model.
    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let found = self.0.search(value).map_err(|error| reason(&error))?;
        let mut left = MAX_VALUES;
        plain(&found, &mut left).ok_or_else(|| "it gives too much".to_owned())
    }

    /// The keys of the object that it gives, where they can be told from the expression.
    #[must_use]
    pub fn keys(&self) -> Option<Vec<String>> {
        match self.0.as_ast() {
            Ast::MultiHash { elements, .. } => Some(elements.iter().map(|pair| pair.key.clone()).collect()),
            Ast::Subexpr { rhs, .. } => match rhs.as_ref() {
                Ast::MultiHash { elements, .. } => Some(elements.iter().map(|pair| pair.key.clone()).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The names of a plain chain such as `data.items`; `None` for any other expression.
    #[must_use]
    pub fn chain(&self) -> Option<Vec<String>> {
        fn names(node: &Ast, found: &mut Vec<String>) -> bool {
            match node {
                Ast::Identity { .. } => true,
                Ast::Field { name, .. } => {
                    found.push(name.clone());
                    true
                }
                Ast::Subexpr { lhs, rhs, .. } => names(lhs, found) && names(rhs, found),
                _ => false,
            }
        }
        let mut found = Vec::new();
        names(self.0.as_ast(), &mut found).then_some(found)
    }
}

/// The functions of JMESPath, for suggestions.
const FUNCTIONS: [&str; 26] = [
    "abs",
    "avg",
    "ceil",
    "contains",
    "ends_with",
    "floor",
    "join",
    "keys",
    "length",
    "map",
    "max",
    "max_by",
    "merge",
    "min",
    "min_by",
    "not_null",
    "reverse",
    "sort",
    "sort_by",
    "starts_with",
    "sum",
    "to_array",
    "to_number",
    "to_string",
    "type",
    "values",
];

/// How deep brackets are nested; quoted text counts too, which errs on the safe side.
fn depth(text: &str) -> usize {
    let mut deepest = 0_usize;
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' | b'(' | b'!' | b'&' => open += 1,
            b']' | b'}' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

fn explain(written: &str, error: &JmespathError) -> SelectError {
    // The parser's own place, as the rest of the text from there.
    let rest: String = written.chars().skip(error.offset).collect();
    let text = rest.split_whitespace().next().unwrap_or_default().to_owned();
    SelectError { text, why: reason(error) }
}

fn reason(error: &JmespathError) -> String {
    match &error.reason {
        ErrorReason::Parse(words) => {
            let words = words.trim_end_matches('.');
            words
                .strip_prefix("Unexpected token: Eof")
                .map_or_else(|| words.to_owned(), |_| "it ends too early".to_owned())
        }
        ErrorReason::Runtime(runtime) => runtime.to_string(),
    }
}

fn walk(node: &Ast, visit: &mut dyn FnMut(&Ast)) {
    visit(node);
    match node {
        Ast::Comparison { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => {
            walk(lhs, visit);
            walk(rhs, visit);
        }
        Ast::Condition { predicate, then, .. } => {
            walk(predicate, visit);
            walk(then, visit);
        }
        Ast::Expref { ast: node, .. }
        | Ast::Flatten { node, .. }
        | Ast::Not { node, .. }
        | Ast::ObjectValues { node, .. } => walk(node, visit),
        Ast::Function { args, .. } => args.iter().for_each(|node| walk(node, visit)),
        Ast::MultiList { elements, .. } => elements.iter().for_each(|node| walk(node, visit)),
        Ast::MultiHash { elements, .. } => elements.iter().for_each(|pair| walk(&pair.value, visit)),
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => {}
    }
}

/// A result of JMESPath as plain data; `None` when it has more values than are left.
fn plain(value: &Variable, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match value {
        Variable::Null | Variable::Expref(_) => Value::Null,
        Variable::Bool(truth) => Value::Bool(*truth),
        Variable::Number(number) => Value::Number(number.clone()),
        Variable::String(text) => Value::String(text.clone()),
        Variable::Array(items) => items.iter().map(|item| plain(item, left)).collect::<Option<Vec<_>>>()?.into(),
        Variable::Object(members) => members
            .iter()
            .map(|(key, member)| Some((key.clone(), plain(member, left)?)))
            .collect::<Option<serde_json::Map<_, _>>>()?
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_give_data_and_their_keys_are_known() {
        let select = Select::compile("data.{id: id, state: status.code}").unwrap();
        let body = json!({"data": {"id": 9_007_199_254_740_993_u64, "status": {"code": "open"}}});
        assert_eq!(select.apply(&body), Ok(json!({"id": 9_007_199_254_740_993_u64, "state": "open"})));
        assert_eq!(select.keys(), Some(vec!["id".to_owned(), "state".to_owned()]));
        assert_eq!(Select::compile("items[].name").unwrap().keys(), None);
        assert_eq!(
            Select::compile("a.b.c").unwrap().chain(),
            Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
        );
        assert_eq!(Select::compile("@").unwrap().chain(), Some(vec![]));
        assert_eq!(Select::compile("a[0]").unwrap().chain(), None);
    }

    #[test]
    fn what_can_be_wrong_is_said_at_load() {
        let fault = |text: &str| Select::compile(text).unwrap_err();
        assert!(fault("data.[").why.contains("too early") || !fault("data.[").why.is_empty());
        assert_eq!(fault("lenght(@)").text, "lenght");
        assert!(fault("lenght(@)").why.contains("did you mean `length`?"));
        assert!(fault(&"[".repeat(20_000)).why.contains("bytes long"));
        assert!(fault(&"[".repeat(40)).why.contains("nested"));
        assert!(fault(&"!".repeat(2000)).why.contains("nested"));
    }

    #[test]
    fn an_expression_that_repeats_its_input_is_stopped() {
        let doubling = ["[@,@]"; 30].join("|");
        assert_eq!(Select::compile(&doubling).unwrap().apply(&json!(1)), Err("it gives too much".to_owned()));
    }

    #[test]
    fn every_function_that_is_suggested_exists() {
        for name in FUNCTIONS {
            assert!(DEFAULT_RUNTIME.get_function(name).is_some(), "{name}");
        }
    }
}
