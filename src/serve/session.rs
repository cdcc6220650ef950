//! Binds a session of the older protocols to the principal who opened it.
//!
//! The session id that a client sees is rmcp's own id with a keyed hash of id and principal behind it. Another caller's
//! token makes another hash, so a stolen id names no session. Nothing is stored, so nothing has to be cleaned up.

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::principal::Principal;

/// The header that carries the session id.
pub(super) const SESSION_HEADER: &str = "mcp-session-id";

/// Seals and opens session ids with a key of this process.
pub(super) struct Seal(hmac::Key);

// === impl Seal ===

impl Seal {
    /// Makes a seal with a fresh key.
    ///
    /// # Errors
    /// Returns an error when the system gives no random bytes.
    pub(super) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).map(Self)
    }

    /// The id that the client sees.
    pub(super) fn close(&self, id: &str, who: &Principal) -> String {
        let tag = hmac::sign(&self.0, &message(id, who));
        format!("{id}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// rmcp's own id; `None` when this principal did not open the session.
    pub(super) fn open<'s>(&self, sealed: &'s str, who: &Principal) -> Option<&'s str> {
        let (id, tag) = sealed.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, &message(id, who), &tag).ok()?;
        Some(id)
    }
}

fn message(id: &str, who: &Principal) -> Vec<u8> {
    format!("{}:{id}{}", id.len(), who.identity()).into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(sub: &str, token: &str) -> Principal {
        let claims = json!({"iss": "https://idp", "sub": sub, "cid": "c"});
        Principal::verified(claims.as_object().cloned().unwrap(), token.to_owned().into())
    }

    #[test]
    fn only_who_opened_a_session_can_use_it() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close("abc", &user("alice", "t1"));
        assert_eq!(seal.open(&sealed, &user("alice", "t2")), Some("abc"));
        assert_eq!(seal.open(&sealed, &user("bob", "t1")), None);
        assert_eq!(seal.open(&sealed, &Principal::anonymous()), None);
        assert_eq!(seal.open("abc", &user("alice", "t1")), None);
        assert_eq!(seal.open(&sealed.replace("abc", "abd"), &user("alice", "t1")), None);
        assert_eq!(Seal::new().unwrap().open(&sealed, &user("alice", "t1")), None);
    }
}
