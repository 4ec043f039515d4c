//! Who may ask, and what a browser may do with the answer.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};

/// True if a request with this `Host` may be answered on `address`.
///
/// A page of somebody else that has its own name point at a loopback address comes with that name. On other addresses names
/// are how services are reached, and whoever reaches the port may read it anyway.
pub(super) fn may_ask(host: Option<&str>, address: SocketAddr) -> bool {
    if !address.ip().is_loopback() {
        return true;
    }
    // HTTP/1.0 need not have one, and no browser speaks that.
    let Some(host) = host else { return true };
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `host:port`, `[::1]:port` or either without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        Some(_) | None => host,
    }
}

/// A policy by which a page may run this script, use this style, ask its own server, and nothing else.
pub(super) fn policy(script: &str, style: &str) -> String {
    let hash = |text: &str| {
        format!("'sha256-{}'", base64_simd::STANDARD.encode_to_string(Sha256::digest(text)))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(script),
        hash(style)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_else_is_refused_on_loopback() {
        let loopback: SocketAddr = "127.0.0.1:9464".parse().unwrap();
        let six: SocketAddr = "[::1]:9464".parse().unwrap();
        let open: SocketAddr = "0.0.0.0:9464".parse().unwrap();
        for good in
            ["127.0.0.1:9464", "localhost:9464", "LOCALHOST", "[::1]:9464", "[::1]", "127.0.0.2"]
        {
            assert!(may_ask(Some(good), loopback) && may_ask(Some(good), six), "{good}");
        }
        let bad = [
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "[::1",
            "::2",
        ];
        for bad in bad {
            assert!(!may_ask(Some(bad), loopback), "{bad}");
            assert!(may_ask(Some(bad), open), "{bad}");
        }
        assert!(may_ask(None, loopback));
    }

    #[test]
    fn the_policy_names_what_is_in_the_page_by_its_hash() {
        let policy = policy("alert(1)", "");
        assert!(
            policy.contains("script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='")
        );
        assert!(policy.contains("style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"));
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
}
