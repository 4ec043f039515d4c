//! The SDK's client, and how it gets new credentials.

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
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

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
