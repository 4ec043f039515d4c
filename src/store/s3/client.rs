//! The SDK's client, and how it gets new credentials.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Region, RequestChecksumCalculation, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::options::S3Options;
use crate::error::{Error, Result};

/// Makes clients; what they have in common are the connections.
#[derive(Debug)]
pub(super) struct Connector {
    options: S3Options,
    http: SharedHttpClient,
    credentials: Option<SharedCredentialsProvider>,
    /// How often it was made anew, and the client.
    current: RwLock<(u64, Client)>,
    refreshing: tokio::sync::Mutex<()>,
}

impl Connector {
    /// A connector with credentials from `credentials`, or from AWS's own chain.
    pub(super) async fn new(
        options: &S3Options,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self> {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls_context()?)
            .build_https();
        let client = make(options, &http, credentials.as_ref()).await?;
        Ok(Self {
            options: options.clone(),
            http,
            credentials,
            current: RwLock::new((0, client)),
            refreshing: tokio::sync::Mutex::default(),
        })
    }

    /// The client of the day, and its generation.
    pub(super) fn client(&self) -> (u64, Client) {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for credentials anew unless somebody has done so since `seen`: files may have been rewritten, and the SDK
    /// keeps what it has until the time at which it thinks it ends.
    pub(super) async fn refresh(&self, seen: u64) {
        let _one_at_a_time = self.refreshing.lock().await;
        if self.client().0 != seen {
            return;
        }
        // What worked at the start can fail only in passing: the former client asks again later.
        if let Ok(client) = make(&self.options, &self.http, self.credentials.as_ref()).await {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = (seen + 1, client);
        }
    }
}

/// Which certificates servers are believed by: those of the file that `AWS_CA_BUNDLE` names, as the AWS CLI takes it, else
/// the system's (`SSL_CERT_FILE` included).
fn tls_context() -> Result<TlsContext> {
    let trusted = match std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        None => TrustStore::default(),
        Some(path) => {
            let path = PathBuf::from(path);
            let pem =
                std::fs::read(&path).map_err(|error| bad_bundle(&path, &error.to_string()))?;
            check_bundle(&pem).map_err(|words| bad_bundle(&path, &words))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| Error::Bug(format!("no TLS: {error}")))
}

fn bad_bundle(path: &Path, words: &str) -> Error {
    Error::Usage {
        what: format!("AWS_CA_BUNDLE: {}: {words}", path.display()),
        hint: Some("it names a file of certificates in PEM; unset it to trust the system's".into()),
    }
}

/// What is wrong with a bundle, in words. The HTTP client takes one for good and panics at what it cannot parse.
fn check_bundle(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(()) }
}

async fn make(
    options: &S3Options,
    http: &SharedHttpClient,
    credentials: Option<&SharedCredentialsProvider>,
) -> Result<Client> {
    let timeouts = TimeoutConfig::builder().connect_timeout(options.retry.connect_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(timeouts.clone());
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    } else if options.endpoint.is_some() {
        // Compatible stores seldom have regions: without one, nobody should wait for the metadata service of EC2.
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::new("us-east-1"));
        loader = loader.region(chain);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        return Err(Error::Usage {
            what: "the region of the bucket is not known".into(),
            hint: Some("--s3-region, AWS_REGION, or a region in the AWS profile".into()),
        });
    }
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(options.retry.stall).build();
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(stalls)
        // We send our own of every body.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .force_path_style(options.path_style);
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 36500 -nodes -subj /CN=localhost`.
    const PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBmjCCAUGgAwIBAgIUcK4TypYgthr2h5+L333KrYAkLSUwCgYIKoZIzj0EAwIw\n\
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTIzMTE0NFoYDzIxMjYxMDI4\n\
MjMxMTQ0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAATJSY5CBNnwXYkXEu0c8/qJTHEi2HhmTfdZ9+8Lnxaea3NVZTmoG2Op\n\
pU/wBXwWNoZrZdWJsiySyFwOdtX1NWzTo28wbTAdBgNVHQ4EFgQUeCHXJc/fDPsH\n\
KgMQcfeaUxg2DkMwHwYDVR0jBBgwFoAUeCHXJc/fDPsHKgMQcfeaUxg2DkMwDwYD\n\
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI\n\
zj0EAwIDRwAwRAIgHEF2bI5v/ASDGl2esseZCG5LLPB4GoYD+QQFKrNzVocCIBV0\n\
+O+U7iKcpcRXHjOm5A6Xv5eUHuK6SbbfGYxSoSAD\n\
-----END CERTIFICATE-----\n\
";

    #[test]
    fn a_bundle_is_checked_before_the_client_sees_it() {
        assert_eq!(check_bundle(PEM.as_bytes()), Ok(()));
        assert_eq!(check_bundle(format!("{PEM}{PEM}").as_bytes()), Ok(()));
        let words = |pem: &str| check_bundle(pem.as_bytes()).unwrap_err();
        assert!(words("").contains("no certificate"));
        assert!(words(&PEM.replace("-----END", "-----FIN")).contains("not PEM"));
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(words(hollow).contains("cannot be used"));
    }
}
