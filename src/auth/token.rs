//! Where a caller's token is found. It is never looked for in a query, a cookie or a body.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;

use crate::auth::{AuthError, Rejection};

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;

/// Far above any token in use, far below what an identity provider should have to read.
const MAX_BYTES: usize = 16 * 1024;

/// Takes the bearer token from the one `Authorization` header of a request (RFC 6750, section 2.1).
///
/// # Errors
///
/// [`AuthError::Missing`] unless there is exactly one such header with exactly one bearer token;
/// [`Rejection::TooLong`] for a token longer than 16 KiB.
pub fn bearer(headers: &HeaderMap) -> Result<SecretString, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Two headers may be read differently by us and by a proxy in front of us, so neither is believed.
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(AuthError::Missing);
    };
    let text = value.to_str().map_err(|_| AuthError::Missing)?;
    let (scheme, token) = text.split_once(' ').ok_or(AuthError::Missing)?;
    // The grammar is `"Bearer" 1*SP b64token`: more spaces may stand before the token, none after it.
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || !is_b64token(token) {
        return Err(AuthError::Missing);
    }
    fit(token)
}

/// Accepts a token that came over STDIO, from the environment or an argument.
///
/// # Errors
///
/// [`Rejection::Malformed`] or [`Rejection::TooLong`].
pub fn presented(token: &str) -> Result<SecretString, AuthError> {
    if !is_b64token(token) {
        return Err(AuthError::Rejected { reason: Rejection::Malformed });
    }
    fit(token)
}

fn fit(token: &str) -> Result<SecretString, AuthError> {
    if token.len() > MAX_BYTES {
        return Err(AuthError::Rejected { reason: Rejection::TooLong });
    }
    Ok(token.to_owned().into())
}

/// RFC 6750: one or more of these characters, then any number of `=`.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
