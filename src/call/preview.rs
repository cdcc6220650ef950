//! A request as people see it before anything is sent: every part with its source, secrets as `${NAME}`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::request::{ACCEPT, FieldValue, Origin, Pair, Request, RequestBody, Reveal, Shown};
use crate::catalog::{Credential, OnBehalf, UpstreamDef, VariableUse, encode_segment};
use crate::config::variable::Source as VariableSource;
use crate::secret::{Piece, Text};

/// What stands in place of the caller's token.
const TOKEN: &str = "<the caller's token>";
/// What stands in place of a token that is asked for.
const ISSUED: &str = "<a token that is issued to our client>";
const EXCHANGED: &str = "<a token in exchange for the caller's>";
/// What stands in place of a credential that is written out in the bridge file.
const WRITTEN_OUT: &str = "<hidden>";
/// Encloses the number of a `${…}` in a text that becomes a shell word; nobody's text holds these.
const MARKS: [char; 2] = ['\u{10fffe}', '\u{10ffff}'];

/// A request and the API it is for.
pub struct Preview<'a> {
    /// The request.
    pub request: &'a Request,
    /// The API.
    pub upstream: &'a UpstreamDef,
    /// Every `${…}` of the catalogue.
    pub variables: &'a [VariableUse],
}

/// A piece of text and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub source: FragmentSource,
}

/// Where a piece of a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentSource {
    /// The bridge file.
    Constant,
    /// The model.
    Argument,
    /// The caller's token.
    Claim,
    /// A template.
    Computed,
    /// A `${…}`, or the token itself.
    Secret,
}

/// A part of the request that has a source of its own: its place, its value and the source in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Such as `query start`.
    pub place: String,
    /// The value, before it is encoded.
    pub value: String,
    /// Such as ``argument `start_date` ``.
    pub source: String,
}

// === impl Preview ===

impl Preview<'_> {
    /// The head of the request, line by line.
    #[must_use]
    pub fn head(&self) -> Vec<Vec<Fragment>> {
        let mut first = vec![constant(format!("{} ", self.request.method))];
        first.extend(self.url());
        let mut lines = vec![first];
        for (name, value) in self.headers() {
            let mut line = vec![constant(format!("{name}: "))];
            line.extend(value);
            lines.push(line);
        }
        lines
    }

    fn url(&self) -> Vec<Fragment> {
        let base = self.upstream.url.map_plain(|text| text.trim_end_matches('/').to_owned());
        let mut url = fragments(&base, FragmentSource::Constant, &str::to_owned);
        for part in &self.request.path {
            url.push(Fragment { text: part.text.clone(), source: FragmentSource::of(&part.origin) });
        }
        let mut separator = "?";
        for pair in &self.request.query {
            url.push(constant(format!("{separator}{}=", encode_segment(&pair.name))));
            url.extend(values(pair));
            separator = "&";
        }
        if let Credential::KeyQuery(name, value) = &self.upstream.credential {
            url.push(constant(format!("{separator}{}=", encode_segment(name))));
            url.extend(secret(value, &encode_segment));
        }
        url
    }

    /// The headers as they are shown: secrets as `${NAME}`.
    pub fn shown_headers(&self) -> impl Iterator<Item = (String, String)> {
        let joined = |value: Vec<Fragment>| value.into_iter().map(|it| it.text).collect();
        self.headers().into_iter().map(move |(name, value)| (name, joined(value)))
    }

    /// The API key that goes into the query, as it is shown.
    #[must_use]
    pub fn shown_key(&self) -> Option<(String, String)> {
        match &self.upstream.credential {
            Credential::KeyQuery(name, value) => {
                let shown = secret(value, &str::to_owned).into_iter().map(|it| it.text).collect();
                Some((name.clone(), shown))
            }
            _ => None,
        }
    }

    fn headers(&self) -> Vec<(String, Vec<Fragment>)> {
        let hidden = |text: String| Fragment { text, source: FragmentSource::Secret };
        let as_is = str::to_owned;
        let mut headers: Vec<(String, Vec<Fragment>)> = Vec::new();
        let mut set = |name: &str, value: Vec<Fragment>| {
            headers.retain(|(other, _)| other != name);
            headers.push((name.to_owned(), value));
        };
        set("accept", vec![constant(ACCEPT.to_owned())]);
        for (name, text, _) in &self.upstream.headers {
            set(name.as_str(), fragments(text, FragmentSource::Constant, &as_is));
        }
        match &self.upstream.credential {
            Credential::None | Credential::KeyQuery(..) => {}
            Credential::CallerToken { .. } => {
                set("authorization", vec![constant("Bearer ".to_owned()), hidden(TOKEN.to_owned())]);
            }
            Credential::Grant(grant) => {
                let token = match grant.on_behalf {
                    OnBehalf::Ourselves => ISSUED,
                    OnBehalf::Caller => EXCHANGED,
                };
                set("authorization", vec![constant("Bearer ".to_owned()), hidden(token.to_owned())]);
            }
            Credential::Bearer(text) => {
                let mut value = vec![constant("Bearer ".to_owned())];
                value.extend(secret(text, &as_is));
                set("authorization", value);
            }
            Credential::Basic { username, password } => {
                let password: String = secret(password, &as_is).into_iter().map(|it| it.text).collect();
                let pair = hidden(format!("<base64 of {username}:{password}>"));
                set("authorization", vec![constant("Basic ".to_owned()), pair]);
            }
            Credential::KeyHeader(name, text) => set(name.as_str(), secret(text, &as_is)),
        }
        for (name, text, origin) in &self.request.headers {
            set(name.as_str(), fragments(text, FragmentSource::of(origin), &as_is));
        }
        if !self.request.cookies.is_empty() {
            let mut line = Vec::new();
            for pair in &self.request.cookies {
                let separator = if line.is_empty() { "" } else { "; " };
                line.push(constant(format!("{separator}{}=", pair.name)));
                line.extend(values(pair));
            }
            set("cookie", line);
        }
        if let Some(body) = self.request.body.wire(&Shown) {
            set("content-type", vec![constant(body.media_type)]);
        }
        headers
    }

    /// The body as text; what is no text is told by its length. `None` when there is none.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        let body = self.request.body.wire(&Shown)?;
        if body.media_type.contains("json")
            && let Ok(value) = serde_json::from_slice::<Value>(&body.bytes)
        {
            return Some(format!("{value:#}"));
        }
        let length = body.bytes.len();
        Some(String::from_utf8(body.bytes).unwrap_or_else(|_| format!("<{length} bytes>")))
    }

    /// Every part with a source of its own.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceLine> {
        let mut lines = Vec::new();
        let mut add = |place: String, value: String, origin: &Origin| {
            lines.push(SourceLine { place, value, source: words(origin) });
        };
        for part in self.request.path.iter().filter(|part| part.origin != Origin::Endpoint) {
            add("path".to_owned(), part.text.clone(), &part.origin);
        }
        let value = |pair: &Pair| pair.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        for pair in &self.request.query {
            add(format!("query {}", pair.name), value(pair), &pair.origin);
        }
        for (name, text, origin) in &self.request.headers {
            add(format!("header {name}"), text.to_string(), origin);
        }
        for pair in &self.request.cookies {
            add(format!("cookie {}", pair.name), value(pair), &pair.origin);
        }
        match &self.request.body {
            RequestBody::None => {}
            RequestBody::Members(members) => {
                for (name, value, origin) in members {
                    let value = value.to_value(&ToString::to_string);
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    add(format!("body {name}"), value, origin);
                }
            }
            RequestBody::Form(pairs) => {
                for pair in pairs {
                    add(format!("body {}", pair.name), value(pair), &pair.origin);
                }
            }
            RequestBody::Multipart(fields) => {
                for field in fields {
                    let value = match &field.content {
                        FieldValue::Text(text) => text.to_string(),
                        FieldValue::Bytes(bytes) => format!("<{} bytes>", bytes.len()),
                    };
                    add(format!("body {}", field.name), value, &Origin::Computed);
                }
            }
            RequestBody::Json(..) | RequestBody::Text(..) | RequestBody::Bytes(..) => {
                add("body".to_owned(), "(as above)".to_owned(), &Origin::Computed);
            }
        }
        lines
    }

    /// Every `${…}` of the request, and what gives its value. Only of the base URL is a default told.
    #[must_use]
    pub fn used_variables(&self) -> Vec<(String, String)> {
        let mut seen: String = self.headers().iter().flat_map(|(_, value)| value).map(|it| it.text.as_str()).collect();
        seen.extend(self.url().iter().map(|it| it.text.as_str()));
        seen.extend(self.body());
        let base = self.upstream.url.to_string();
        let mut found: Vec<(String, String)> = Vec::new();
        for used in self.variables {
            let shown = used.variable.shown();
            if !seen.contains(&shown) || found.iter().any(|(other, _)| *other == shown) {
                continue;
            }
            let from = match &used.variable.source {
                VariableSource::Environment(_) => "environment",
                VariableSource::File(_) => "file",
            };
            let default = used.variable.default().filter(|_| base.contains(&shown));
            let default = default.map(|text| format!(", or else `{text}`")).unwrap_or_default();
            found.push((shown, format!("{from}{default}")));
        }
        found
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let joined = |fragments: &[Fragment]| fragments.iter().map(|it| it.text.as_str()).collect::<String>();
        let headers: serde_json::Map<String, Value> =
            self.headers().into_iter().map(|(name, value)| (name, joined(&value).into())).collect();
        let sources: Vec<Value> = self
            .sources()
            .into_iter()
            .map(|line| json!({ "place": line.place, "value": line.value, "source": line.source }))
            .collect();
        json!({
            "method": self.request.method.as_str(),
            "url": joined(&self.url()),
            "headers": headers,
            "body": self.body(),
            "sources": sources,
        })
    }

    /// A line for a POSIX shell that sends the request: `${NAME}` are read from the environment by the shell itself,
    /// the caller's token from `TOKEN`, and a credential that is written out in the bridge file from `SECRET`.
    #[must_use]
    pub fn curl(&self) -> String {
        let shell = Shell;
        let mut words = vec!["curl".to_owned(), "--silent".to_owned(), "--show-error".to_owned()];
        words.extend(["--request".to_owned(), self.request.method.to_string()]);
        let header = |name: &str, value: &str| ["--header".to_owned(), self.word(&format!("{name}: {value}"))];
        let as_is = str::to_owned;
        let mut has_accept = false;
        for (name, text, _) in &self.upstream.headers {
            has_accept |= name == "accept";
            words.extend(header(name.as_str(), &shell.reveal(text, &as_is)));
        }
        if !has_accept {
            words.extend(header("accept", ACCEPT));
        }
        for (name, text, _) in &self.request.headers {
            words.extend(header(name.as_str(), &shell.reveal(text, &as_is)));
        }
        if let Some(cookies) = self.request.wire_cookies(&shell) {
            words.extend(header("cookie", &cookies));
        }
        let mut url = self.upstream.url.map_plain(|text| text.trim_end_matches('/').to_owned());
        url.push(Piece::Plain(self.request.wire_path()));
        let mut url = shell.reveal(&url, &as_is);
        let mut query: Vec<String> = self.request.wire_query(&shell).into_iter().collect();
        match &self.upstream.credential {
            Credential::None => {}
            Credential::CallerToken { .. } | Credential::Grant(_) => {
                words.extend(["--header".to_owned(), "\"authorization: Bearer $TOKEN\"".to_owned()]);
            }
            Credential::Bearer(text) => {
                words.extend(header("authorization", &format!("Bearer {}", shell.credential(text, &as_is))));
            }
            Credential::Basic { username, password } => {
                let pair = format!("{}:{}", shell.reveal(username, &as_is), shell.credential(password, &as_is));
                words.extend(["--user".to_owned(), self.word(&pair)]);
            }
            Credential::KeyHeader(name, text) => {
                words.extend(header(name.as_str(), &shell.credential(text, &as_is)));
            }
            Credential::KeyQuery(name, text) => {
                query.push(format!("{}={}", encode_segment(name), shell.credential(text, &encode_segment)));
            }
        }
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        let mut before = String::new();
        if let Some(body) = self.request.body.wire(&shell) {
            words.extend(["--header".to_owned(), self.word(&format!("content-type: {}", body.media_type))]);
            words.push("--data-binary".to_owned());
            words.push(match String::from_utf8(body.bytes) {
                Ok(text) => self.word(&text),
                Err(error) => {
                    before = self.piped(error.as_bytes());
                    "@-".to_owned()
                }
            });
        }
        words.extend(["--url".to_owned(), self.word(&url)]);
        let mut line = before;
        for (at, word) in words.iter().enumerate() {
            // What others wrote is quoted, so only an option begins with a dash. The first few stay on the first line.
            let separator = match at {
                0 => "",
                4.. if word.starts_with("--") => " \\\n  ",
                _ => " ",
            };
            line.push_str(separator);
            line.push_str(word);
        }
        line
    }

    /// Commands that write bytes which are no text, and a pipe.
    fn piped(&self, bytes: &[u8]) -> String {
        // What is no text has no marks in it, so the marks are where a secret stands.
        let mut commands = String::new();
        let mut rest = bytes;
        while let Some((plain, shown, after)) = next_marked(rest) {
            let _ = write!(commands, "printf %s '{}' | base64 -d; ", STANDARD.encode(plain));
            let _ = write!(commands, "printf %s {}; ", self.variable(shown));
            rest = after;
        }
        let _ = write!(commands, "printf %s '{}' | base64 -d; ", STANDARD.encode(rest));
        format!("{{ {commands}}} | ")
    }

    /// A shell word: text in single quotes, a `${…}` in double quotes, as the shell reads it.
    fn word(&self, text: &str) -> String {
        let mut word = String::new();
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once(MARKS[0]) {
            let (shown, after) = after.split_once(MARKS[1]).unwrap_or((after, ""));
            word.push_str(&single_quoted(plain));
            word.push_str(&self.variable(shown));
            rest = after;
        }
        word.push_str(&single_quoted(rest));
        word
    }

    /// A `${…}` as the shell reads it: its own syntax is the same, defaults included.
    fn variable(&self, shown: &str) -> String {
        let used = self.variables.iter().map(|used| &used.variable).find(|variable| variable.shown() == shown);
        match used.map(|variable| (&variable.source, variable.written.as_str())) {
            Some((VariableSource::File(path), _)) => format!("\"$(cat {})\"", single_quoted(path)),
            Some((VariableSource::Environment(_), written)) => format!("\"{written}\""),
            None => "\"$SECRET\"".to_owned(),
        }
    }
}

/// Secrets are marked, so that they become shell variables later.
struct Shell;

impl Reveal for Shell {
    fn reveal(&self, text: &Text, encode: &dyn Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => encode(text),
            Piece::Secret(secret) => format!("{}{secret:?}{}", MARKS[0], MARKS[1]),
        };
        text.pieces().iter().map(piece).collect()
    }
}

// === impl Shell ===

impl Shell {
    /// A credential that is written out in the bridge file is left to the environment, too.
    fn credential(&self, text: &Text, encode: &dyn Fn(&str) -> String) -> String {
        if text.has_secret() { self.reveal(text, encode) } else { MARKS.iter().collect() }
    }
}

// === impl FragmentSource ===

impl FragmentSource {
    fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Endpoint | Origin::Constant => Self::Constant,
            Origin::Argument(_) => Self::Argument,
            Origin::Claim(_) => Self::Claim,
            Origin::Computed | Origin::Job => Self::Computed,
        }
    }
}

fn words(origin: &Origin) -> String {
    match origin {
        Origin::Endpoint | Origin::Constant => "constant".to_owned(),
        Origin::Argument(name) => format!("argument `{name}`"),
        Origin::Claim(name) => format!("claim `{name}`"),
        Origin::Computed => "computed".to_owned(),
        Origin::Job => "the first answer".to_owned(),
    }
}

fn constant(text: String) -> Fragment {
    Fragment { text, source: FragmentSource::Constant }
}

fn values(pair: &Pair) -> Vec<Fragment> {
    let mut all = Vec::new();
    for value in &pair.values {
        if !all.is_empty() {
            all.push(constant(pair.delimiter.to_owned()));
        }
        all.extend(fragments(value, FragmentSource::of(&pair.origin), &encode_segment));
    }
    all
}

/// The plain parts of a text with their source, the others as secrets.
fn fragments(text: &Text, source: FragmentSource, encode: &dyn Fn(&str) -> String) -> Vec<Fragment> {
    let fragment = |piece: &Piece| match piece {
        Piece::Plain(text) => Fragment { text: encode(text), source },
        Piece::Secret(secret) => Fragment { text: format!("{secret:?}"), source: FragmentSource::Secret },
    };
    text.pieces().iter().map(fragment).collect()
}

/// A credential: what is written out in the bridge file is hidden.
fn secret(text: &Text, encode: &dyn Fn(&str) -> String) -> Vec<Fragment> {
    if text.has_secret() {
        fragments(text, FragmentSource::Secret, encode)
    } else {
        vec![Fragment { text: WRITTEN_OUT.to_owned(), source: FragmentSource::Secret }]
    }
}

/// What comes before the first mark, what the marks enclose, and the rest.
fn next_marked(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let find = |bytes: &[u8], mark: char| {
        let mark = mark.to_string();
        let at = bytes.windows(mark.len()).position(|window| window == mark.as_bytes())?;
        Some((at, at + mark.len()))
    };
    let (start, inner) = find(bytes, MARKS[0])?;
    let after = bytes.get(inner..)?;
    let (end, next) = find(after, MARKS[1])?;
    Some((bytes.get(..start)?, std::str::from_utf8(after.get(..end)?).ok()?, after.get(next..)?))
}

fn single_quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
