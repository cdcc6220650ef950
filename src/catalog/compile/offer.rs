//! What clients may show and use besides words: icons, data of their own, sets of tools, and suggestions.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};

use super::{Compiler, Place, TIMEOUT};
use crate::catalog::{
    Binding, BodyTemplate, Complete, Encoding, Icon, Location, Look, Operation, PathTemplate, Skill, Source,
    Suggestions,
};
use crate::config::BridgeDocument;
use crate::config::bridge::{CompleteSourceSpec, CompleteSpec, IconSpec, ThemeSpec};
use crate::config::skills::{SKILL_MD, SkillFiles};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, suggest};

/// The largest picture that may stand in a list, in bytes: clients read it again and again.
const MAX_ICON: usize = 32 << 10;
/// How long suggestions of an API are kept unless `cache` says otherwise.
const KEEP: Duration = Duration::from_mins(1);
/// How often a resource may be looked at.
const WATCH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn look(&mut self, at: &Cursor<'_>, icons: &[IconSpec], meta: &Map<String, Value>) -> Look {
        let icons = icons.iter().enumerate();
        let icons = icons.filter_map(|(index, icon)| self.icon(&at.get("icons").index(index), icon)).collect();
        for name in meta.keys() {
            let at = at.get("meta").get(name);
            if is_reserved(name) {
                let words = format!("`{name}` can't be a name under `meta`");
                let label = "names of the protocol and of tollbridge are reserved; use a domain of your own";
                self.push(at.key_error(Code::InvalidName, words, label));
            } else if !is_meta_name(name) {
                let words = format!("`{name}` can't be a name under `meta`");
                let label = "a name such as `team`, or `com.example/team` with a prefix of your own";
                self.push(at.key_error(Code::InvalidName, words, label));
            }
        }
        Look { icons, meta: meta.clone() }
    }

    fn icon(&mut self, at: &Cursor<'_>, spec: &IconSpec) -> Option<Icon> {
        let (icon, at) = match spec {
            IconSpec::Source(src) => {
                (Icon { src: src.clone(), mime_type: None, sizes: Vec::new(), dark: None }, at.clone())
            }
            IconSpec::Icon(spec) => {
                let icon = Icon {
                    src: spec.src.clone(),
                    mime_type: spec.mime_type.clone(),
                    sizes: spec.sizes.clone(),
                    dark: spec.theme.map(|theme| theme == ThemeSpec::Dark),
                };
                for (index, size) in icon.sizes.iter().enumerate().filter(|(_, size)| !is_size(size)) {
                    self.push(at.get("sizes").index(index).error(
                        Code::InvalidValue,
                        format!("`{size}` is not a size"),
                        "width and height, such as `48x48`, or `any`",
                    ));
                }
                (icon, at.get("src"))
            }
        };
        let why = if icon.src.starts_with("data:image/") {
            (icon.src.len() > MAX_ICON).then_some("clients read it with each list: 32 KiB at most; use an https URL")
        } else if url::Url::parse(&icon.src).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
            None
        } else {
            Some("an https URL, or `data:image/…;base64,…`")
        };
        if let Some(why) = why {
            self.push(at.error(Code::InvalidUrl, "this can't be an icon", why));
            return None;
        }
        Some(icon)
    }

    pub(super) fn skills(&mut self, at: &Cursor<'_>, document: &BridgeDocument) -> Vec<Skill> {
        let SkillFiles { files, skills } = match &document.skills {
            None => return Vec::new(),
            Some(Ok(read)) => read.clone(),
            Some(Err(error)) => {
                let words = "the folder of skills can't be used";
                self.push(at.error(Code::InvalidFileReference, words, error.to_string()));
                return Vec::new();
            }
        };
        if !files.iter().any(|(path, _)| path.ends_with(SKILL_MD)) {
            self.push(at.error(
                Code::InvalidSkill,
                "there is no skill in this folder",
                "each folder in it with a `SKILL.md` is one",
            ));
        }
        let files: Vec<(String, Bytes)> = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
        let mut known = Vec::with_capacity(skills.len());
        for (path, about) in skills {
            let others = self.bridges.iter().flat_map(|bridge| &bridge.skills);
            if others.chain(&known).any(|other| other.path == path) {
                let words = format!("two skills have the path `{path}`");
                self.push(at.error(Code::DuplicateName, words, "the path of a skill is unique in the directory"));
            }
            let inside = format!("{path}/");
            let files = files.iter().filter(|(file, _)| file.starts_with(&inside)).cloned().collect();
            known.push(Skill { path, about, files });
        }
        known
    }

    pub(super) fn toolsets(&mut self, at: &Cursor<'_>, names: &[String]) -> Vec<String> {
        for (index, name) in names.iter().enumerate() {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                self.push(at.index(index).error(
                    Code::InvalidName,
                    format!("`{name}` can't be the name of a set of tools"),
                    "1 to 64 of `a-z 0-9 _ -`: it stands in URLs",
                ));
            }
        }
        names.to_vec()
    }

    pub(super) fn watch(&mut self, at: &Cursor<'_>, written: Option<&str>, is_asked: bool) -> Option<Duration> {
        let words = "write a whole number and a unit, such as `60s`; from `1s` to `24h`";
        let watch = self.bounded(at, written?, &WATCH, words);
        if !is_asked {
            self.push(at.key_error(
                Code::ConflictingKeys,
                "`watch` is about an `endpoint`, and this resource has none",
                "drop it: changes of what stands in files are seen at once",
            ));
        }
        watch
    }

    /// What is suggested for one of `names`, the arguments of a prompt or the variables of a URI.
    pub(super) fn complete(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        spec: Option<&CompleteSpec>,
        name: &str,
        names: &[&str],
    ) -> Complete {
        match spec {
            None => Complete::Nothing,
            Some(CompleteSpec::Values(known)) => Complete::Known(known.clone()),
            Some(CompleteSpec::Source(CompleteSourceSpec { only: Some(only), endpoint: None, .. })) => {
                Complete::Only(only.clone())
            }
            Some(CompleteSpec::Source(source @ CompleteSourceSpec { only: None, endpoint: Some(endpoint), .. })) => {
                let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
                let asked = self.suggestions(place, at, source, endpoint, &others);
                asked.map_or(Complete::Nothing, |asked| Complete::Asked(Box::new(asked)))
            }
            Some(CompleteSpec::Source(_)) => {
                self.push(at.key_error(
                    Code::ConflictingKeys,
                    "suggestions come from exactly one of `enum` and `endpoint`",
                    "write a list, `enum: […]`, or `endpoint: GET …`",
                ));
                Complete::Nothing
            }
        }
    }

    fn suggestions(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        spec: &CompleteSourceSpec,
        written: &str,
        others: &[&str],
    ) -> Option<Suggestions> {
        let select = spec.select.as_deref().and_then(|text| self.select(&at.get("select"), text));
        let keep = self.timeout(&at.get("cache"), spec.cache.as_deref()).unwrap_or(KEEP);
        let at = at.get("endpoint");
        let (method, path) = self.endpoint(&at, written)?;
        if method != Method::GET {
            let finding = Diagnostic::new(Code::InvalidEndpoint, "suggestions are asked for with GET");
            self.push(finding.at(at.find(self.sources, method.as_str()), "a user only types"));
            return None;
        }
        if place.document.spec.upstream.is_none() {
            self.push(at.error(
                Code::MissingUpstream,
                "suggestions come from an endpoint, but the bridge has no `upstream`",
                "which API is this endpoint of?",
            ));
        }
        let words = ("no other argument or variable has that name", "what is chosen before this");
        self.known_in_path(&at, &path, others, words)?;
        let bindings = path.names().map(|name| argument(name, Location::Path)).collect();
        let operation = public_get(path, bindings, place.upstream_timeout.unwrap_or(TIMEOUT));
        Some(Suggestions { operation, select, wire_name: spec.wire_name.clone(), keep })
    }

    /// Whether all names in a path are known.
    pub(super) fn known_in_path(
        &mut self,
        at: &Cursor<'_>,
        path: &PathTemplate,
        known: &[&str],
        (why, label): (&str, &str),
    ) -> Option<()> {
        let mut is_known = true;
        for name in path.names().filter(|name| !known.contains(name)) {
            is_known = false;
            let span = at.find(self.sources, &format!("{{{name}}}"));
            let label = match suggest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {{{near}}}?"),
                None => label.to_owned(),
            };
            let words = format!("the path uses {{{name}}}, but {why}");
            self.push(Diagnostic::new(Code::UnknownPathName, words).at(span, label));
        }
        is_known.then_some(())
    }
}

/// A part of the request that is an argument of the same name.
pub(super) fn argument(name: &str, location: Location) -> Binding {
    Binding { name: name.to_owned(), source: Source::Argument, location, required: true, encoding: Encoding::Plain }
}

/// A GET without anything of the caller in it.
pub(super) fn public_get(path: PathTemplate, bindings: Vec<Binding>, timeout: Duration) -> Operation {
    Operation {
        method: Method::GET,
        path,
        bindings,
        body: BodyTemplate::Members,
        template_claims: Vec::new(),
        has_templates: false,
        timeout,
        pages: None,
        cache: None,
        job: None,
    }
}

/// Names whose prefix has `modelcontextprotocol` or `mcp` as its second label are the protocol's (MCP, `_meta`).
fn is_reserved(name: &str) -> bool {
    let Some((prefix, _)) = name.split_once('/') else { return matches!(name, "progressToken") };
    let mut labels = prefix.split('.');
    let (first, second) = (labels.next(), labels.next());
    matches!(second.or(first), Some("modelcontextprotocol" | "mcp" | "tollbridge"))
}

fn is_meta_name(name: &str) -> bool {
    let (prefix, last) = match name.split_once('/') {
        Some((prefix, last)) => (Some(prefix), last),
        None => (None, name),
    };
    let ends = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let label = |text: &str| ends(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let last_fits = ends(last) && last.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    last_fits && prefix.is_none_or(|prefix| prefix.split('.').all(label))
}

fn is_size(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "any" || text.split_once('x').is_some_and(|(width, height)| number(width) && number(height))
}
