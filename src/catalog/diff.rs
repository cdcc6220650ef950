//! What changes from one catalogue to another: for the model, for the API, and for who may call.

mod narrow;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use url::Url;

use super::{Access, Annotations, Bridge, Catalog, Prompt, Resource, ResourceContent, Tool};
use narrow::narrows;

/// The longest value that is shown, in characters.
const MAX_VALUE: usize = 120;
/// Keys of a parameter that say where its value comes from and goes; all others are its JSON Schema.
const BINDING: [&str; 8] = ["in", "as", "claim", "value", "style", "explode", "join", "reserved"];
/// What is told of keys whose values are nobody's business.
const HIDDEN: [&str; 3] = ["credentials", "headers", "tls"];

/// The changes, bridge by bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogDiff {
    /// What changes.
    pub changes: Vec<Change>,
}

/// A thing that is added, removed or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the bridge.
    pub bridge: String,
    /// `bridge`, `tool`, `resource` or `prompt`.
    pub what: &'static str,
    /// Its name, or its URI.
    pub name: String,
    /// What becomes of it.
    pub kind: Kind,
    /// What exactly; empty for what is added or removed.
    pub details: Vec<Detail>,
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// One thing about a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Who notices.
    pub side: Side,
    /// What, in words.
    pub text: String,
    /// Whether something that worked may fail now.
    pub is_breaking: bool,
}

/// Who notices a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The model, and whoever reads the result.
    Model,
    /// The API.
    Api,
    /// The callers: who may call.
    Access,
}

/// A tool as a model knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Face {
    title: Option<String>,
    description: Option<String>,
    input: Map<String, Value>,
    output: Option<Map<String, Value>>,
    annotations: Value,
}

/// What is written in a file about one thing, for comparison: JSON without places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(Box<str>);

// === impl CatalogDiff ===

impl CatalogDiff {
    /// Compares two catalogues.
    #[must_use]
    pub fn new(old: &Catalog, new: &Catalog) -> Self {
        let mut changes = Vec::new();
        let names = |catalog: &Catalog| catalog.bridges.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        for name in union(names(old), names(new)) {
            let find = |catalog: &Catalog| catalog.bridges.iter().position(|bridge| bridge.name == name);
            let both = (find(old), find(new));
            let bridges = (both.0.and_then(|it| old.bridge(it)), both.1.and_then(|it| new.bridge(it)));
            let mut push = |what, name: &str, change: Option<(Kind, Vec<Detail>)>| {
                let bridge = bridges.0.or(bridges.1).map(|it| it.name.clone()).unwrap_or_default();
                changes.extend(change.map(|(kind, details)| Change {
                    bridge,
                    what,
                    name: name.to_owned(),
                    kind,
                    details,
                }));
            };
            push("bridge", &name, compared(bridges.0, bridges.1, bridge));
            let of = |index: Option<usize>| move |it: &usize| Some(*it) == index;
            let tools = pairs(
                old.tools.values().filter(|it| of(both.0)(&it.bridge)).map(|it| (it.name.as_str(), it)),
                new.tools.values().filter(|it| of(both.1)(&it.bridge)).map(|it| (it.name.as_str(), it)),
            );
            for (name, old, new) in tools {
                push("tool", name, compared(old, new, tool));
            }
            let read = pairs(
                resources(old).filter(|it| of(both.0)(&it.bridge)).map(|it| (it.uri.as_str(), it)),
                resources(new).filter(|it| of(both.1)(&it.bridge)).map(|it| (it.uri.as_str(), it)),
            );
            for (uri, old, new) in read {
                push("resource", uri, compared(old, new, resource));
            }
            let prompts = pairs(
                old.prompts.values().filter(|it| of(both.0)(&it.bridge)).map(|it| (it.name.as_str(), it)),
                new.prompts.values().filter(|it| of(both.1)(&it.bridge)).map(|it| (it.name.as_str(), it)),
            );
            for (name, old, new) in prompts {
                push("prompt", name, compared(old, new, prompt));
            }
        }
        Self { changes }
    }

    /// Compares tools as models know them, by name.
    #[must_use]
    pub fn of_faces(old: &BTreeMap<String, Face>, new: &BTreeMap<String, Face>) -> Self {
        let both = pairs(
            old.iter().map(|(name, face)| (name.as_str(), face)),
            new.iter().map(|(name, face)| (name.as_str(), face)),
        );
        let change = |(name, old, new): (&str, Option<&Face>, Option<&Face>)| {
            let (kind, details) = compared(old, new, face)?;
            Some(Change { bridge: String::new(), what: "tool", name: name.to_owned(), kind, details })
        };
        Self { changes: both.into_iter().filter_map(change).collect() }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many things are added, removed and changed, and how many of them break something.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        let of = |kind| self.changes.iter().filter(|change| change.kind == kind).count();
        let breaking = self.changes.iter().filter(|change| change.is_breaking()).count();
        [
            ("added", of(Kind::Added)),
            ("removed", of(Kind::Removed)),
            ("changed", of(Kind::Changed)),
            ("breaking", breaking),
        ]
    }

    /// Whether something that worked may fail now.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        self.changes.iter().any(Change::is_breaking)
    }

    /// What breaks something, each with what it is in words.
    pub fn breaking(&self) -> impl Iterator<Item = (&Change, &str)> {
        self.changes.iter().filter(|change| change.is_breaking()).map(|change| {
            let detail = change.details.iter().find(|detail| detail.is_breaking);
            (change, detail.map_or("is gone", |detail| detail.text.as_str()))
        })
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let detail = |it: &Detail| json!({ "side": it.side.word(), "text": it.text, "breaking": it.is_breaking });
        let change = |it: &Change| {
            json!({
                "bridge": it.bridge, "what": it.what, "name": it.name, "kind": it.kind.word(),
                "breaking": it.is_breaking(), "details": it.details.iter().map(detail).collect::<Vec<_>>(),
            })
        };
        let counts: Map<String, Value> =
            self.counts().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        json!({ "format_version": "1.0", "counts": counts, "changes": self.changes.iter().map(change).collect::<Vec<_>>() })
    }
}

/// Line by line, a sign before each thing: `+` added, `-` removed, `~` changed; `!` marks what breaks something.
impl fmt::Display for CatalogDiff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let mark = if change.is_breaking() && change.details.is_empty() { "   !" } else { "" };
            writeln!(formatter, "{} {} {}{mark}", change.kind.sign(), change.what, change.name)?;
            for detail in &change.details {
                let mark = if detail.is_breaking { "   !" } else { "" };
                writeln!(formatter, "    {:6} {}{mark}", detail.side.word(), detail.text)?;
            }
        }
        Ok(())
    }
}

// === impl Change ===

impl Change {
    /// Whether something that worked may fail now.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        self.kind == Kind::Removed || self.details.iter().any(|detail| detail.is_breaking)
    }
}

// === impl Kind ===

impl Kind {
    /// `added`, `removed` or `changed`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    /// `+`, `-` or `~`.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }
}

// === impl Side ===

impl Side {
    /// `model`, `API` or `access`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Api => "API",
            Self::Access => "access",
        }
    }
}

// === impl Face ===

impl Face {
    /// A tool of a catalogue.
    #[must_use]
    pub fn of(tool: &Tool) -> Self {
        let Annotations { read_only, idempotent, destructive, open_world } = tool.annotations;
        Self {
            title: tool.title.clone(),
            description: tool.description.clone(),
            input: tool.input.schema().clone(),
            output: tool.output.clone(),
            annotations: json!({
                "readOnlyHint": read_only, "destructiveHint": destructive,
                "idempotentHint": idempotent, "openWorldHint": open_world,
            }),
        }
    }

    /// A tool as `tools/list` shows it.
    #[must_use]
    pub fn read(listed: &Value) -> Self {
        let text = |key: &str| listed.get(key).and_then(Value::as_str).map(str::to_owned);
        let map = |key: &str| listed.get(key).and_then(Value::as_object).cloned();
        Self {
            title: text("title"),
            description: text("description"),
            input: map("inputSchema").unwrap_or_default(),
            output: map("outputSchema"),
            annotations: listed.get("annotations").cloned().unwrap_or_default(),
        }
    }
}

// === impl Written ===

impl Written {
    /// Keeps what is written.
    #[must_use]
    pub fn new(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    fn read(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

// === comparison ===

fn compared<T>(old: Option<&T>, new: Option<&T>, changed: fn(&T, &T) -> Vec<Detail>) -> Option<(Kind, Vec<Detail>)> {
    match (old, new) {
        (None, None) => None,
        (None, Some(_)) => Some((Kind::Added, Vec::new())),
        (Some(_), None) => Some((Kind::Removed, Vec::new())),
        (Some(old), Some(new)) => Some((Kind::Changed, changed(old, new))).filter(|(_, details)| !details.is_empty()),
    }
}

fn bridge(old: &Bridge, new: &Bridge) -> Vec<Detail> {
    let mut details = Vec::new();
    told(&mut details, "title", old.title.as_deref(), new.title.as_deref());
    told(&mut details, "instructions", old.instructions.as_deref(), new.instructions.as_deref());
    let origin = |bridge: &Bridge| {
        let url = bridge.upstream.as_ref().map(|upstream| upstream.url.to_string());
        url.map(|url| Url::parse(&url).map_or(url, |url| url.origin().ascii_serialization()))
    };
    let moved = origin(old) != origin(new);
    // What a tool needs is told of each tool.
    let is_told = |key: &str| matches!(key.split('.').next(), Some("title" | "instructions" | "access"));
    for (key, text) in written(&old.written, &new.written, &|key| !is_told(key)) {
        details.push(Detail { side: Side::Api, text, is_breaking: moved && key == "upstream.url" });
    }
    details
}

fn tool(old: &Tool, new: &Tool) -> Vec<Detail> {
    let mut details = face(&Face::of(old), &Face::of(new));
    let covered = |key: &str| {
        let parts: Vec<&str> = key.split('.').collect();
        match parts.as_slice() {
            ["title" | "description" | "annotations" | "access", ..] | ["response", "schema", ..] => true,
            ["parameters", _, key, ..] => !BINDING.contains(key),
            _ => false,
        }
    };
    for (key, text) in written(&old.written, &new.written, &|key| !covered(key)) {
        let is_shown = ["response", "icons", "meta", "toolsets"].contains(&key.split('.').next().unwrap_or_default());
        let side = if is_shown { Side::Model } else { Side::Api };
        details.push(Detail { side, text, is_breaking: false });
    }
    access(&mut details, &old.access, &new.access);
    details
}

fn face(old: &Face, new: &Face) -> Vec<Detail> {
    let mut details = Vec::new();
    told(&mut details, "title", old.title.as_deref(), new.title.as_deref());
    told(&mut details, "description", old.description.as_deref(), new.description.as_deref());
    let mut add = |text: String, is_breaking| details.push(Detail { side: Side::Model, text, is_breaking });
    let empty = Map::new();
    let properties = |face: &Face| face.input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required = |face: &Face| -> BTreeSet<String> {
        let listed = face.input.get("required").and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (was, is) = (properties(old), properties(new));
    let (needed, needs) = (required(old), required(new));
    for name in union(was.keys().cloned().collect(), is.keys().cloned().collect()) {
        match (was.get(&name), is.get(&name)) {
            (None, _) if needs.contains(&name) => add(format!("new argument `{name}`, which is required"), true),
            (None, _) => add(format!("new argument `{name}`"), false),
            (Some(_), None) => add(format!("argument `{name}` is gone"), true),
            (Some(was), Some(is)) => {
                let text = |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
                let (before, after) = (text(was), text(is));
                if before != after {
                    add(
                        changed(&format!("argument `{name}`: description"), before.as_deref(), after.as_deref()),
                        false,
                    );
                }
                let (was, is) = (bare(was), bare(is));
                if was != is {
                    let (was, is) = (shown(&was), shown(&is));
                    let is_narrower = narrows(&bare_of(old, &name), &bare_of(new, &name));
                    add(format!("argument `{name}`: {was} → {is}"), is_narrower);
                }
                match (needed.contains(&name), needs.contains(&name)) {
                    (false, true) => add(format!("argument `{name}` is required now"), true),
                    (true, false) => add(format!("argument `{name}` is not required any more"), false),
                    _ => {}
                }
            }
        }
    }
    if old.output != new.output {
        let (was, is) = (old.output.as_ref(), new.output.as_ref());
        // More may be promised; what was promised must still be there.
        let keeps = was.is_none_or(|was| holds(&was.clone().into(), &is.unwrap_or(&empty).clone().into()));
        let text = match (was, is) {
            (None, _) => "the result has a schema now",
            (_, None) => "the result has no schema any more",
            _ => "another schema of the result",
        };
        add(text.to_owned(), !keeps);
    }
    for (name, was) in old.annotations.as_object().unwrap_or(&empty) {
        let is = new.annotations.get(name).unwrap_or(&Value::Null);
        if was != is {
            add(format!("{name}: {was} → {is}"), false);
        }
    }
    details
}

fn bare_of(face: &Face, name: &str) -> Value {
    face.input.get("properties").and_then(|it| it.get(name)).map(bare).unwrap_or_default()
}

fn resource(old: &Resource, new: &Resource) -> Vec<Detail> {
    let mut details = Vec::new();
    told(&mut details, "title", old.title.as_deref(), new.title.as_deref());
    told(&mut details, "description", old.description.as_deref(), new.description.as_deref());
    let is_asked = |it: &Resource| matches!(it.content, ResourceContent::Endpoint(_));
    let side = if is_asked(old) || is_asked(new) { Side::Api } else { Side::Model };
    for (_, text) in written(&old.written, &new.written, &|key| !matches!(key, "title" | "description")) {
        details.push(Detail { side, text, is_breaking: false });
    }
    let of_file = |it: &Resource| match &it.content {
        ResourceContent::Fixed(text) => Some(text.clone().into_bytes()),
        ResourceContent::Blob(bytes) => Some(bytes.to_vec()),
        _ => None,
    };
    if details.is_empty() && of_file(old) != of_file(new) {
        details.push(Detail { side, text: "another content of its file".to_owned(), is_breaking: false });
    }
    details
}

fn prompt(old: &Prompt, new: &Prompt) -> Vec<Detail> {
    let required = |prompt: &Prompt, name: &str| prompt.arguments.iter().any(|it| it.name == name && it.required);
    let mut details = Vec::new();
    for argument in new.arguments.iter().filter(|it| it.required && !required(old, &it.name)) {
        let text = format!("argument `{}` is required now", argument.name);
        details.push(Detail { side: Side::Model, text, is_breaking: true });
    }
    for argument in old.arguments.iter().filter(|it| !new.arguments.iter().any(|other| other.name == it.name)) {
        let text = format!("argument `{}` is gone", argument.name);
        details.push(Detail { side: Side::Model, text, is_breaking: true });
    }
    for (_, text) in written(&old.written, &new.written, &|key| !key.ends_with(".required")) {
        details.push(Detail { side: Side::Model, text, is_breaking: false });
    }
    details
}

fn access(details: &mut Vec<Detail>, old: &Access, new: &Access) {
    let mut add = |text: String, is_breaking| details.push(Detail { side: Side::Access, text, is_breaking });
    for scope in new.scopes.iter().filter(|scope| !old.scopes.contains(scope)) {
        add(format!("needs the scope {scope}"), true);
    }
    for scope in old.scopes.iter().filter(|scope| !new.scopes.contains(scope)) {
        add(format!("does not need the scope {scope} any more"), false);
    }
    for groups in new.groups.iter().filter(|groups| !old.groups.contains(groups)) {
        // A list that only grew lets more callers in.
        let grew = old.groups.iter().any(|before| before.iter().all(|group| groups.contains(group)));
        add(format!("is for the groups {}", groups.join(", ")), !grew);
    }
    if new.groups.len() < old.groups.len() {
        add("is for fewer lists of groups".to_owned(), false);
    }
    let conditions = |access: &Access| access.when.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
    let (was, is) = (conditions(old), conditions(new));
    for condition in is.iter().filter(|it| !was.contains(it)) {
        add(format!("only when {condition}"), true);
    }
    for condition in was.iter().filter(|it| !is.contains(it)) {
        add(format!("no longer only when {condition}"), false);
    }
}

// === what is written ===

/// The leaves that differ, by their keys joined with dots, each with its words; only those that `wanted` lets through.
fn written(old: &Written, new: &Written, wanted: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    if old == new {
        return Vec::new();
    }
    let leaves = |it: &Written| {
        let mut found = Vec::new();
        flatten(&it.read(), &mut String::new(), &mut found);
        found
    };
    let (was, is) = (leaves(old), leaves(new));
    let find =
        |leaves: &[(String, Value)], key: &str| leaves.iter().find(|(name, _)| name == key).map(|(_, it)| it.clone());
    let keys = |leaves: &[(String, Value)]| leaves.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let mut found = Vec::new();
    let mut hidden: BTreeSet<String> = BTreeSet::new();
    for key in union(keys(&was), keys(&is)).into_iter().filter(|key| wanted(key)) {
        let (before, after) = (find(&was, &key), find(&is, &key));
        if before == after {
            continue;
        }
        let secret = key.strip_prefix("upstream.").map(|rest| rest.split('.').next().unwrap_or_default());
        if let Some(secret) = secret.filter(|it| HIDDEN.contains(it)) {
            if hidden.insert(secret.to_owned()) {
                found.push((format!("upstream.{secret}"), format!("upstream.{secret}: changed")));
            }
            continue;
        }
        let text = |it: &Option<Value>| it.as_ref().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
        found.push((key.clone(), changed(&key, text(&before).as_deref(), text(&after).as_deref())));
    }
    found
}

fn flatten(value: &Value, key: &mut String, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let length = key.len();
                if length > 0 {
                    key.push('.');
                }
                key.push_str(name);
                flatten(member, key, found);
                key.truncate(length);
            }
        }
        leaf => found.push((key.clone(), leaf.clone())),
    }
}

// === words ===

fn told(details: &mut Vec<Detail>, key: &str, old: Option<&str>, new: Option<&str>) {
    if old != new {
        details.push(Detail { side: Side::Model, text: changed(key, old, new), is_breaking: false });
    }
}

fn changed(key: &str, old: Option<&str>, new: Option<&str>) -> String {
    match (old, new) {
        (Some(old), Some(new)) => format!("{key}: {} → {}", short(old), short(new)),
        (None, Some(new)) => format!("{key}: {} (new)", short(new)),
        (Some(old), None) => format!("{key}: {} (gone)", short(old)),
        (None, None) => key.to_owned(),
    }
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(MAX_VALUE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

fn shown(schema: &Value) -> String {
    short(&schema.to_string())
}

/// A schema without what only explains it.
fn bare(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        for key in ["title", "description", "examples"] {
            members.shift_remove(key);
        }
    }
    schema
}

/// Whether all of the one is in the other.
fn holds(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(name, value)| other.get(name).is_some_and(|it| holds(value, it)))
        }
        (Value::Array(one), Value::Array(other)) => one.iter().all(|item| other.contains(item)),
        (one, other) => one == other,
    }
}

// === pairs ===

fn resources(catalog: &Catalog) -> impl Iterator<Item = &Resource> {
    catalog.resources.values().chain(&catalog.resource_templates)
}

/// All of the first in their order, and then what only the second has.
fn union(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    let more: Vec<String> = second.into_iter().filter(|it| !first.contains(it)).collect();
    first.into_iter().chain(more).collect()
}

type Pairs<'a, T> = Vec<(&'a str, Option<&'a T>, Option<&'a T>)>;

fn pairs<'a, T>(
    old: impl Iterator<Item = (&'a str, &'a T)>,
    new: impl Iterator<Item = (&'a str, &'a T)>,
) -> Pairs<'a, T> {
    let mut left: indexmap::IndexMap<&str, &T> = new.collect();
    let mut found: Pairs<'a, T> = old.map(|(name, old)| (name, Some(old), left.shift_remove(name))).collect();
    found.extend(left.into_iter().map(|(name, new)| (name, None, Some(new))));
    found
}
