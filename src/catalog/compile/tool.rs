//! Tools: an endpoint, its bindings, its body and its answer.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use http::Method;

use super::parameter::{Parameter, ToolPlace};
use super::text::{Members, Names};
use super::{Compiler, Place, TIMEOUT, as_written, ask};
use crate::catalog::input::{Input, InputProperty};
use crate::catalog::{
    Annotations, Binding, BodyTemplate, CALL_TOOL, Data, FIND_TOOLS, FieldContent, Location, Operation, PathTemplate,
    RateLimit, Source, Tool,
};
use crate::config::bridge::{AnnotationsSpec, ContentSpec, PeriodSpec, RateLimitBySpec, RateLimitSpec, ToolSpec};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, suggest};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn tool(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        name: &str,
        spec: &ToolSpec,
        used_claims: &mut BTreeSet<String>,
    ) {
        let errors_before = self.report.counts().errors;
        self.tool_name(at, name);
        self.description(at, name, spec);
        let endpoint = spec.endpoint.as_deref().and_then(|text| self.endpoint(&at.get("endpoint"), text));
        self.has_api(place, at, name, spec);
        let tool_place = ToolPlace {
            place,
            method: endpoint.as_ref().map(|(method, _)| method),
            path: endpoint.as_ref().map(|(_, path)| path),
            has_body: spec.body.is_some(),
        };
        let parameters = self.parameters(&tool_place, at, spec, used_claims);
        let timeout = self.timeout(&at.get("timeout"), spec.timeout.as_deref());

        let arguments: Vec<String> =
            parameters.iter().filter_map(|it| it.property.as_ref()).map(|property| property.name.clone()).collect();
        let claims: Vec<String> = place.document.spec.claims.keys().cloned().collect();
        let names = || {
            Names::default()
                .with("args", Members::Known(arguments.clone()))
                .with("claims", Members::Known(claims.clone()))
                .with("server", Members::Known(vec!["name".to_owned(), "version".to_owned()]))
        };
        self.used_arguments = Some(BTreeSet::new());
        let mut shape_claims = BTreeSet::new();
        let questions = self.questions(at, &spec.ask, spec.confirm.as_deref(), &names, &mut shape_claims);
        let asked: Vec<String> = questions.iter().map(|question| question.name.clone()).collect();
        let names = || names().with("answers", Members::Known(asked.clone()));

        let mut template_claims = BTreeSet::new();
        let (bindings, properties) = self.split(place, at, spec, parameters, &names(), &mut template_claims);
        let body = match &spec.body {
            None => Some(BodyTemplate::Members),
            Some(body) => self.body(place, &at.get("body"), body, tool_place.method, &names(), &mut template_claims),
        };
        let mut shape =
            self.shape(&at.get("response"), &spec.response, names(), spec.endpoint.is_some(), &mut shape_claims);
        if spec.endpoint.is_none() {
            self.without_endpoint(at, name, spec);
        }
        // A parameter whose place is wrong has none; that has been said.
        if self.report.counts().errors == errors_before {
            self.unused_arguments(&at.get("parameters"), &bindings, &arguments);
        }
        let access = self.access(place, at, spec, used_claims);
        let rate_limit = spec.rate_limit.as_ref().and_then(rate_limit);
        let pages = spec.paginate.as_ref().and_then(|pages| self.pages(&at.get("paginate"), pages));
        let job = self.job(at, spec, endpoint.as_ref().map(|(_, path)| path));
        let cache = self.cache(&at.get("cache"), spec.cache.as_deref(), tool_place.method);
        if let Some(shape) = &mut shape {
            // An argument that the model must give is no way to get less.
            let optional = properties.iter().filter(|property| !property.required);
            shape.narrow_by = optional.map(|property| property.name.clone()).collect();
        }
        used_claims.extend(template_claims.iter().cloned());
        used_claims.extend(shape_claims.iter().cloned());

        let Some(input) = self.input(&at.get("parameters"), properties) else { return };
        let annotations = annotations(&spec.annotations, tool_place.method);
        let look = self.look(at, &spec.icons, &spec.meta);
        let toolsets = self.toolsets(&at.get("toolsets"), &spec.toolsets);
        let operation = match (endpoint, body) {
            (Some((method, path)), Some(body)) => Some(Operation {
                method,
                path,
                has_templates: needs_values(&bindings, &body),
                bindings,
                body,
                template_claims: template_claims.into_iter().collect(),
                timeout: timeout.or(place.upstream_timeout).unwrap_or(TIMEOUT),
                pages,
                cache,
                job,
            }),
            _ => None,
        };
        let tool = Tool {
            name: name.to_owned(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            input,
            annotations,
            look,
            toolsets,
            bridge: place.index,
            operation,
            output: spec.response.schema.clone(),
            shape: shape.unwrap_or_default(),
            shape_claims: shape_claims.into_iter().collect(),
            questions,
            requires: spec.requires.iter().copied().map(ask::capability).collect(),
            access,
            rate_limit,
            audits_arguments: spec.audit.is_some(),
            span: at.key_span(),
            place: format!("{}:{}", self.sources.name(at.key_span().file), self.sources.line_col(at.key_span())),
            written: as_written(at, &[]),
        };
        self.add(tool, at);
    }

    fn tool_name(&mut self, at: &Cursor<'_>, name: &str) {
        self.mcp_name(at, name, "tool");
        if [FIND_TOOLS, CALL_TOOL].contains(&name) {
            self.push(at.key_error(
                Code::InvalidName,
                format!("`{name}` can't be the name of a tool of yours"),
                "with `discovery: search`, tollbridge has a tool of this name",
            ));
        }
    }

    fn input(&mut self, at: &Cursor<'_>, properties: Vec<InputProperty>) -> Option<Input> {
        self.mcp_headers(at, &properties);
        Input::compile(properties)
            .map_err(|why| {
                let words = "the parameters make no valid JSON Schema";
                self.push(at.key_error(Code::InvalidSchema, words, why));
            })
            .ok()
    }

    fn has_api(&mut self, place: &Place<'_>, at: &Cursor<'_>, name: &str, spec: &ToolSpec) {
        if spec.endpoint.is_some() && place.document.spec.upstream.is_none() {
            self.push(at.get("endpoint").error(
                Code::MissingUpstream,
                format!("tool `{name}` has an endpoint, but the bridge has no `upstream`"),
                "which API is this endpoint of?",
            ));
        }
    }

    fn description(&mut self, at: &Cursor<'_>, name: &str, spec: &ToolSpec) {
        if spec.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
            self.push(at.key_error(
                Code::MissingDescription,
                format!("tool `{name}` has no description"),
                "a model chooses tools by their descriptions",
            ));
        }
    }

    fn add(&mut self, tool: Tool, at: &Cursor<'_>) {
        let name = tool.name.clone();
        if let Some((_, first)) = self.tools.get(&name) {
            let finding = at
                .key_error(
                    Code::DuplicateName,
                    format!("two tools are named `{name}`"),
                    "the name of a tool is unique in the directory",
                )
                .also(*first, "first used here");
            self.push(finding);
            return;
        }
        self.tools.insert(name, (tool, at.key_span()));
    }

    /// An argument that goes nowhere would make the model believe that it matters.
    fn unused_arguments(&mut self, at: &Cursor<'_>, bindings: &[Binding], arguments: &[String]) {
        let Some(used) = self.used_arguments.clone() else { return };
        for name in arguments {
            let is_bound = bindings.iter().any(|binding| binding.name == *name);
            if !is_bound && !used.contains(name) {
                self.push(at.get(name).key_error(
                    Code::UnusedParameter,
                    format!("parameter `{name}` goes nowhere"),
                    "no template uses it, and it has no place in the request",
                ));
            }
        }
    }

    pub(super) fn mcp_name(&mut self, at: &Cursor<'_>, name: &str, of: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            self.push(at.key_error(
                Code::InvalidName,
                format!("`{name}` can't be the name of a {of}"),
                "1 to 64 of `A-Z a-z 0-9 _ - .` (what MCP clients accept)",
            ));
        }
    }

    pub(super) fn endpoint(&mut self, at: &Cursor<'_>, written: &str) -> Option<(Method, PathTemplate)> {
        let Some((method, path)) = written.trim().split_once(char::is_whitespace) else {
            self.push(at.error(
                Code::InvalidEndpoint,
                format!("`{written}` is not an endpoint"),
                "write a method and a path, such as `GET /hr/employees/{employee}`",
            ));
            return None;
        };
        if !METHODS.contains(&method) {
            let span = at.find(self.sources, method);
            let label = match suggest(method, METHODS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}", METHODS.map(|known| format!("`{known}`")).join(", ")),
            };
            self.push(
                Diagnostic::new(Code::InvalidEndpoint, format!("`{method}` is not a method of an endpoint"))
                    .at(span, label),
            );
            return None;
        }
        match PathTemplate::parse(path.trim()) {
            Ok(template) => {
                // A checked list of upper-case words can't fail to be a method.
                Method::from_bytes(method.as_bytes()).ok().map(|method| (method, template))
            }
            Err(error) => {
                let span = at.find(self.sources, &error.text);
                let finding = Diagnostic::new(Code::InvalidEndpoint, "the path of this endpoint can't be used")
                    .at(span, error.why);
                self.push(finding);
                None
            }
        }
    }

    /// Splits parameters into bindings and the properties of the input schema, and compiles computed values.
    fn split(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        spec: &ToolSpec,
        parameters: Vec<Parameter>,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> (Vec<Binding>, Vec<InputProperty>) {
        let mut bindings = Vec::new();
        let mut properties = Vec::new();
        for Parameter { binding, property } in parameters {
            properties.extend(property);
            let Some(mut binding) = binding else { continue };
            if let Some(value) = spec.parameters.get(&binding.name).and_then(|parameter| parameter.value.as_ref()) {
                let at = at.get("parameters").get(&binding.name).get("value");
                if value.is_object() && !matches!(binding.location, Location::Body(_)) {
                    self.push(at.error(
                        Code::InvalidValue,
                        format!("an object can go only into the body, but `{}` does not", binding.name),
                        "write a single value",
                    ));
                }
                let compiled = self.data(&at, value, names, place.directory, claims);
                if binding.location == Location::Path && compiled.as_ref().is_some_and(Data::has_secret) {
                    self.push(at.error(
                        Code::VariableNotAllowed,
                        "`${…}` can't stand in the path",
                        "paths end up in logs; put it into `upstream.url`, a header or the query",
                    ));
                }
                if let (Source::Value(data), Some(compiled)) = (&mut binding.source, compiled) {
                    *data = compiled;
                }
            }
            bindings.push(binding);
        }
        (bindings, properties)
    }

    fn cache(&mut self, at: &Cursor<'_>, written: Option<&str>, method: Option<&Method>) -> Option<Duration> {
        let keep = self.timeout(at, written)?;
        if method.is_none_or(|method| *method != Method::GET) {
            self.push(at.key_error(
                Code::CacheNotAllowed,
                "only the answers of GET can be kept",
                "drop it: every call has to reach the API",
            ));
        }
        Some(keep)
    }

    fn without_endpoint(&mut self, at: &Cursor<'_>, name: &str, spec: &ToolSpec) {
        let has_parts = matches!(spec.response.content, Some(ContentSpec::Parts(_)));
        if spec.response.text.is_none() && !has_parts {
            self.push(at.key_error(
                Code::MissingKey,
                format!("tool `{name}` has neither `endpoint` nor `response.text`"),
                "what should it answer?",
            ));
        }
        let about_requests = [
            ("paginate", spec.paginate.is_some()),
            ("async", spec.slow.is_some()),
            ("timeout", spec.timeout.is_some()),
        ];
        for (key, _) in about_requests.into_iter().filter(|(_, is_written)| *is_written) {
            self.push(at.get(key).key_error(
                Code::ConflictingKeys,
                format!("`{key}` is about requests, but the tool has no `endpoint`"),
                "drop it, or write the `endpoint`",
            ));
        }
        if spec.body.is_some() {
            self.push(at.get("body").key_error(
                Code::BodyConflict,
                "there is no request to put this body in",
                "the tool has no `endpoint`",
            ));
        }
    }
}

fn rate_limit(spec: &RateLimitSpec) -> Option<RateLimit> {
    let per = Duration::from_secs(match spec.per {
        PeriodSpec::Second => 1,
        PeriodSpec::Minute => 60,
        PeriodSpec::Hour => 3_600,
        PeriodSpec::Day => 86_400,
    });
    // Zero calls are refused by the schema.
    let calls = NonZeroU32::new(spec.calls)?;
    Some(RateLimit { calls, per, by_caller: spec.by == RateLimitBySpec::Caller })
}

/// MCP's hints, from the method unless said otherwise.
fn annotations(spec: &AnnotationsSpec, method: Option<&Method>) -> Annotations {
    let is = |methods: &[Method]| method.is_none_or(|method| methods.contains(method));
    let reads = is(&[Method::GET, Method::HEAD]);
    let changes = method.is_some_and(|method| [Method::PUT, Method::PATCH, Method::DELETE].contains(method));
    Annotations {
        read_only: spec.read_only.unwrap_or(reads),
        idempotent: spec.idempotent.unwrap_or_else(|| is(&[Method::GET, Method::HEAD, Method::PUT, Method::DELETE])),
        destructive: spec.destructive.unwrap_or(changes),
        open_world: spec.open_world.unwrap_or(method.is_some()),
    }
}

fn needs_values(bindings: &[Binding], body: &BodyTemplate) -> bool {
    let computed = bindings.iter().any(|binding| matches!(&binding.source, Source::Value(data) if !data.is_constant()));
    computed
        || match body {
            BodyTemplate::Members => false,
            BodyTemplate::Json(data, _) | BodyTemplate::Text(data, _) | BodyTemplate::Base64(data, _) => {
                !data.is_constant()
            }
            BodyTemplate::Form(fields) => fields.iter().any(|(_, data)| !data.is_constant()),
            BodyTemplate::Multipart(fields) => fields.iter().any(|(_, field)| {
                let (FieldContent::Text(data) | FieldContent::Base64(data) | FieldContent::Json(data)) = &field.content;
                !data.is_constant() || field.filename.as_ref().is_some_and(|name| !name.is_constant())
            }),
        }
}
