use super::*;

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap()
}

const URL: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

#[test]
fn the_document_names_what_there_is() {
    let document = protected_resource(
        "https://mcp.example.com/mcp",
        &owned(&["https://a.okta.com/oauth2/default"]),
        &owned(&["hr.read", "offline_access", "hr.write"]),
    );
    assert_eq!(
        document,
        json!({
            "resource": "https://mcp.example.com/mcp",
            "authorization_servers": ["https://a.okta.com/oauth2/default"],
            "scopes_supported": ["hr.read", "hr.write"],
            "bearer_methods_supported": ["header"],
        })
    );
    assert_eq!(
        protected_resource("https://a/", &[], &owned(&["offline_access"])),
        json!({"resource": "https://a/", "bearer_methods_supported": ["header"]})
    );
}

#[test]
fn a_challenge_without_a_token_says_nothing_of_errors() {
    assert_eq!(text(&challenge(None, URL, &[])), format!("Bearer resource_metadata=\"{URL}\""));
}

#[test]
fn a_challenge_tells_the_error_and_the_scopes() {
    assert_eq!(
        text(&challenge(Some(ChallengeError::InvalidToken), URL, &owned(&["a", "b"]))),
        format!(
            "Bearer error=\"invalid_token\", error_description=\"The access token is invalid or expired\", \
             scope=\"a b\", resource_metadata=\"{URL}\""
        )
    );
    let insufficient = challenge(Some(ChallengeError::InsufficientScope), URL, &owned(&["a"]));
    assert!(text(&insufficient).starts_with("Bearer error=\"insufficient_scope\", "));
}

#[test]
fn nothing_breaks_out_of_a_quoted_string() {
    let hostile = challenge(None, "https://a/\"\\\r\nSet-Cookie: x\u{7f}é", &[]);
    assert_eq!(text(&hostile), "Bearer resource_metadata=\"https://a/\\\"\\\\%0D%0ASet-Cookie: x%7F%C3%A9\"");
    let scopes = owned(&["good", "a\"b", "a\\b", "a b", "", "a\nb", "é", "offline_access", "api://x/.default"]);
    assert_eq!(text(&challenge(None, "u", &scopes)), "Bearer scope=\"good api://x/.default\", resource_metadata=\"u\"");
}
