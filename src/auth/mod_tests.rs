use super::*;

#[tokio::test]
async fn without_authentication_everybody_is_anonymous() {
    let nobody = build(AuthSettings::None, &Meter::default()).unwrap();
    let caller = nobody.authenticate(&"x".to_owned().into()).await.unwrap();
    assert!(caller.claims().as_map().is_empty());
    assert!(caller.token().is_none());
    assert!(nobody.authorization_servers().is_empty());
}

#[test]
fn the_client_is_told_what_the_guide_says_and_nothing_more() {
    let rejected = AuthError::Rejected { reason: Rejection::WrongAudience };
    let unavailable = AuthError::Unavailable { reason: Trouble::Refused401 };
    let rows = [
        (AuthError::Missing, 401, "Access denied: Missing or invalid Bearer token", None),
        (rejected, 401, "Access denied: Invalid or expired token", Some(ChallengeError::InvalidToken)),
        (unavailable, 503, "The identity provider can't check tokens right now; try again shortly", None),
    ];
    for (error, status, message, challenge) in rows {
        assert_eq!(error.status().as_u16(), status);
        assert_eq!(error.message(), message);
        assert_eq!(error.challenge_error(), challenge);
        assert!(!message.contains(&error.reason()));
    }
}
