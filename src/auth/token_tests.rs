use http::HeaderValue;
use secrecy::ExposeSecret as _;

use super::*;

fn found(values: &[&[u8]]) -> Result<String, AuthError> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    bearer(&headers).map(|token| token.expose_secret().to_owned())
}

#[test]
fn one_header_with_one_bearer_token() {
    let good = [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER abc", "abc"),
        ("bEaReR abc", "abc"),
        ("Bearer   abc", "abc"),
        ("Bearer aZ09-._~+/==", "aZ09-._~+/=="),
    ];
    for (header, token) in good {
        assert_eq!(found(&[header.as_bytes()]), Ok(token.to_owned()), "{header}");
    }
}

#[test]
fn anything_else_is_no_bearer_token() {
    let bad: [&[&[u8]]; 26] = [
        &[],
        &[b""],
        &[b" "],
        &[b"Bearer"],
        &[b"Bearer "],
        &[b"Bearer ="],
        &[b"Bearer a=b"],
        &[b"Bearer =abc"],
        &[b" Bearer abc"],
        &[b"Bearer abc "],
        &[b"Bearer abc def"],
        &[b"Bearer abc,def"],
        &[b"Bearer abc, Bearer abc"],
        &[b"Bearer\tabc"],
        &[b"Bearer \tabc"],
        &[b"Bearer:abc"],
        &[b"Bearerabc"],
        &[b"Bearer \"abc\""],
        &[b"Bearer a%20b"],
        &[b"Bearer \xc3\xa9"],
        &[b"Bearer \xff"],
        &[b"Basic abc"],
        &[b"DPoP abc"],
        &[b"abc"],
        &[b"Bearer abc", b"Bearer abc"],
        &[b"Bearer abc", b"Basic abc"],
    ];
    for values in bad {
        assert_eq!(found(values), Err(AuthError::Missing), "{values:?}");
    }
}

#[test]
fn a_token_is_not_longer_than_16_kib() {
    let too_long = AuthError::Rejected { reason: Rejection::TooLong };
    let token = "a".repeat(16 * 1024);
    assert_eq!(found(&[format!("Bearer {token}").as_bytes()]), Ok(token.clone()));
    assert_eq!(found(&[format!("Bearer {token}a").as_bytes()]), Err(too_long));
    assert!(presented(&token).is_ok());
    assert_eq!(presented(&format!("{token}a")).unwrap_err(), too_long);
}

#[test]
fn a_token_over_stdio_has_the_same_characters() {
    assert_eq!(presented("abc").unwrap().expose_secret(), "abc");
    for bad in ["", "Bearer abc", "abc\n", "a b", "é"] {
        let malformed = AuthError::Rejected { reason: Rejection::Malformed };
        assert_eq!(presented(bad).unwrap_err(), malformed, "{bad:?}");
    }
}

#[test]
fn a_token_elsewhere_is_not_looked_at() {
    let mut headers = HeaderMap::new();
    headers.insert("proxy-authorization", HeaderValue::from_static("Bearer abc"));
    headers.insert("x-authorization", HeaderValue::from_static("Bearer abc"));
    headers.insert("cookie", HeaderValue::from_static("access_token=abc"));
    assert_eq!(bearer(&headers).unwrap_err(), AuthError::Missing);
}
