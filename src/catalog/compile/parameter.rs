//! Parameters: where each goes, and which one source it has.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value};

use super::upstream::RESERVED_HEADERS;
use super::{Compiler, Place, kind_of};
use crate::catalog::input::{self, Input, InputProperty};
use crate::catalog::{Binding, Data, Encoding, Location, PathTemplate, Source, Style};
use crate::config::bridge::{LocationSpec, ParamSpec, RequiredSpec, StyleSpec, ToolSpec};
use crate::config::yaml::{Cursor, meant};
use crate::diag::{Code, Diagnostic, suggest};
use crate::json_schema::{Checker, InvalidPart};

/// The argument by which STDIO callers may present their token.
const RESERVED_ARGUMENT: &str = "access_token";

/// What JSON Schema 2020-12 defines; anything else beside a parameter's own keys is a slip of the pen.
const SCHEMA_KEYWORDS: [&str; 58] = [
    "$schema",
    "$id",
    "$ref",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$comment",
    "$defs",
    "definitions",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "dependentRequired",
    "prefixItems",
    "items",
    "contains",
    "additionalProperties",
    "properties",
    "patternProperties",
    "dependentSchemas",
    "propertyNames",
    "if",
    "then",
    "else",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "unevaluatedItems",
    "unevaluatedProperties",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "required",
    "example",
];

/// Our own keys of a parameter, for suggestions.
const PARAMETER_KEYS: [&str; 11] =
    ["in", "as", "claim", "value", "default", "required", "description", "join", "style", "explode", "reserved"];

/// Keys that say what an argument may be.
const TYPE_KEYWORDS: [&str; 7] = ["type", "enum", "const", "oneOf", "anyOf", "allOf", "$ref"];

/// A parameter on its way to becoming a binding.
pub(super) struct Parameter {
    pub(super) binding: Option<Binding>,
    pub(super) property: Option<InputProperty>,
}

/// What the parameters of one tool need to know about it.
pub(super) struct ToolPlace<'a, 'd> {
    pub(super) place: &'a Place<'d>,
    pub(super) method: Option<&'a Method>,
    pub(super) path: Option<&'a PathTemplate>,
    pub(super) has_body: bool,
}

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn parameters(
        &mut self,
        tool: &ToolPlace<'_, '_>,
        at: &Cursor<'_>,
        spec: &ToolSpec,
        used_claims: &mut BTreeSet<String>,
    ) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        let parameters_at = at.get("parameters");
        for (name, parameter) in &spec.parameters {
            parameters.extend(self.parameter(tool, &parameters_at.get(name), name, parameter, used_claims));
        }
        self.unknown_path_names(tool, at, spec);
        self.same_place_twice(&parameters_at, &parameters);
        parameters
    }

    fn unknown_path_names(&mut self, tool: &ToolPlace<'_, '_>, at: &Cursor<'_>, spec: &ToolSpec) {
        let Some(path) = tool.path else { return };
        let endpoint_at = at.get("endpoint");
        for name in path.names() {
            if spec.parameters.contains_key(name) {
                continue;
            }
            let span = endpoint_at.find(self.sources, &format!("{{{name}}}"));
            let mut finding = Diagnostic::new(
                Code::UnknownPathName,
                format!("the path uses {{{name}}}, but no parameter has that name"),
            )
            .at(span, "not declared under `parameters:`");
            if let Some(near) = suggest(name, spec.parameters.keys().map(String::as_str)) {
                finding = finding.also(at.get("parameters").get(near).key_span(), "did you mean this one?");
            }
            self.push(finding);
        }
    }

    fn same_place_twice(&mut self, at: &Cursor<'_>, parameters: &[Parameter]) {
        let mut seen: Vec<(&Location, &str)> = Vec::new();
        for binding in parameters.iter().filter_map(|parameter| parameter.binding.as_ref()) {
            if binding.location == Location::Path {
                continue;
            }
            if let Some((_, first)) = seen.iter().find(|(location, _)| *location == &binding.location) {
                let finding = at
                    .get(&binding.name)
                    .key_error(
                        Code::DuplicateLocation,
                        format!("`{}` and `{first}` go to the same place of the request", binding.name),
                        "only one of them can be sent",
                    )
                    .also(at.get(first).key_span(), "the other one");
                self.push(finding);
            }
            seen.push((&binding.location, &binding.name));
        }
    }

    fn parameter(
        &mut self,
        tool: &ToolPlace<'_, '_>,
        at: &Cursor<'_>,
        name: &str,
        spec: &ParamSpec,
        used_claims: &mut BTreeSet<String>,
    ) -> Option<Parameter> {
        let location = self.location(tool, at, name, spec);
        let encoding = location.as_ref().map(|location| self.encoding(tool, at, name, spec, location));
        let encoding = encoding.flatten().unwrap_or_default();
        let optional = matches!(spec.required, Some(RequiredSpec::Parameter(false)));
        if let Some(claim) = &spec.claim {
            used_claims.insert(claim.clone());
            // A slip of the pen in a claim's name must not make the claim look unused too.
            let claims = tool.place.document.spec.claims.keys().map(String::as_str);
            used_claims.extend(suggest(claim, claims).map(str::to_owned));
            self.claim_source(tool, at, spec, claim);
            if optional && location == Some(Location::Path) {
                self.optional_path(at, name);
            }
            return Some(Parameter {
                binding: location.map(|location| Binding {
                    name: name.to_owned(),
                    source: Source::Claim(claim.clone()),
                    location,
                    required: !optional,
                    encoding,
                }),
                property: None,
            });
        }
        if let Some(value) = &spec.value {
            self.only_fixed(at, spec, "value");
            // Compiled in `split`, once all arguments are known.
            return Some(Parameter {
                binding: location.map(|location| Binding {
                    name: name.to_owned(),
                    source: Source::Value(Data::Constant(value.clone())),
                    location,
                    required: !optional,
                    encoding,
                }),
                property: None,
            });
        }
        if name == RESERVED_ARGUMENT {
            self.push(
                at.key_error(
                    Code::ReservedName,
                    format!("`{name}` can't be the name of an argument"),
                    "`stdio: { token: argument }` adds an argument of this name",
                )
                .help("choose another name and say `as: access_token`"),
            );
        }
        let property = self.property(at, name, spec, location.as_ref())?;
        if !property.required && property.default.is_none() && location == Some(Location::Path) {
            self.optional_path(at, name);
        }
        Some(Parameter {
            binding: location.map(|location| Binding {
                name: name.to_owned(),
                source: Source::Argument,
                location,
                required: property.required,
                encoding,
            }),
            property: Some(property),
        })
    }

    fn optional_path(&mut self, at: &Cursor<'_>, name: &str) {
        self.push(at.key_error(
            Code::InvalidPathParameter,
            format!("`{name}` is a segment of the path, so it can't be optional"),
            "drop `required: false`, or give it a `default`",
        ));
    }

    fn claim_source(&mut self, tool: &ToolPlace<'_, '_>, at: &Cursor<'_>, spec: &ParamSpec, claim: &str) {
        let claims = &tool.place.document.spec.claims;
        if !claims.contains_key(claim) {
            let mut label = "not defined under `claims:`".to_owned();
            if let Some(near) = suggest(claim, claims.keys().map(String::as_str)) {
                label = format!("{label}; did you mean `{near}`?");
            }
            self.push(at.get("claim").error(Code::UnknownClaim, format!("unknown claim `{claim}`"), label));
        }
        if spec.value.is_some() {
            self.push(at.key_error(
                Code::ConflictingKeys,
                "a parameter has exactly one source",
                "write `claim` or `value`, not both",
            ));
        }
        self.only_fixed(at, spec, "claim");
    }

    /// A parameter that the model can't set has no JSON Schema and no default.
    fn only_fixed(&mut self, at: &Cursor<'_>, spec: &ParamSpec, source: &str) {
        let extra = spec
            .schema
            .keys()
            .map(String::as_str)
            .filter(|key| !key.starts_with("x-"))
            .chain(spec.default.as_ref().map(|_| "default"));
        for key in extra.collect::<Vec<_>>() {
            if SCHEMA_KEYWORDS.contains(&key) {
                self.push(at.get(key).key_error(
                    Code::ConflictingKeys,
                    format!("`{key}` can't stand beside `{source}`"),
                    "the model can't set this parameter, so it has no schema",
                ));
            } else {
                self.unknown_key(at, key);
            }
        }
    }

    fn unknown_key(&mut self, at: &Cursor<'_>, key: &str) {
        let known = PARAMETER_KEYS.iter().chain(&SCHEMA_KEYWORDS).copied();
        let label = match suggest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "neither a key of a parameter nor a keyword of JSON Schema".to_owned(),
        };
        self.push(at.get(key).key_error(Code::UnknownKey, format!("unknown key `{key}`"), label));
    }

    /// Where a parameter goes; `None` when only templates use it.
    fn location(
        &mut self,
        tool: &ToolPlace<'_, '_>,
        at: &Cursor<'_>,
        name: &str,
        spec: &ParamSpec,
    ) -> Option<Location> {
        let in_path = tool.path.is_some_and(|path| path.names().any(|used| used == name));
        let wire = spec.wire_name.as_deref().unwrap_or(name);
        let written = match (spec.location, in_path) {
            (None | Some(LocationSpec::Path), true) => LocationSpec::Path,
            (Some(LocationSpec::Path), false) => {
                self.push(at.get("in").error(
                    Code::InvalidPathParameter,
                    format!("`{name}` is said to be in the path, but the path has no {{{name}}}"),
                    "name it in the endpoint, or choose another place",
                ));
                return None;
            }
            (Some(_), true) => {
                self.push(at.get("in").error(
                    Code::InvalidPathParameter,
                    format!("{{{name}}} stands in the path, so `{name}` goes there"),
                    "drop `in:`",
                ));
                return None;
            }
            (Some(location), false) => location,
            (None, false) => {
                let method = tool.method?;
                let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
                match (takes_body, tool.has_body) {
                    (false, _) => LocationSpec::Query,
                    (true, false) => LocationSpec::Body,
                    (true, true) => return None,
                }
            }
        };
        self.check_place(tool, at, name, spec, written)?;
        Some(match written {
            LocationSpec::Path => Location::Path,
            LocationSpec::Query => Location::Query(wire.to_owned()),
            LocationSpec::Cookie => Location::Cookie(wire.to_owned()),
            LocationSpec::Body => Location::Body(wire.to_owned()),
            LocationSpec::Header => {
                let header = self.header_name(at, wire)?;
                let from_model = spec.claim.is_none() && spec.value.is_none();
                let folded = header.as_str().replace('_', "-");
                if from_model && (folded == "forwarded" || folded.starts_with("x-forwarded-")) {
                    self.push(at.key_error(
                        Code::ReservedHeader,
                        format!("a model can't set header `{wire}`"),
                        "APIs read the caller's identity from it; use `claim` or `value`",
                    ));
                }
                debug_assert!(!RESERVED_HEADERS.contains(&folded.as_str()));
                Location::Header(header)
            }
        })
    }

    fn check_place(
        &mut self,
        tool: &ToolPlace<'_, '_>,
        at: &Cursor<'_>,
        name: &str,
        spec: &ParamSpec,
        written: LocationSpec,
    ) -> Option<()> {
        if written == LocationSpec::Path && spec.wire_name.is_some() {
            self.push(at.get("as").error(
                Code::ConflictingKeys,
                format!("`{name}` is a segment of the path; it has no name on the wire"),
                "drop `as:`",
            ));
        }
        if written == LocationSpec::Body {
            if tool.has_body {
                self.push(at.get("in").error(
                    Code::BodyConflict,
                    format!("`{name}` is said to be in the body, but `body:` says what the body is"),
                    "use it in `body:` as `{{ args.… }}`, or drop `body:`",
                ));
                return None;
            }
            if tool.method.is_some_and(|method| [Method::GET, Method::HEAD].contains(method)) {
                self.push(at.get("in").error(
                    Code::BodyNotAllowed,
                    "a GET or HEAD request has no body",
                    "use `in: query`",
                ));
                return None;
            }
        }
        let cookie_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let wire = spec.wire_name.as_deref().unwrap_or(name);
        if written == LocationSpec::Cookie && !wire.chars().all(cookie_name) {
            self.push(at.key_error(
                Code::InvalidName,
                format!("`{wire}` can't be the name of a cookie"),
                "letters, digits and `-`",
            ));
            return None;
        }
        Some(())
    }

    fn property(
        &mut self,
        at: &Cursor<'_>,
        name: &str,
        spec: &ParamSpec,
        location: Option<&Location>,
    ) -> Option<InputProperty> {
        let unknown: Vec<&String> = spec
            .schema
            .keys()
            .filter(|key| !SCHEMA_KEYWORDS.contains(&key.as_str()) && !key.starts_with("x-"))
            .collect();
        for key in unknown {
            self.unknown_key(at, key);
        }
        if !TYPE_KEYWORDS.iter().any(|key| spec.schema.contains_key(*key)) {
            let guess = spec.default.as_ref().map_or("string", kind_of);
            self.push(
                at.key_error(
                    Code::ParameterWithoutType,
                    format!("parameter `{name}` has no type"),
                    format!("say what the model may pass, such as `type: {guess}`"),
                )
                .help("a parameter that the model must not set has `claim:` or `value:`"),
            );
            return None;
        }
        let mut schema = Map::new();
        for (key, value) in &spec.schema {
            schema.insert(key.clone(), value.clone());
        }
        if let Some(text) = &spec.description {
            schema.insert("description".to_owned(), text.clone().into());
        }
        if let Some(value) = &spec.default {
            schema.insert("default".to_owned(), value.clone());
        }
        if let Some(RequiredSpec::Properties(names)) = &spec.required {
            schema.insert("required".to_owned(), names.clone().into());
        }
        let mut schema = Value::Object(schema);
        let written = schema.clone();
        if let Err(reference) = input::root_references(&mut schema, name) {
            let span = at.find(self.sources, &reference);
            let finding =
                Diagnostic::new(Code::InvalidSchema, format!("`{reference}` points outside the schema of `{name}`"))
                    .at(span, "only references that begin with `#/` are followed; nothing is fetched");
            self.push(finding);
            return None;
        }
        if let Err(InvalidPart { pointer, why }) = Checker::compile(&written) {
            let at = descend(at, &pointer);
            let why = if pointer == "/type" { unknown_type(&at) } else { why };
            self.push(at.error(Code::InvalidSchema, format!("the schema of parameter `{name}` is not valid"), why));
            return None;
        }
        self.check_default(at, name, spec, &schema);
        self.check_fit(at, name, spec, location);
        let required = spec.default.is_none() && !matches!(spec.required, Some(RequiredSpec::Parameter(false)));
        Some(InputProperty { name: name.to_owned(), schema, required, default: spec.default.clone() })
    }

    fn check_default(&mut self, at: &Cursor<'_>, name: &str, spec: &ParamSpec, schema: &Value) {
        let Some(default) = &spec.default else { return };
        let property = InputProperty { name: name.to_owned(), schema: schema.clone(), required: true, default: None };
        let Ok(input) = Input::compile(vec![property]) else { return };
        let arguments = Map::from_iter([(name.to_owned(), default.clone())]);
        if let Err(errors) = input.accept(arguments) {
            let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let finding = at.get("default").error(
                Code::InvalidValue,
                format!("the default of `{name}` does not fit its own schema"),
                words.join("; "),
            );
            self.push(match default.as_str().and_then(meant) {
                Some(instead) => finding.help(instead),
                None => finding,
            });
        }
    }

    /// A path segment, a header and a cookie hold one value; a query holds one or a list; only a body holds an object.
    /// `join` and `style` say how more fits.
    fn check_fit(&mut self, at: &Cursor<'_>, name: &str, spec: &ParamSpec, location: Option<&Location>) {
        let is = |kind: &str| match spec.schema.get("type") {
            Some(Value::String(text)) => text == kind,
            Some(Value::Array(kinds)) => kinds.iter().any(|text| text == kind),
            _ => false,
        };
        let (place, takes_lists, style) = match location {
            None | Some(Location::Body(_)) => return,
            Some(Location::Path) => ("a path segment", false, "style: simple"),
            Some(Location::Query(_)) => ("the query", true, "style: deepObject"),
            Some(Location::Header(_)) => ("a header", false, "style: simple"),
            Some(Location::Cookie(_)) => ("a cookie", false, ""),
        };
        let (list_fits, object_fits) = (spec.join.is_some() || spec.style.is_some(), spec.style.is_some());
        let (wrong, way_out) = if is("object") && !object_fits {
            ("an object", style)
        } else if is("array") && !takes_lists && !list_fits {
            ("a list", "join: \",\"")
        } else {
            return;
        };
        let mut finding = at.get("type").error(
            Code::InvalidValue,
            format!("{wrong} can't go into {place}, but `{name}` may be one"),
            format!("{place} holds {}", if takes_lists { "single values and lists of them" } else { "one value" }),
        );
        if !way_out.is_empty() {
            finding = finding.help(format!("`{way_out}` says how it becomes text"));
        }
        self.push(finding);
    }

    /// How a list or an object becomes text.
    fn encoding(
        &mut self,
        tool: &ToolPlace<'_, '_>,
        at: &Cursor<'_>,
        name: &str,
        spec: &ParamSpec,
        location: &Location,
    ) -> Option<Encoding> {
        let reserved = spec.reserved == Some(true);
        if [spec.join.is_some(), spec.style.is_some(), reserved].iter().filter(|is| **is).count() > 1 {
            self.push(at.key_error(
                Code::ConflictingKeys,
                "`join`, `style` and `reserved` are three ways to make text of a value",
                "write one of them",
            ));
            return None;
        }
        if reserved {
            let fits = *location == Location::Path && tool.path.is_some_and(|path| path.is_whole_segment(name));
            if !fits {
                self.push(at.get("reserved").key_error(
                    Code::InvalidStyle,
                    "`reserved` is for a whole segment of the path",
                    format!("write the endpoint as `…/{{{name}}}`, or drop `reserved`"),
                ));
            }
            return fits.then_some(Encoding::Segments);
        }
        if let Some(by) = &spec.join {
            if by.is_empty() {
                self.push(at.get("join").error(
                    Code::InvalidValue,
                    "items must be joined by something",
                    "such as `\",\"`",
                ));
            }
            return Some(Encoding::Join(by.clone()));
        }
        if spec.style.is_none() && spec.explode.is_none() {
            return Some(Encoding::Plain);
        }
        self.style(at, spec, location)
    }

    /// OpenAPI 3.1 section 4.8.12.2: which style goes where.
    fn style(&mut self, at: &Cursor<'_>, spec: &ParamSpec, location: &Location) -> Option<Encoding> {
        let (place, fitting): (_, &[StyleSpec]) = match location {
            Location::Path => ("the path", &[StyleSpec::Simple, StyleSpec::Label, StyleSpec::Matrix]),
            Location::Query(_) => (
                "the query",
                &[StyleSpec::Form, StyleSpec::SpaceDelimited, StyleSpec::PipeDelimited, StyleSpec::DeepObject],
            ),
            Location::Header(_) => ("a header", &[StyleSpec::Simple]),
            Location::Cookie(_) | Location::Body(_) => ("a cookie or the body", &[]),
        };
        let written = spec.style.or_else(|| fitting.first().copied());
        let Some(style) = written.filter(|style| fitting.contains(style)) else {
            let key = if spec.style.is_some() { "style" } else { "explode" };
            let label = if fitting.is_empty() {
                format!("{place} has no styles; use `join`")
            } else {
                let names: Vec<String> = fitting.iter().map(|style| format!("`{}`", style_name(*style))).collect();
                format!("in {place}: {}", names.join(", "))
            };
            self.push(at.get(key).key_error(Code::InvalidStyle, format!("this `{key}` does not fit its place"), label));
            return None;
        };
        let explode = spec.explode.unwrap_or(matches!(style, StyleSpec::Form | StyleSpec::DeepObject));
        let is_object = spec.schema.get("type").and_then(Value::as_str) == Some("object");
        if style == StyleSpec::Form && explode && is_object {
            // Each member becomes a parameter of its own; the model must not be able to name one that identity fills.
            self.push(at.get("style").key_error(
                Code::InvalidStyle,
                "with `style: form`, the model could name any parameter of the query",
                "use `style: deepObject` or `explode: false`, or declare each member as a parameter",
            ));
            return None;
        }
        Some(Encoding::Styled { style: style_of(style), explode })
    }
}

fn style_of(written: StyleSpec) -> Style {
    match written {
        StyleSpec::Form => Style::Form,
        StyleSpec::Simple => Style::Simple,
        StyleSpec::Label => Style::Label,
        StyleSpec::Matrix => Style::Matrix,
        StyleSpec::SpaceDelimited => Style::SpaceDelimited,
        StyleSpec::PipeDelimited => Style::PipeDelimited,
        StyleSpec::DeepObject => Style::DeepObject,
    }
}

fn style_name(style: StyleSpec) -> &'static str {
    match style {
        StyleSpec::Form => "form",
        StyleSpec::Simple => "simple",
        StyleSpec::Label => "label",
        StyleSpec::Matrix => "matrix",
        StyleSpec::SpaceDelimited => "spaceDelimited",
        StyleSpec::PipeDelimited => "pipeDelimited",
        StyleSpec::DeepObject => "deepObject",
    }
}

/// The place that a JSON Pointer leads to from here.
pub(super) fn descend<'a>(at: &Cursor<'a>, pointer: &str) -> Cursor<'a> {
    pointer.split('/').skip(1).fold(at.clone(), |at, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        match part.parse() {
            Ok(index) if at.items().next().is_some() => at.index(index),
            _ => at.get(&part),
        }
    })
}

fn unknown_type(at: &Cursor<'_>) -> String {
    const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];
    let written = at.text().unwrap_or_default();
    // What other languages call it.
    let meant = match written.to_ascii_lowercase().as_str() {
        "int" | "long" | "int32" | "int64" | "uint" => Some("type: integer"),
        "float" | "double" | "decimal" => Some("type: number"),
        "bool" => Some("type: boolean"),
        "str" | "text" => Some("type: string"),
        "list" | "tuple" | "set" => Some("type: array"),
        "dict" | "map" | "hash" | "struct" | "json" => Some("type: object"),
        "none" | "nil" => Some("type: 'null'"),
        "date" => Some("type: string, format: date"),
        "datetime" | "date-time" | "timestamp" => Some("type: string, format: date-time"),
        "time" => Some("type: string, format: time"),
        "email" => Some("type: string, format: email"),
        "uuid" | "guid" => Some("type: string, format: uuid"),
        "uri" | "url" => Some("type: string, format: uri"),
        "file" | "binary" | "bytes" => Some("type: string, contentEncoding: base64"),
        _ => None,
    };
    if let Some(meant) = meant {
        return format!("JSON Schema has no such type; write `{meant}`");
    }
    match suggest(written, TYPES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("a type is one of {}", TYPES.map(|known| format!("`{known}`")).join(", ")),
    }
}
