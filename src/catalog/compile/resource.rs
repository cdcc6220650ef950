//! Resources: public data, the same for everyone. Whoever needs the caller's identity is a tool.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use http::Method;

use super::offer::{argument, public_get};
use super::prompt::role;
use super::text::{Members, Names};
use super::{Compiler, Place, TIMEOUT, as_written};
use crate::catalog::{Location, Operation, Resource, ResourceAnnotations, ResourceContent, UriTemplate, mime_type_of};
use crate::config::bridge::ResourceSpec;
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, suggest};

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn resource(&mut self, place: &Place<'_>, at: &Cursor<'_>, written: &str, spec: &ResourceSpec) {
        let uri = match UriTemplate::parse(written) {
            Ok(uri) => uri,
            Err(error) => {
                let finding =
                    at.key_error(Code::InvalidUri, format!("`{written}` can't be the URI of a resource"), error.why);
                self.push(finding);
                return;
            }
        };
        if let Some((_, first)) = self.resources.iter().find(|(resource, _)| resource.uri.as_str() == written) {
            let finding = at
                .key_error(
                    Code::DuplicateName,
                    format!("two resources have the URI `{written}`"),
                    "a URI is unique in the directory",
                )
                .also(*first, "first used here");
            self.push(finding);
            return;
        }
        let Some((content, mime_type)) = self.content(place, at, &uri, spec) else { return };
        for name in spec.complete.keys().filter(|name| !uri.variables().any(|variable| variable == *name)) {
            let known: Vec<&str> = uri.variables().collect();
            let label = match suggest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the URI has no such variable".to_owned(),
            };
            let at = at.get("complete").get(name);
            self.push(at.key_error(Code::InvalidValue, format!("nothing to complete is named `{name}`"), label));
        }
        let variables: Vec<&str> = uri.variables().collect();
        let complete = spec.complete.iter().map(|(name, complete)| {
            let at = at.get("complete").get(name);
            (name.clone(), self.complete(place, &at, Some(complete), name, &variables))
        });
        let complete = complete.collect();
        let is_asked = matches!(content, ResourceContent::Endpoint(_));
        let resource = Resource {
            complete,
            watch: self.watch(&at.get("watch"), spec.watch.as_deref(), is_asked),
            look: self.look(at, &spec.icons, &spec.meta),
            name: spec.name.clone().unwrap_or_else(|| name_of(written)),
            title: spec.title.clone(),
            description: spec.description.clone(),
            mime_type: spec.mime_type.clone().or_else(|| mime_type.map(str::to_owned)),
            bridge: place.index,
            content,
            annotations: ResourceAnnotations {
                audience: spec.annotations.audience.iter().map(|audience| role(*audience)).collect(),
                priority: spec.annotations.priority,
                last_modified: self.last_modified(at, spec),
            },
            uri,
            written: as_written(at, &[]),
        };
        self.resources.push((resource, at.key_span()));
    }

    fn content(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        uri: &UriTemplate,
        spec: &ResourceSpec,
    ) -> Option<(ResourceContent, Option<&'static str>)> {
        let mut names = Names::default();
        for variable in uri.variables() {
            names = names.with(variable, Members::Any);
        }
        let mut claims = BTreeSet::new();
        match (&spec.json, &spec.text, &spec.file, &spec.blob, &spec.endpoint) {
            (Some(value), None, None, None, None) => {
                let at = at.get("json");
                self.refuse_identity(&at)?;
                let data = self.data(&at, value, &names, place.directory, &mut claims)?;
                Some((ResourceContent::Json(data), Some("application/json")))
            }
            (None, Some(text), None, None, None) => {
                let at = at.get("text");
                self.refuse_identity(&at)?;
                let data = self.data(&at, &text.clone().into(), &names, place.directory, &mut claims)?;
                Some((ResourceContent::Text(data), Some("text/plain")))
            }
            (None, None, Some(name), None, None) => {
                self.file(place, &at.get("file"), name).map(|(content, mime_type)| (content, Some(mime_type)))
            }
            (None, None, None, None, Some(endpoint)) => {
                let operation = self.resource_endpoint(place, &at.get("endpoint"), uri, endpoint)?;
                Some((ResourceContent::Endpoint(Box::new(operation)), None))
            }
            (None, None, None, Some(blob), None) => {
                let compact: String = blob.split_ascii_whitespace().collect();
                let Ok(bytes) = STANDARD.decode(compact) else {
                    self.push(at.get("blob").error(
                        Code::InvalidValue,
                        "`blob` is not base64",
                        "write the bytes as base64 (RFC 4648), or use `file:`",
                    ));
                    return None;
                };
                Some((ResourceContent::Blob(bytes.into()), Some("application/octet-stream")))
            }
            _ => {
                self.push(at.key_error(
                    Code::ResourceContent,
                    "a resource has exactly one of `json`, `text`, `file`, `blob` and `endpoint`",
                    "what does this resource hold?",
                ));
                None
            }
        }
    }

    fn file(&mut self, place: &Place<'_>, at: &Cursor<'_>, name: &str) -> Option<(ResourceContent, &'static str)> {
        match place.document.files.get(name) {
            Some(Ok(bytes)) => Some(match String::from_utf8(bytes.clone()) {
                Ok(text) => (ResourceContent::Fixed(text), mime_type_of(name).unwrap_or("text/plain")),
                Err(error) => (
                    ResourceContent::Blob(error.into_bytes().into()),
                    mime_type_of(name).unwrap_or("application/octet-stream"),
                ),
            }),
            Some(Err(error)) => {
                self.push(at.error(
                    Code::InvalidFileReference,
                    format!("the file `{name}` can't be used"),
                    error.to_string(),
                ));
                None
            }
            None => None,
        }
    }

    /// A public GET. The variables of the URI fill the path; the others go into the query.
    fn resource_endpoint(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        uri: &UriTemplate,
        written: &str,
    ) -> Option<Operation> {
        let (method, path) = self.endpoint(at, written)?;
        if method != Method::GET {
            let finding = Diagnostic::new(
                Code::ResourceNeedsIdentity,
                format!("reading a resource changes nothing, but {method} may"),
            );
            let span = at.find(self.sources, method.as_str());
            self.push(finding.at(span, "only GET").help("make this a tool"));
            return None;
        }
        if place.document.spec.upstream.is_none() {
            self.push(at.error(
                Code::MissingUpstream,
                "this resource has an endpoint, but the bridge has no `upstream`",
                "which API is this endpoint of?",
            ));
        }
        if place.forwards_token {
            let root = Cursor::root(&place.document.tree);
            let credentials = root.get("upstream").get("credentials");
            self.push(
                at.error(
                    Code::ResourceNeedsIdentity,
                    "a resource can't depend on who is calling",
                    "the API would get the caller's own token",
                )
                .also(credentials.span(), "because of this")
                .help("resources are public data; make this a tool"),
            );
            return None;
        }
        let variables: Vec<&str> = uri.variables().collect();
        let words = ("the URI has no such variable", "not in the URI of the resource");
        self.known_in_path(at, &path, &variables, words)?;
        let location = |name: &str| {
            let is_in_path = path.names().any(|used| used == name);
            if is_in_path { Location::Path } else { Location::Query(name.to_owned()) }
        };
        let bindings = variables.iter().map(|name| argument(name, location(name))).collect();
        Some(public_get(path, bindings, place.upstream_timeout.unwrap_or(TIMEOUT)))
    }

    fn last_modified(&mut self, at: &Cursor<'_>, spec: &ResourceSpec) -> Option<String> {
        let written = spec.annotations.last_modified.as_ref()?;
        if written.parse::<jiff::Timestamp>().is_err() {
            self.push(at.get("annotations").get("last_modified").error(
                Code::InvalidValue,
                format!("`{written}` is not a point in time"),
                "such as `2026-01-31T12:00:00Z` (RFC 3339)",
            ));
        }
        Some(written.clone())
    }

    /// A resource is the same for everybody.
    fn refuse_identity(&mut self, at: &Cursor<'_>) -> Option<()> {
        let mut fault = None;
        super::collect_strings(at, &mut |at, text| {
            if ["claims.", "claims["].iter().any(|word| in_tags(text, word)) && fault.is_none() {
                fault = Some(at.find(self.sources, "claims"));
            }
        });
        let Some(span) = fault else { return Some(()) };
        self.push(
            Diagnostic::new(Code::ResourceNeedsIdentity, "a resource can't depend on who is calling")
                .at(span, "this needs the caller's identity")
                .help("resources are static, public data; make this a tool"),
        );
        None
    }
}

/// Whether a word stands inside a template tag.
fn in_tags(text: &str, word: &str) -> bool {
    text.split("{{").skip(1).any(|tail| tail.split("}}").next().is_some_and(|tag| tag.contains(word)))
}

/// `docs://api/time-off-policies` is named `time-off-policies`.
fn name_of(uri: &str) -> String {
    let path = uri.split_once(':').map_or(uri, |(_, path)| path);
    path.rsplit('/').find(|segment| !segment.is_empty() && !segment.contains('{')).unwrap_or(uri).to_owned()
}
