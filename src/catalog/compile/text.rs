//! Strings of the configuration: where `${…}` and `{{ … }}` stand, and which names they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Compiler;
use crate::catalog::data::{Data, MixedPiece};
use crate::catalog::{ConditionUse, VariableUse};
use crate::config::variable::{self, Segment, Variable};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, suggest};
use crate::secret::{Piece, SecretRef, Text};
use crate::template::{FILTERS, FUNCTIONS, Leaf, TemplateError};

/// The variables that a template may use.
#[derive(Default)]
pub(super) struct Names {
    roots: BTreeMap<String, Members>,
}

/// What may follow a variable's name.
pub(super) enum Members {
    /// Anything: the value is known only at call time.
    Any,
    /// One of these.
    Known(Vec<String>),
}

// === impl Names ===

impl Names {
    pub(super) fn with(mut self, root: &str, members: Members) -> Self {
        self.roots.insert(root.to_owned(), members);
        self
    }

    /// What is wrong with a variable such as `args.strat`: the word at fault and what to say about it.
    fn fault(&self, variable: &str) -> Option<(String, String)> {
        let mut parts = variable.split('.');
        let root = parts.next().unwrap_or_default();
        let Some(members) = self.roots.get(root) else {
            let known: Vec<&str> = self.roots.keys().map(String::as_str).collect();
            return Some((root.to_owned(), said(root, &known, "", "this template can use")));
        };
        match (members, parts.next()) {
            (Members::Known(known), Some(member)) if !known.iter().any(|name| name == member) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                Some((member.to_owned(), said(member, &known, root, &format!("`{root}` has"))))
            }
            _ => None,
        }
    }
}

fn said(wrong: &str, known: &[&str], root: &str, there_is: &str) -> String {
    let prefix = if root.is_empty() { String::new() } else { format!("{root}.") };
    match suggest(wrong, known.iter().copied()) {
        Some(near) => format!("did you mean `{prefix}{near}`?"),
        None if known.is_empty() && root == "claims" => "nothing is defined under `claims:`".to_owned(),
        None if known.is_empty() && root == "answers" => "nothing is asked before this".to_owned(),
        None if known.is_empty() && root == "args" => "the model supplies no parameter of this tool".to_owned(),
        None if known.is_empty() => format!("{there_is} nothing"),
        None => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("{there_is} {}", names.join(", "))
        }
    }
}

// === impl Compiler ===

impl Compiler<'_> {
    /// Compiles a string in which `${…}` may stand, but no template.
    pub(super) fn text(&mut self, at: &Cursor<'_>, written: &str, directory: &Path) -> Option<Text> {
        let mut text = Text::default();
        for segment in self.segments(at, written)? {
            text.push(match segment {
                Segment::Text(plain) => Piece::Plain(plain),
                Segment::Variable(variable) => Piece::Secret(self.variable(at, variable, directory)),
            });
        }
        Some(text)
    }

    /// Compiles data in whose strings templates and `${…}` may stand. Adds the claims that it uses to `claims`.
    pub(super) fn data(
        &mut self,
        at: &Cursor<'_>,
        value: &Value,
        names: &Names,
        directory: &Path,
        claims: &mut BTreeSet<String>,
    ) -> Option<Data> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(Data::Constant(value.clone())),
            Value::String(written) => self.string(at, written, names, directory, claims),
            Value::Array(items) => {
                let items: Vec<Option<Data>> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.data(&at.index(index), item, names, directory, claims))
                    .collect();
                let items: Vec<Data> = items.into_iter().collect::<Option<_>>()?;
                Some(if items.iter().all(is_plain) { Data::Constant(value.clone()) } else { Data::List(items) })
            }
            Value::Object(members) => {
                let members: Vec<Option<(String, Data)>> = members
                    .iter()
                    .map(|(key, member)| {
                        let data = self.data(&at.get(key), member, names, directory, claims)?;
                        Some((key.clone(), data))
                    })
                    .collect();
                let members: Vec<(String, Data)> = members.into_iter().collect::<Option<_>>()?;
                let plain = members.iter().all(|(_, data)| is_plain(data));
                Some(if plain { Data::Constant(value.clone()) } else { Data::Map(members) })
            }
        }
    }

    /// Compiles a string in which a template may stand, but no `${…}`.
    pub(super) fn leaf(
        &mut self,
        at: &Cursor<'_>,
        written: &str,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<Leaf> {
        let leaf = self.templates.leaf(written);
        self.checked(at, leaf, names, claims)
    }

    /// Compiles a condition: an expression without `{{ }}`.
    pub(super) fn condition(
        &mut self,
        at: &Cursor<'_>,
        written: &str,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<Leaf> {
        let leaf = self.templates.expression(written);
        self.checked(at, leaf, names, claims)
    }

    fn checked(
        &mut self,
        at: &Cursor<'_>,
        leaf: Result<Leaf, TemplateError>,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<Leaf> {
        for condition in self.templates.conditions().iter().skip(self.conditions.len()) {
            let span = at.find(self.sources, &condition.text);
            self.conditions.push(ConditionUse { condition: condition.clone(), span });
        }
        let leaf = match leaf {
            Ok(leaf) => leaf,
            Err(error) => {
                let finding = self.template_error(at, &error);
                self.push(finding);
                return None;
            }
        };
        for variable in self.templates.variables(&leaf) {
            if let Some((wrong, label)) = names.fault(&variable) {
                let span = at.find(self.sources, &wrong);
                let finding = Diagnostic::new(
                    Code::UnknownVariable,
                    format!("this template uses `{variable}`, which does not exist"),
                )
                .at(span, label);
                self.push(finding);
            } else if variable == "args" {
                self.used_arguments = None;
            } else if let (Some(name), Some(used)) = (variable.strip_prefix("args."), &mut self.used_arguments) {
                used.insert(name.split('.').next().unwrap_or_default().to_owned());
            } else if let Some(claim) = variable.strip_prefix("claims.") {
                claims.insert(claim.split('.').next().unwrap_or_default().to_owned());
            }
        }
        Some(leaf)
    }

    fn template_error(&self, at: &Cursor<'_>, error: &TemplateError) -> Diagnostic {
        let TemplateError::Unknown { what, name } = error else {
            return at.error(Code::TemplateSyntax, "this template can't be read", error.to_string());
        };
        let near = match *what {
            "filter" => suggest(name, FILTERS),
            "function" => suggest(name, FUNCTIONS),
            _ => None,
        };
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is no such {what}"),
        };
        Diagnostic::new(Code::UnknownFilter, format!("unknown {what} `{name}` in a template"))
            .at(at.find(self.sources, name), label)
    }

    fn string(
        &mut self,
        at: &Cursor<'_>,
        written: &str,
        names: &Names,
        directory: &Path,
        claims: &mut BTreeSet<String>,
    ) -> Option<Data> {
        let mut pieces = Vec::new();
        let mut has_secret = false;
        for segment in self.segments(at, written)? {
            pieces.push(match segment {
                Segment::Variable(variable) => {
                    has_secret = true;
                    MixedPiece::Secret(self.variable(at, variable, directory))
                }
                Segment::Text(text) => MixedPiece::Leaf(self.leaf(at, &text, names, claims)?),
            });
        }
        if has_secret {
            return Some(Data::Mixed(pieces));
        }
        match pieces.pop() {
            Some(MixedPiece::Leaf(Leaf::Constant(text))) => Some(Data::Constant(text.into())),
            Some(MixedPiece::Leaf(leaf)) => Some(Data::Template(leaf)),
            Some(MixedPiece::Secret(_)) | None => Some(Data::Constant(String::new().into())),
        }
    }

    fn segments(&mut self, at: &Cursor<'_>, written: &str) -> Option<Vec<Segment>> {
        match variable::split(written) {
            Ok(segments) => Some(segments),
            Err(malformed) => {
                let finding = Diagnostic::new(Code::InvalidVariable, "this `${…}` can't be read")
                    .at(at.find(self.sources, &malformed.text), malformed.why)
                    .help("write `$${` for a literal `${`");
                self.push(finding);
                None
            }
        }
    }

    fn variable(&mut self, at: &Cursor<'_>, variable: Variable, directory: &Path) -> SecretRef {
        let secret = SecretRef::new(self.variables.len(), variable.shown());
        let span = at.find(self.sources, &variable.written);
        self.variables.push(VariableUse { variable, span, directory: directory.to_owned() });
        secret
    }
}

fn is_plain(data: &Data) -> bool {
    matches!(data, Data::Constant(_))
}
