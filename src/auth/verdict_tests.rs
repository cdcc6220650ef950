use serde_json::json;

use super::*;

const NOW: f64 = 1_451_603_000.5;

fn terms() -> Terms {
    Terms {
        issuer: Some("https://a.okta.com/oauth2/x".to_owned()),
        audience: "api://enterprise".to_owned(),
        client_ids: Some(BTreeSet::from(["client".to_owned()])),
    }
}

/// A good answer with some members set, or taken away by `null`.
fn judged(terms: &Terms, changes: &Value) -> Result<Map<String, Value>, Rejection> {
    let mut answer = json!({
        "active": true, "token_type": "Bearer", "scope": "openid profile", "client_id": "client",
        "username": "john.doe@example.com", "exp": 1_451_606_400, "iat": 1_451_602_800, "sub": "john.doe@example.com",
        "aud": "api://enterprise", "iss": "https://a.okta.com/oauth2/x",
        "jti": "AT.7P4KlczBYVcWLkxduEuKeZfeiNYkZIC9uGJ28Cc-YaI", "uid": "00uid4BxXw6I6TV4m0g3",
    });
    for (name, value) in changes.as_object().unwrap() {
        answer[name] = value.clone();
    }
    let mut answer = answer.as_object().cloned().unwrap();
    answer.retain(|_, value| *value != json!("absent"));
    terms.judge(answer, NOW)
}

#[test]
fn times_are_exact_at_their_edges() {
    use Rejection::{Expired, Malformed, NotYetValid};
    let rows = [
        (json!({"exp": 1_451_603_001}), Ok(())),
        (json!({"exp": 1_451_603_000}), Err(Expired)),
        (json!({"exp": NOW}), Err(Expired)),
        (json!({"exp": NOW + 0.5}), Ok(())),
        (json!({"exp": 1.451_606_4e9}), Ok(())),
        (json!({"exp": 0}), Err(Expired)),
        (json!({"exp": -1}), Err(Expired)),
        (json!({"exp": "1451606400"}), Err(Malformed)),
        (json!({"exp": "absent"}), Err(Malformed)),
        (json!({"exp": null}), Err(Malformed)),
        (json!({"exp": true}), Err(Malformed)),
        (json!({"exp": [1_451_606_400]}), Err(Malformed)),
        (json!({"exp": 1_451_606_400_000_u64}), Err(Malformed)),
        (json!({"exp": u64::MAX}), Err(Malformed)),
        (json!({"exp": 1e300}), Err(Malformed)),
        (json!({"nbf": 1_451_603_000}), Ok(())),
        (json!({"nbf": NOW + 60.0}), Ok(())),
        (json!({"nbf": NOW + 60.5}), Err(NotYetValid)),
        (json!({"nbf": 1_451_606_400}), Err(NotYetValid)),
        (json!({"nbf": "1451600000"}), Err(Malformed)),
        (json!({"nbf": 1e300}), Err(Malformed)),
        (json!({"nbf": null}), Ok(())),
        (json!({"nbf": -1}), Ok(())),
    ];
    for (changes, expected) in rows {
        assert_eq!(judged(&terms(), &changes).map(drop), expected, "{changes}");
    }
    let mut answer = judged(&terms(), &json!({})).unwrap();
    answer.insert("active".to_owned(), json!(true));
    assert_eq!(terms().judge(answer, f64::INFINITY), Err(Expired), "a clock before 1970");
}

#[test]
fn what_is_not_configured_is_not_asked() {
    let open = Terms { issuer: None, client_ids: None, ..terms() };
    for changes in [
        json!({"iss": "absent"}),
        json!({"iss": "https://elsewhere"}),
        json!({"client_id": "other"}),
        json!({"client_id": "absent"}),
        json!({"client_id": "absent", "cid": "other"}),
    ] {
        assert!(judged(&open, &changes).is_ok(), "{changes}");
        assert!(judged(&terms(), &changes).is_err(), "{changes}");
    }
    let two = json!({"client_id": "one", "cid": "two"});
    assert_eq!(judged(&open, &two), Err(Rejection::WrongClient));
    assert_eq!(judged(&open, &json!({"aud": "absent"})), Err(Rejection::WrongAudience));
}

#[test]
fn the_claims_are_the_answer_without_its_verdict() {
    let claims = judged(&terms(), &json!({"groups": ["a"], "tenant": {"id": 1}})).unwrap();
    assert!(!claims.contains_key("active"));
    assert_eq!(claims.len(), 13);
    assert_eq!(claims["tenant"], json!({"id": 1}));
}
