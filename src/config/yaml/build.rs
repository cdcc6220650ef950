//! Events of the parser to nodes: keys, duplicates, anchors, merge keys, and the budget.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{
    Entry, Kind, Node,
    budget::{Budget, MAX_PROBLEMS},
    explain::{bracket_missing, duplicate, explain, invalid, unquoted, written_value},
    parser::{Event, ScalarStyle, ScanError, Span as Range, StructureStyle},
    scalar::plain,
};
use crate::diag::{Code, Diagnostic, FileId, Report, Span, quoted, suggest};

/// How many anchors are compared with the name of an alias that has none.
const NAMES_TO_SUGGEST: usize = 50;

/// Reading has been given up; the reason is in the report.
pub(super) struct Stop;

/// Makes a tree of nodes from the events of the parser, within the budget.
pub(super) struct Builder<'t, 'r> {
    file: FileId,
    text: &'t str,
    report: &'r mut Report,
    frames: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, Measured>,
    named: IndexMap<usize, Anchor>,
    budget: Budget,
    /// An unquoted template was found, which may be why the text makes no sense after it.
    trapped: bool,
    last: Span,
}

/// A list or map that is still open.
struct Frame {
    start: usize,
    style: StructureStyle,
    anchor: usize,
    /// Whether it stands where a key belongs, which no list or map can.
    as_key: bool,
    /// The unquoted `{{ … }}` that was taken for this map.
    template: Option<Span>,
    size: usize,
    depth: usize,
    end: usize,
    open: Open,
}

/// The name that `&` gives a value.
struct Anchor {
    name: String,
    span: Span,
    is_used: bool,
}

enum Open {
    List(Vec<Node>),
    Map { entries: IndexMap<String, (Span, Node)>, merged: Vec<Entry>, merge: Option<Span>, key: Option<Key> },
}

enum Key {
    Plain(String, Span),
    Merge(Span),
    /// A key that has been complained about; its value is dropped.
    Refused,
}

/// A node with the number of values in it and the levels below it.
struct Measured {
    node: Node,
    size: usize,
    depth: usize,
}

impl<'t, 'r> Builder<'t, 'r> {
    /// Begins with an empty tree.
    pub(super) fn new(file: FileId, text: &'t str, report: &'r mut Report) -> Self {
        Self {
            file,
            text,
            report,
            frames: Vec::new(),
            root: None,
            documents: 0,
            anchors: HashMap::new(),
            named: IndexMap::new(),
            budget: Budget::default(),
            trapped: false,
            last: Span::start_of(file),
        }
    }

    /// Takes the next event of the parser.
    pub(super) fn take(&mut self, event: Result<(Event<'_>, Range), ScanError>) -> Result<(), Stop> {
        match event {
            Ok((event, range)) => self.event(event, &range),
            Err(error) => {
                self.refuse(&error);
                Err(Stop)
            }
        }
    }

    fn event(&mut self, event: Event<'_>, range: &Range) -> Result<(), Stop> {
        let span = self.span(range);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.found(
                        invalid("a second document in one file")
                            .at(span, "another document begins here")
                            .help("put each document into a file of its own"),
                    );
                    return Err(Stop);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(range, span);
                }
                let bounds = self.budget.value();
                self.within(bounds, span)?;
                self.scalar(&text, style, anchor, span)?;
                self.last = span;
            }
            Event::SequenceStart(style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(range, span);
                }
                self.open(span, style, anchor, Open::List(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(range, span);
                }
                let map = Open::Map { entries: IndexMap::new(), merged: Vec::new(), merge: None, key: None };
                self.open(span, style, anchor, map)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(span)?;
                self.last = span;
            }
            Event::Anchor(anchor, name) => {
                self.named.insert(anchor, Anchor { name: name.into_owned(), span, is_used: false });
            }
            Event::Alias(anchor) => {
                if let Some(named) = self.named.get_mut(&anchor) {
                    named.is_used = true;
                }
                self.alias(anchor, span)?;
            }
            Event::UnresolvedAlias(name) => {
                let known = self.named.values().rev().take(NAMES_TO_SUGGEST).map(|it| it.name.as_str());
                let hint = suggest(&name, known).map(|it| format!("; did you mean `*{it}`?"));
                let bounds = self.budget.alias();
                self.within(bounds, span)?;
                self.found(
                    invalid(format!("alias {} has no anchor", quoted(&format!("*{name}"))))
                        .at(span, format!("no `&{name}` stands before it{}", hint.as_deref().unwrap_or_default())),
                );
                if self.expects_key() {
                    self.set_key(Key::Refused);
                } else {
                    self.put(leaf(Kind::Null, span), 0)?;
                }
            }
            _ => {}
        }
        let bounds = self.budget.problems();
        self.within(bounds, span)
    }

    /// Gives the tree once all events are taken.
    pub(super) fn finish(mut self) -> Option<Node> {
        if self.root.is_none() {
            let finding = if self.text.trim().is_empty() {
                invalid("the file is empty").at(Span::start_of(self.file), "nothing here")
            } else {
                invalid("the file holds nothing but comments").at(Span::start_of(self.file), "no key in this file")
            };
            self.found(finding);
        }
        for Anchor { name, span, .. } in self.named.into_values().filter(|it| !it.is_used).take(MAX_PROBLEMS) {
            let finding = Diagnostic::new(Code::UnusedAnchor, format!("anchor {} is never used", quoted(&name)));
            self.report.push(finding.at(span, format!("no alias {} follows", quoted(&format!("*{name}")))));
        }
        self.root
    }

    fn open(&mut self, span: Span, style: StructureStyle, anchor: usize, open: Open) -> Result<(), Stop> {
        let bounds = self.budget.value().and_then(|()| Budget::depth(self.frames.len() + 1));
        self.within(bounds, span)?;
        let as_key = self.expects_key();
        if as_key {
            self.refuse_key(span, style, matches!(open, Open::Map { .. }));
        }
        self.frames.push(Frame {
            start: span.start,
            style,
            anchor,
            as_key,
            template: None,
            size: 1,
            depth: 0,
            end: span.end,
            open,
        });
        Ok(())
    }

    /// A list or map where a key belongs: most often an unquoted template, which YAML takes for
    /// a map whose key is a map.
    fn refuse_key(&mut self, span: Span, style: StructureStyle, is_map: bool) {
        let in_flow = self.frames.iter().rev().nth(1).is_some_and(|it| it.style == StructureStyle::Flow);
        let outer = self.frames.last_mut();
        let adjacent = outer.filter(|it| {
            is_map && style == StructureStyle::Flow && it.style == StructureStyle::Flow && it.start + 1 == span.start
        });
        if let Some(outer) = adjacent {
            let template = written_value(self.file, self.text, outer.start, in_flow);
            outer.template = Some(template);
            self.trapped = true;
            let finding = unquoted("{{ … }}", self.text, template);
            self.found(finding);
        } else {
            self.found(
                invalid("a list or map can't be a key")
                    .at(span, "a key is plain text")
                    .help("quote it if text was meant"),
            );
        }
    }

    fn close(&mut self, span: Span) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let end = match frame.style {
            StructureStyle::Flow => span.end,
            StructureStyle::Block => frame.end,
        };
        let span = Span::new(self.file, frame.start, end);
        if frame.as_key {
            self.set_key(Key::Refused);
            return Ok(());
        }
        let kind = match frame.open {
            _ if frame.template.is_some() => {
                let text = frame.template.and_then(|it| self.text.get(it.start..it.end));
                Kind::String(text.unwrap_or_default().to_owned())
            }
            Open::List(items) => Kind::List(items),
            Open::Map { mut entries, merged, .. } => {
                // What the map says itself wins over what is merged, the earlier merge over the
                // later.
                for Entry { key, key_span, value } in merged {
                    entries.entry(key).or_insert((key_span, value));
                }
                let entries = entries.into_iter().map(|(key, (key_span, value))| Entry { key, key_span, value });
                Kind::Map(entries.collect())
            }
        };
        let measured = Measured {
            node: leaf(kind, frame.template.unwrap_or(span)).node,
            size: frame.size,
            depth: frame.depth + 1,
        };
        self.put(measured, frame.anchor)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Stop> {
        if self.expects_key() {
            let key = match style {
                ScalarStyle::Plain if span.is_empty() => {
                    self.found(invalid("a key is missing").at(span, "expected a key before the `:`"));
                    Key::Refused
                }
                ScalarStyle::Plain if text == "<<" => Key::Merge(span),
                _ => Key::Plain(text.to_owned(), span),
            };
            if anchor > 0 {
                let kept = leaf(Kind::String(text.to_owned()), span);
                self.anchors.insert(anchor, kept);
            }
            self.set_key(key);
            return Ok(());
        }
        let span = match style {
            // The parser counts the blank lines below a block of text as part of it.
            ScalarStyle::Literal | ScalarStyle::Folded => self.trimmed(span),
            _ => span,
        };
        let kind = match style {
            ScalarStyle::Plain if span.is_empty() => Kind::Null,
            ScalarStyle::Plain => match plain(text) {
                Ok(kind) => kind,
                Err(why) => {
                    self.found(
                        Diagnostic::new(Code::InvalidValue, format!("{} is not a usable number", quoted(text)))
                            .at(span, why)
                            .help(format!("quote it if text was meant: {}", quoted(&format!("\"{text}\"")))),
                    );
                    Kind::String(text.to_owned())
                }
            },
            _ => Kind::String(text.to_owned()),
        };
        self.put(leaf(kind, span), anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let bounds = self.budget.alias();
        self.within(bounds, span)?;
        if self.expects_key() {
            self.found(invalid("an alias can't be a key").at(span, "a key is plain text"));
            self.set_key(Key::Refused);
            return Ok(());
        }
        let Some(found) = self.anchors.get(&anchor) else {
            self.found(invalid("an alias stands inside its own anchor").at(span, "this never ends"));
            return self.put(leaf(Kind::Null, span), 0);
        };
        let Measured { size, depth, .. } = *found;
        let bounds = self.budget.copy(size).and_then(|()| Budget::depth(self.frames.len() + depth));
        let mut node = match bounds {
            Ok(()) => found.node.clone(),
            Err(_) => return self.within(bounds, span),
        };
        node.alias = Some(span);
        self.put(Measured { node, size, depth }, 0)
    }

    /// Puts a finished value where it belongs: into the open list or map, or at the top.
    fn put(&mut self, it: Measured, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            let bounds = self.budget.copy(it.size);
            self.within(bounds, it.node.span)?;
            let kept = Measured { node: it.node.clone(), ..it };
            self.anchors.insert(anchor, kept);
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(it.node);
            return Ok(());
        };
        frame.size += it.size;
        frame.depth = frame.depth.max(it.depth);
        frame.end = frame.end.max(it.node.place().end);
        let refused = match &mut frame.open {
            Open::List(items) => {
                items.push(it.node);
                Ok(())
            }
            Open::Map { entries, merged, merge, key } => match key.take() {
                Some(Key::Plain(key, span)) => {
                    frame.end = frame.end.max(span.end);
                    if let Some((first, _)) = entries.get(&key) {
                        Err(duplicate(&key, *first, span))
                    } else {
                        entries.insert(key, (span, it.node));
                        Ok(())
                    }
                }
                Some(Key::Merge(span)) => match merge.replace(span) {
                    Some(first) => Err(duplicate("<<", first, span).help("merge a list of maps: `<<: [*a, *b]`")),
                    None => merge_into(merged, it.node, span),
                },
                Some(Key::Refused) | None => Ok(()),
            },
        };
        if let Err(finding) = refused {
            self.found(finding);
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let open = self.frames.last().map(|it| &it.open);
        matches!(open, Some(Open::Map { key: None, .. }))
    }

    fn set_key(&mut self, new: Key) {
        let open = self.frames.last_mut().map(|it| &mut it.open);
        if let Some(Open::Map { key, .. }) = open {
            *key = Some(new);
        }
    }

    fn found(&mut self, finding: Diagnostic) {
        self.budget.problems += 1;
        self.report.push(finding);
    }

    /// Goes on while the budget lasts; where it ends, reading ends.
    fn within(&mut self, bounds: Result<(), String>, span: Span) -> Result<(), Stop> {
        bounds.map_err(|what| {
            let finding = Diagnostic::new(Code::YamlBudget, "the file grows too large to be read safely");
            self.report.push(finding.at(span, what));
            Stop
        })
    }

    fn refuse_tag(&mut self, range: &Range, span: Span) {
        let tag = range.tag_span().map_or(span, |tag| self.span(&tag));
        let written = self.text.get(tag.start..tag.end).unwrap_or_default();
        let help = if written == "!!str" {
            "quote the value to make it text"
        } else if written.starts_with("!!") {
            "leave the tag out; YAML finds the type by itself"
        } else {
            "leave the tag out; for an environment variable write `${NAME}`, and for text that \
             begins with `!` quote it"
        };
        self.found(
            invalid(format!("YAML tags such as {} are not allowed", quoted(written))).at(tag, "a tag").help(help),
        );
    }

    // === text that is no YAML ===

    fn refuse(&mut self, error: &ScanError) {
        if self.trapped {
            return;
        }
        let at = error.marker().byte_offset().unwrap_or(0);
        let finding = self.unquoted_in_flow(at).unwrap_or_else(|| {
            let finding = explain(error.kind(), self.file, self.text, at);
            match self.frames.last() {
                Some(open) if open.style == StructureStyle::Flow && bracket_missing(error.kind()) => {
                    let bracket = Span::new(self.file, open.start, open.start + 1);
                    finding.also(bracket, "opened here")
                }
                _ => finding,
            }
        });
        self.found(finding);
    }

    /// `{ a: ${X} }`: inside of braces a `{` ends unquoted text.
    fn unquoted_in_flow(&self, at: usize) -> Option<Diagnostic> {
        let (before, after) = self.text.split_at_checked(at)?;
        let in_flow = self.frames.last().is_some_and(|it| it.style == StructureStyle::Flow);
        if !in_flow || !after.starts_with('{') {
            return None;
        }
        let what = if before.ends_with('$') {
            "${…}"
        } else if after.starts_with("{{") {
            "{{ … }}"
        } else {
            return None;
        };
        let value = written_value(self.file, self.text, self.last.start, true);
        Some(unquoted(what, self.text, value))
    }

    fn span(&self, range: &Range) -> Span {
        let start = range.start.byte_offset().unwrap_or(0);
        let end = range.end.byte_offset().unwrap_or(start);
        Span::new(self.file, start, end)
    }

    fn trimmed(&self, span: Span) -> Span {
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        Span::new(span.file, span.start, span.start + text.trim_end().len())
    }
}

fn leaf(kind: Kind, span: Span) -> Measured {
    let node = Node { span, alias: None, kind };
    Measured { node, size: 1, depth: 0 }
}

/// Adds the entries of a merged map, or of each map of a merged list.
fn merge_into(merged: &mut Vec<Entry>, node: Node, key: Span) -> Result<(), Diagnostic> {
    let refused = |span| {
        let finding = invalid("`<<` merges maps, and this is none");
        Err(finding.at(span, "expected a map or a list of maps").also(key, "merged here"))
    };
    match node.kind {
        Kind::Map(entries) => merged.extend(entries),
        Kind::List(items) => {
            for item in items {
                let Kind::Map(entries) = item.kind else {
                    return refused(item.span);
                };
                merged.extend(entries);
            }
        }
        _ => return refused(node.span),
    }
    Ok(())
}
