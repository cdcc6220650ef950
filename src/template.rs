//! `{{ … }}` fenced in: the only module that names minijinja. Templates make data, not text, and can reach nothing
//! but the values they are given: no environment, no files, no includes, bounded work and bounded output.

mod conditions;
mod rehearsal;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::machinery::{Instruction, Instructions, get_compiled_template};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde};
use minijinja::{AutoEscape, Environment, ErrorKind, Expression, Template, UndefinedBehavior, Value as Dynamic};
use serde_json::{Map, Value};

pub use conditions::Condition;
pub use rehearsal::rehearse;

/// Steps a template may take before it is stopped.
const FUEL: u64 = 50_000;
/// Bytes a template may make.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// Bytes a template may be long.
const MAX_SOURCE: usize = 64 * 1024;

/// Expressions own their source, so one environment serves them all for the life of the process.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(fenced);

/// Collects the text templates of a catalogue while it is compiled.
pub struct Builder {
    environment: Environment<'static>,
    count: usize,
    /// The conditions met so far, if they are noted.
    conditions: Option<Vec<Condition>>,
}

/// The compiled text templates of a catalogue.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

/// A compiled string: what a leaf of YAML data is after loading.
pub enum Leaf {
    /// No template in it.
    Constant(String),
    /// One whole `{{ expression }}`: keeps the type of its value.
    Expression(Box<Expression<'static, 'static>>),
    /// Anything else makes a string. The name of a text template in [`Templates`].
    Text(String),
}

/// Why a template can't be compiled or did not give a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is not well-formed, or names a filter or function that does not exist.
    #[error("{0}")]
    Syntax(String),
    /// It names a filter, test or function that does not exist.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// `filter`, `test` or `function`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A value that is not there was used.
    #[error("{0}")]
    Undefined(String),
    /// Too much work or too much output.
    #[error("the template does too much work or makes too much text")]
    TooMuch,
    /// Any other failure while rendering.
    #[error("{0}")]
    Failed(String),
}

/// The values a template can see, by name.
pub struct Scope(Dynamic);

// === impl Builder ===

impl Default for Builder {
    fn default() -> Self {
        Self { environment: fenced(), count: 0, conditions: None }
    }
}

impl Builder {
    /// Templates that tell a rehearsal which way their conditions go.
    #[must_use]
    pub fn noting() -> Self {
        Self { conditions: Some(Vec::new()), ..Self::default() }
    }

    /// The conditions of the templates compiled so far; none unless they are noted.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        self.conditions.as_deref().unwrap_or_default()
    }

    /// Compiles a string.
    ///
    /// # Errors
    /// Returns [`TemplateError::Syntax`] when it is not well-formed, and [`TemplateError::Unknown`] when it names a filter,
    /// test or function that does not exist.
    pub fn leaf(&mut self, source: &str) -> Result<Leaf, TemplateError> {
        if !has_tag(source) {
            return Ok(Leaf::Constant(source.to_owned()));
        }
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::Syntax(format!("a template is at most {MAX_SOURCE} bytes long")));
        }
        // minijinja looks filters up when a template runs; an admin wants to know when it is loaded.
        let parsed = self.environment.template_from_str(source).map_err(|error| TemplateError::from_jinja(&error))?;
        known_names(&self.environment, &parsed)?;
        drop(parsed);
        let mut source = source.to_owned();
        if let Some(conditions) = &mut self.conditions {
            let (noted, found) = conditions::noted(&source, conditions.len());
            if self.environment.template_from_str(&noted).is_ok() {
                source = noted;
                conditions.extend(found);
            }
        }
        let source = source.as_str();
        if let Some(expression) = whole_expression(source) {
            let compiled = ENVIRONMENT
                .compile_expression_owned(expression.to_owned())
                .map_err(|error| TemplateError::from_jinja(&error))?;
            return Ok(Leaf::Expression(Box::new(compiled)));
        }
        let name = format!("t{}", self.count);
        self.count += 1;
        self.environment
            .add_template_owned(name.clone(), source.to_owned())
            .map_err(|error| TemplateError::from_jinja(&error))?;
        Ok(Leaf::Text(name))
    }

    /// Compiles an expression that stands without `{{ }}`, such as a condition.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] as [`Builder::leaf`] does.
    pub fn expression(&mut self, source: &str) -> Result<Leaf, TemplateError> {
        if has_tag(source) {
            return Err(TemplateError::Syntax("an expression is written without `{{ }}` here".to_owned()));
        }
        self.leaf(&format!("{{{{ {source} }}}}"))
    }

    /// The variables a compiled leaf uses, with their members where known: `args.start`, `claims.gpid`.
    #[must_use]
    pub fn variables(&self, leaf: &Leaf) -> BTreeSet<String> {
        let all = match leaf {
            Leaf::Constant(_) => return BTreeSet::new(),
            Leaf::Expression(expression) => expression.undeclared_variables(true),
            Leaf::Text(name) => match self.environment.get_template(name) {
                Ok(template) => template.undeclared_variables(true),
                Err(_) => return BTreeSet::new(),
            },
        };
        let functions: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
        all.into_iter().filter(|name| !functions.contains(&name.as_str())).collect()
    }

    /// Ends the compilation.
    #[must_use]
    pub fn finish(self) -> Templates {
        Templates(self.environment)
    }
}

// === impl Templates ===

impl Templates {
    /// Gives the value of a leaf; `None` when it is one whole expression whose value is undefined.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when rendering fails.
    pub fn value(&self, leaf: &Leaf, scope: &Scope) -> Result<Option<Value>, TemplateError> {
        match leaf {
            Leaf::Constant(text) => Ok(Some(Value::String(text.clone()))),
            Leaf::Expression(expression) => {
                let value = expression.eval(scope.0.clone()).map_err(|error| TemplateError::from_jinja(&error))?;
                if value.is_undefined() {
                    return Ok(None);
                }
                let value = serde_json::to_value(&value)
                    .map_err(|_| TemplateError::Failed("the value is not data".to_owned()))?;
                Ok(Some(value))
            }
            Leaf::Text(_) => self.text(leaf, scope).map(|text| Some(Value::String(text))),
        }
    }

    /// Gives a leaf as text.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when rendering fails or a whole expression is undefined.
    pub fn text(&self, leaf: &Leaf, scope: &Scope) -> Result<String, TemplateError> {
        let text = match leaf {
            Leaf::Constant(text) => text.clone(),
            Leaf::Expression(_) => match self.value(leaf, scope)? {
                Some(Value::String(text)) => text,
                Some(Value::Null) => String::new(),
                Some(value) => value.to_string(),
                None => return Err(TemplateError::Undefined("the value is undefined".to_owned())),
            },
            Leaf::Text(name) => self
                .0
                .get_template(name)
                .and_then(|template| template.render(scope.0.clone()))
                .map_err(|error| TemplateError::from_jinja(&error))?,
        };
        if text.len() > MAX_OUTPUT {
            return Err(TemplateError::TooMuch);
        }
        Ok(text)
    }
}

// === impl Scope ===

impl Scope {
    /// Gives templates these values, each under its name.
    #[must_use]
    pub fn new(values: &Map<String, Value>) -> Self {
        Self(Dynamic::from(Serde(values)))
    }
}

// === impl TemplateError ===

impl TemplateError {
    fn from_jinja(error: &minijinja::Error) -> Self {
        let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        match error.kind() {
            ErrorKind::UndefinedError => Self::Undefined(words),
            ErrorKind::OutOfFuel => Self::TooMuch,
            ErrorKind::SyntaxError | ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest => {
                Self::Syntax(words)
            }
            _ => Self::Failed(words),
        }
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(text) => write!(formatter, "Constant({text:?})"),
            Self::Expression(_) => formatter.write_str("Expression(…)"),
            Self::Text(name) => write!(formatter, "Text({name})"),
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Builder({})", self.count)
    }
}

/// An environment in which a template can do nothing but compute.
fn fenced() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // A block of YAML ends with a line break on purpose.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    // It prints everything a template can see; minijinja has it even without its `debug` feature.
    environment.remove_global("debug");
    environment.add_filter("b64encode", |text: &str| STANDARD.encode(text));
    environment.add_filter("b64decode", |text: &str| {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| failure("`b64decode` was given something that is not base64 of UTF-8 text"))
    });
    environment.add_filter("sha256", |text: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    environment.add_function("now", |format: Rest<String>| {
        let format = format.first().map_or("%Y-%m-%dT%H:%M:%SZ", String::as_str);
        let now = rehearsal::now().to_zoned(jiff::tz::TimeZone::UTC);
        jiff::fmt::strtime::format(format, &now).map_err(|_| failure("`now` was given a format it does not know"))
    });
    environment.add_function("uuid", rehearsal::uuid);
    environment.add_function(conditions::NOTE, |condition: usize, value: Dynamic| {
        rehearsal::decided(condition, value.is_true());
        value
    });
    environment
}

/// The filters that exist, for suggestions.
pub const FILTERS: [&str; 52] = [
    "abs",
    "attr",
    "b64decode",
    "b64encode",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sha256",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// The functions that exist, for suggestions.
pub const FUNCTIONS: [&str; 5] = ["dict", "namespace", "now", "range", "uuid"];

/// Refuses a template that names a filter, test or function that does not exist.
fn known_names(environment: &Environment<'_>, template: &Template<'_, '_>) -> Result<(), TemplateError> {
    let compiled = get_compiled_template(template);
    let all: [&Instructions<'_>; 1] = [&compiled.instructions];
    for instruction in all.iter().flat_map(|list| (0..).map_while(|index| list.get(index))) {
        let (what, name) = match instruction {
            Instruction::ApplyFilter(name, ..) => ("filter", *name),
            Instruction::PerformTest(name, ..) => ("test", *name),
            Instruction::CallFunction(name, ..) => ("function", *name),
            _ => continue,
        };
        let exists = match what {
            "function" => name != conditions::NOTE && environment.globals().any(|(known, _)| known == name),
            "filter" => is_known(environment, &format!("0|{name}"), ErrorKind::UnknownFilter),
            _ => is_known(environment, &format!("0 is {name}"), ErrorKind::UnknownTest),
        };
        if !exists {
            return Err(TemplateError::Unknown { what, name: name.to_owned() });
        }
    }
    Ok(())
}

/// There is no way to ask for a filter by name, so it is tried.
fn is_known(environment: &Environment<'_>, probe: &str, unknown: ErrorKind) -> bool {
    match environment.compile_expression(probe).and_then(|probe| probe.eval(())) {
        Ok(_) => true,
        Err(error) => error.kind() != unknown,
    }
}

fn failure(words: &'static str) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, words)
}

fn has_tag(source: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|tag| source.contains(tag))
}

/// The expression of a string that is one whole `{{ expression }}` and nothing else.
fn whole_expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner);
    // `{{ a }}-{{ b }}` begins and ends like one expression but is two: look for an end outside quotes.
    let mut quote = None;
    let mut escaped = false;
    let mut previous = ' ';
    for character in inner.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '\'' => quote = Some(character),
            None if character == '{' && previous == '{' => return None,
            Some(_) | None => {}
        }
        previous = character;
    }
    Some(inner.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn eval(source: &str, scope: &Value) -> Result<Option<Value>, TemplateError> {
        let mut builder = Builder::default();
        let leaf = builder.leaf(source)?;
        let scope = Scope::new(scope.as_object().unwrap());
        builder.finish().value(&leaf, &scope)
    }

    #[test]
    fn a_whole_expression_keeps_its_type_and_the_rest_makes_text() {
        let scope = json!({"args": {"n": 3, "list": [1, {"a": null}], "s": "x"}});
        assert_eq!(eval("{{ args.n }}", &scope), Ok(Some(json!(3))));
        assert_eq!(eval(" {{ args.list }} ", &scope), Ok(Some(json!([1, {"a": null}]))));
        assert_eq!(eval("{{ args.n }}!", &scope), Ok(Some(json!("3!"))));
        assert_eq!(eval("{{ args.s }}-{{ args.n }}", &scope), Ok(Some(json!("x-3"))));
        assert_eq!(eval("{{ '}}' ~ args.s }}", &scope), Ok(Some(json!("}}x"))));
        assert_eq!(eval("{{ args.none }}", &scope), Ok(None));
        assert!(matches!(eval("a{{ args.none }}", &scope), Err(TemplateError::Undefined(_))));
    }

    #[test]
    fn unknown_names_are_found_when_a_template_is_loaded() {
        let fault = |source: &str| Builder::default().leaf(source).unwrap_err();
        let unknown = |what, name: &str| TemplateError::Unknown { what, name: name.to_owned() };
        assert_eq!(fault("{{ args.x|uper }}"), unknown("filter", "uper"));
        assert_eq!(fault("a {% if x is evn %}{{ y }}{% endif %}"), unknown("test", "evn"));
        assert_eq!(fault("{{ nwo() }}"), unknown("function", "nwo"));
        assert_eq!(fault("{{ env('HOME') }}"), unknown("function", "env"));
        for name in FILTERS {
            assert!(Builder::default().leaf(&format!("{{{{ x|{name} }}}}")).is_ok(), "{name}");
        }
        for source in
            ["{{ x is defined }}", "{{ now() }}{{ uuid() }}", "{% for x in range(3) %}{{ loop.index }}{% endfor %}"]
        {
            assert!(Builder::default().leaf(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn values_are_never_read_as_templates() {
        let scope = json!({"args": {"s": "{{ 1 + 1 }}${HOME}"}});
        assert_eq!(eval("{{ args.s }}", &scope), Ok(Some(json!("{{ 1 + 1 }}${HOME}"))));
        assert_eq!(eval("<{{ args.s }}>", &scope), Ok(Some(json!("<{{ 1 + 1 }}${HOME}>"))));
    }

    #[test]
    fn the_fence_holds() {
        let scope = json!({});
        for source in [
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            "{{ 'x' * 1000000000 }}",
            "{% include '/etc/passwd' %}",
            "{{ debug() }}",
            "{{ env('HOME') }}",
            "{{ undefined_thing.x }}",
        ] {
            assert!(eval(source, &scope).is_err(), "{source}");
        }
    }

    #[test]
    fn filters_and_functions_work() {
        let scope = json!({"v": "hé"});
        assert_eq!(eval("{{ v|b64encode }}", &scope), Ok(Some(json!("aMOp"))));
        assert_eq!(eval("{{ v|b64encode|b64decode }}", &scope), Ok(Some(json!("hé"))));
        assert_eq!(
            eval("{{ ''|sha256 }}", &scope),
            Ok(Some(json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")))
        );
        assert!(matches!(eval("{{ '*'|b64decode }}", &scope), Err(TemplateError::Failed(_))));
        let today = eval("{{ now('%Y-%m-%d') }}", &scope).unwrap().unwrap();
        assert_eq!(today.as_str(), Some(jiff::Timestamp::now().strftime("%Y-%m-%d").to_string().as_str()));
    }

    #[test]
    fn variables_are_known_before_the_first_call() {
        let mut builder = Builder::default();
        let leaf = builder.leaf("{{ args.start }} {{ uuid() }} {% for s in body.shifts %}{{ s.a }}{% endfor %}");
        let names = builder.variables(&leaf.unwrap());
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["args.start", "body.shifts"]);
    }

    #[test]
    fn what_is_too_long_is_refused_before_and_after_it_is_rendered() {
        let long = format!("{{{{ 1 }}}}{}", "x".repeat(MAX_SOURCE));
        assert!(matches!(Builder::default().leaf(&long), Err(TemplateError::Syntax(_))));
        // Without a tag it is no template, however long.
        assert!(Builder::default().leaf(&"x".repeat(MAX_SOURCE + 1)).is_ok());
        let text = |length: usize| {
            let mut builder = Builder::default();
            let leaf = builder.leaf("{{ args.s }}").unwrap();
            let scope = json!({"args": {"s": "x".repeat(length)}});
            builder.finish().text(&leaf, &Scope::new(scope.as_object().unwrap()))
        };
        assert_eq!(text(MAX_OUTPUT).map(|text| text.len()), Ok(MAX_OUTPUT));
        assert_eq!(text(MAX_OUTPUT + 1), Err(TemplateError::TooMuch));
    }

    #[test]
    fn a_leaf_is_text_or_a_value_as_is_asked() {
        let mut builder = Builder::default();
        let mut leaf = |source: &str| builder.leaf(source).unwrap();
        let (plain, null, quoted) = (leaf("plain"), leaf("{{ args.null }}"), leaf(r#"{{ "\"}}" }}"#));
        let mixed = leaf("<{{ args.null }}>");
        assert!(builder.variables(&plain).is_empty());
        let kinds = [&plain, &null, &mixed].map(|leaf| format!("{leaf:?}"));
        assert_eq!(kinds[..2], [r#"Constant("plain")"#, "Expression(…)"]);
        assert!(kinds[2].starts_with("Text("), "{kinds:?}");
        assert_eq!(format!("{builder:?}"), "Builder(1)");
        let templates = builder.finish();
        let scope = Scope::new(json!({"args": {"null": null}}).as_object().unwrap());
        assert_eq!(templates.value(&plain, &scope), Ok(Some(json!("plain"))));
        assert_eq!(templates.text(&null, &scope), Ok(String::new()));
        assert_eq!(templates.value(&quoted, &scope), Ok(Some(json!("\"}}"))));
    }
}
