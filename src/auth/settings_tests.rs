use super::*;
use crate::auth::build;
use crate::metrics::Meter;

fn urls(domain: &str, server: Option<&str>) -> (String, String) {
    let OktaUrls { issuer, endpoint } = okta(domain, server).unwrap();
    (issuer, endpoint.to_string())
}

#[test]
fn okta_has_two_kinds_of_authorization_server() {
    let rows = [
        ("https://your-org.okta.com", None, "", "/oauth2"),
        ("https://your-org.okta.com/", None, "", "/oauth2"),
        ("https://Your-Org.okta.com:443", None, "", "/oauth2"),
        ("https://your-org.okta.com", Some("default"), "/oauth2/default", "/oauth2/default"),
        ("https://your-org.okta.com/", Some("aus9O8w_-1"), "/oauth2/aus9O8w_-1", "/oauth2/aus9O8w_-1"),
    ];
    for (domain, server, issuer, endpoint) in rows {
        let org = "https://your-org.okta.com";
        let expected = (format!("{org}{issuer}"), format!("{org}{endpoint}/v1/introspect"));
        assert_eq!(urls(domain, server), expected, "{domain} {server:?}");
    }
    assert_eq!(
        urls("http://127.0.0.1:4000", Some("default")),
        (
            "http://127.0.0.1:4000/oauth2/default".to_owned(),
            "http://127.0.0.1:4000/oauth2/default/v1/introspect".to_owned()
        )
    );
}

#[test]
fn a_domain_that_cannot_be_right_is_told_apart() {
    use SettingsError::{AdminDomain, NotHttps, NotOnlyDomain, NotUrl, UserInfo};
    let org = || "https://a.okta.com".to_owned();
    let rows = [
        ("", NotUrl(UrlKey::Domain)),
        ("a.okta.com", NotUrl(UrlKey::Domain)),
        ("https://", NotUrl(UrlKey::Domain)),
        ("data:text/plain,x", NotUrl(UrlKey::Domain)),
        ("http://a.okta.com", NotHttps(UrlKey::Domain)),
        ("http://10.0.0.1", NotHttps(UrlKey::Domain)),
        ("http://localhost.evil.com", NotHttps(UrlKey::Domain)),
        ("http://127.0.0.1.evil.com", NotHttps(UrlKey::Domain)),
        ("ftp://127.0.0.1", NotHttps(UrlKey::Domain)),
        ("https://me@a.okta.com", UserInfo(UrlKey::Domain)),
        ("https://:pw@a.okta.com", UserInfo(UrlKey::Domain)),
        ("https://a.okta.com/oauth2/default", NotOnlyDomain { domain: org() }),
        ("https://a.okta.com?x", NotOnlyDomain { domain: org() }),
        ("https://a.okta.com/#x", NotOnlyDomain { domain: org() }),
        ("https://a-admin.okta.com", AdminDomain { domain: org() }),
        ("https://a-admin.okta.com/admin/dashboard", AdminDomain { domain: org() }),
        ("https://a-admin.oktapreview.com", AdminDomain { domain: "https://a.oktapreview.com".to_owned() }),
    ];
    for (domain, expected) in rows {
        let error = okta(domain, None).unwrap_err();
        assert_eq!(error, expected, "{domain}");
        assert_eq!(error.key(), Some("domain"));
    }
    assert!(AdminDomain { domain: org() }.to_string().contains("drop `-admin` and write `https://a.okta.com`"));
    // A company's own domain may end like this.
    assert!(okta("https://sso-admin.example.com", None).is_ok());
}

#[test]
fn http_is_for_loopback_only() {
    for good in
        ["http://127.0.0.1", "http://127.9.9.9:1", "http://[::1]:80", "http://localhost:3000", "https://10.0.0.1"]
    {
        assert!(okta(good, None).is_ok(), "{good}");
    }
    for bad in ["http://128.0.0.1", "http://[::2]", "http://0.0.0.0", "http://[::]"] {
        assert_eq!(okta(bad, None), Err(SettingsError::NotHttps(UrlKey::Domain)), "{bad}");
    }
}

#[test]
fn an_authorization_server_is_named_by_its_bare_id() {
    for id in ["", "/", "default/", "../x", "oauth2/default", "https://a.okta.com/oauth2/default", "a b", "a%2e"] {
        let error = okta("https://a.okta.com", Some(id)).unwrap_err();
        assert_eq!(error, SettingsError::NotServerId, "{id}");
        assert_eq!(error.key(), Some("authorization_server"));
    }
}

#[test]
fn an_endpoint_may_have_a_path_and_a_query_and_no_more() {
    assert!(endpoint("https://id.example.com/realms/a/introspect?x=1").is_ok());
    let rows = [
        ("/introspect", SettingsError::NotUrl(UrlKey::Url)),
        ("http://id.example.com/", SettingsError::NotHttps(UrlKey::Url)),
        ("https://a:b@id.example.com/", SettingsError::UserInfo(UrlKey::Url)),
        ("https://id.example.com/#here", SettingsError::Fragment),
    ];
    for (written, expected) in rows {
        let error = endpoint(written).unwrap_err();
        assert_eq!(error, expected, "{written}");
        assert_eq!(error.key(), Some("url"));
    }
}

#[test]
fn settings_are_judged_together() {
    let settings = |client_ids| IntrospectionSettings {
        endpoint: "http://id.example.com/introspect".parse().unwrap(),
        client: OauthClient { id: String::new(), auth: ClientAuth::Basic(String::new().into()) },
        terms: TermsSettings { issuer: Some(String::new()), audience: String::new(), client_ids },
    };
    let method = Method::Introspection(settings(Some(Vec::new())));
    let faults =
        build(AuthSettings::Issuers(vec![IssuerSettings { method, keep: None }]), &Meter::default()).err().unwrap();
    let keys = faults.iter().map(SettingsError::key).collect::<Vec<_>>();
    assert_eq!(keys, ["url", "client_id", "client_secret", "issuer", "audience", "client_ids"].map(Some));
    let mut told = settings(None);
    told.client.auth = ClientAuth::Basic("c4nary".to_owned().into());
    assert!(!format!("{told:?}").contains("c4nary"));
}
