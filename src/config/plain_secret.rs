//! Secrets that stand in a file. No finding holds one, and no excerpt shows it, whichever finding it is of: that is why
//! they are looked for before anything else.

use std::collections::HashMap;

use super::{variable, yaml::Cursor};
use crate::diag::{Code, Diagnostic, Report, quoted};

/// How tokens of well-known kinds begin, how much at least follows, and what they are.
const TOKENS: [(&str, usize, &str); 9] = [
    ("sk_live_", 8, "a secret key"),
    ("rk_live_", 8, "a secret key"),
    ("ghp_", 20, "a GitHub token"),
    ("gho_", 20, "a GitHub token"),
    ("github_pat_", 20, "a GitHub token"),
    ("glpat-", 16, "a GitLab token"),
    ("xoxb-", 10, "a Slack token"),
    ("xoxp-", 10, "a Slack token"),
    ("AKIA", 16, "an AWS access key"),
];
/// Keys whose value is named by the key above them.
const NAMELESS: [&str; 6] = ["value", "default", "const", "enum", "examples", "example"];
/// The parts of keys (without `-` and `_`, in lower case) whose values are secret.
const SECRET_NAMES: [&str; 6] = ["secret", "token", "password", "passwd", "apikey", "privatekey"];
/// Fewer characters than this are no generated secret.
const SHORTEST: usize = 16;
/// Bits a character; words have less, generated secrets more.
const LEAST_ENTROPY: f64 = 3.3;

/// Reports every secret in a file.
pub(super) fn find(root: &Cursor<'_>, report: &mut Report) {
    walk(root, "", report);
}

fn walk(at: &Cursor<'_>, name: &str, report: &mut Report) {
    if let Some(what) = at.text().and_then(|text| judge(at.pointer(), name, text)) {
        let label = "take it out: write `${NAME}`, and set that where the server runs";
        report.push(
            Diagnostic::new(Code::PlainSecret, format!("{} holds {what}", quoted(name)))
                .at(at.key_span(), label)
                .hiding(at.span())
                .help("whoever may read this file knows it; make a new one if the file has been shared"),
        );
    }
    for item in at.items() {
        walk(&item, name, report);
    }
    for (key, member) in at.entries() {
        walk(&member, if NAMELESS.contains(&key) && !name.is_empty() { name } else { key }, report);
    }
}

/// What secret a text is, if it is one.
fn judge(pointer: &str, name: &str, text: &str) -> Option<String> {
    if let Some(kind) = token(text) {
        return Some(format!("what looks like {kind}"));
    }
    if variable::is_in(text) || text.is_empty() {
        return None;
    }
    // Whatever its shape: one that is written wrongly is shown in the finding about that.
    let keys: Vec<&str> = pointer.split('/').skip(1).collect();
    let credential = match keys.as_slice() {
        ["upstream", "credentials", "bearer", ..] => Some("a token in plain text"),
        ["upstream", "credentials", "basic"] | ["upstream", "credentials", "basic", "password", ..] => {
            Some("a password in plain text")
        }
        ["upstream", "credentials", "api_key"] | ["upstream", "credentials", "api_key", "value", ..] => {
            Some("a key in plain text")
        }
        _ => None,
    };
    if let Some(what) = credential {
        return Some(what.to_owned());
    }
    let name = name.to_lowercase().replace(['-', '_'], "");
    (SECRET_NAMES.iter().any(|it| name.contains(it)) && is_generated(text))
        .then(|| "what looks like a secret".to_owned())
}

/// What kind of well-known token stands in a text.
fn token(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.')));
    words.into_iter().find_map(|word| {
        let word = word.trim_end_matches('.');
        if word.starts_with("eyJ") && word.len() > 30 && word.matches('.').count() == 2 {
            return Some("a token (JWT)");
        }
        let known = TOKENS.iter().find(|(start, length, _)| {
            let rest = word.strip_prefix(start).unwrap_or_default();
            rest.len() >= *length && (*start != "AKIA" || is_aws(rest))
        });
        known.map(|(_, _, what)| *what)
    })
}

fn is_aws(rest: &str) -> bool {
    rest.len() == 16 && rest.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
}

/// Whether a text looks as if a machine had made it, and is neither words nor an address.
fn is_generated(text: &str) -> bool {
    let is_one_word = text.chars().all(|it| it.is_ascii_graphic());
    let is_mixed = text.contains(|it: char| it.is_ascii_digit()) && text.contains(|it: char| it.is_ascii_alphabetic());
    let is_address = text.contains("://") || text.starts_with('/');
    let is_template = text.contains("{{");
    text.len() >= SHORTEST && is_one_word && is_mixed && !is_address && !is_template && entropy(text) >= LEAST_ENTROPY
}

/// The entropy of a text in bits a character (Shannon).
#[expect(clippy::cast_precision_loss, reason = "texts are shorter than 2^52")]
fn entropy(text: &str) -> f64 {
    let mut counts: HashMap<char, usize> = HashMap::new();
    for it in text.chars() {
        *counts.entry(it).or_default() += 1;
    }
    let length = text.chars().count() as f64;
    counts.values().map(|count| *count as f64 / length).map(|share| -share * share.log2()).sum()
}
