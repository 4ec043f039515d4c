//! S3 servers for tests, on loopback ports: s3s-fs inside this process, moto beside it.
//!
//! Neither is enough alone. s3s-fs checks signatures and checksums, but knows no list of uploads and no CRC-64/NVME in
//! uploads of parts, so it stands for older compatible stores as well. moto knows those, storage classes and encryption, but
//! checks nothing that is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use cassport::store::s3::{RetryPolicy, S3Options, S3Store, Transfer};
use cassport::store::{Location, S3Location};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::support::repository;

/// Words that must never be seen in anything that is printed or written.
pub(crate) const ACCESS_KEY: &str = "AKIACASSPORTTEST0001";
pub(crate) const SECRET_KEY: &str = "5ecretOfTheTestsThatNobodyMaySee0000000A";
pub(crate) const SESSION_TOKEN: &str = "t0kenOfTheTestsThatNobodyMaySee";

/// A server, and how what is in it is seen from behind.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) kind: Kind,
    /// Where s3s-fs keeps its files.
    root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    S3sFs,
    Moto,
}

/// A bucket of one test.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) server: Server,
    pub(crate) name: String,
}

/// s3s-fs, one for all tests.
pub(crate) fn s3s_fs() -> Server {
    static SERVER: LazyLock<(Server, tempfile::TempDir)> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_path_buf();
        let files = s3s_fs::FileSystem::new(&root).unwrap();
        let mut builder = s3s::service::S3ServiceBuilder::new(files);
        builder.set_auth(s3s::auth::SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                // Its conditional writes are two steps; S3's are one.
                let conditional = Arc::new(tokio::sync::Mutex::new(()));
                while let Ok((socket, _)) = listener.accept().await {
                    let (service, conditional) = (service.clone(), Arc::clone(&conditional));
                    let serve = hyper::service::service_fn(move |request: Request<Incoming>| {
                        let (service, conditional) = (service.clone(), Arc::clone(&conditional));
                        async move {
                            let headers = request.headers();
                            let alone = headers.contains_key("if-none-match")
                                || headers.contains_key("if-match");
                            let _guard =
                                if alone { Some(conditional.lock_owned().await) } else { None };
                            // To its end also when the client is gone: it writes an object and its checksum in two
                            // steps, which hyper would stop between. S3 writes both or none.
                            let answer = hyper::service::Service::call(&service, request);
                            tokio::spawn(answer).await.unwrap()
                        }
                    });
                    tokio::spawn(async move {
                        let io = TokioIo::new(socket);
                        drop(
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(io, serve)
                                .await,
                        );
                    });
                }
            });
        });
        (Server { address, kind: Kind::S3sFs, root: Some(root) }, directory)
    });
    SERVER.0.clone()
}

/// moto, one for all tests; none with a loud word where it is not installed.
pub(crate) fn moto() -> Option<Server> {
    static SERVER: OnceLock<Option<(SocketAddr, Child)>> = OnceLock::new();
    let (address, _) = SERVER.get_or_init(start_moto).as_ref()?;
    Some(Server { address: *address, kind: Kind::Moto, root: None })
}

/// The Python that has moto and AWS's own client: `tests/requirements.txt` says which.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("CASSPORT_MOTO_PYTHON")
        .map_or_else(|| repository("target/moto/bin/python"), PathBuf::from)
}

fn start_moto() -> Option<(SocketAddr, Child)> {
    let python = python();
    if !python.exists() {
        eprintln!("SKIPPED: moto is not there ({})", python.display());
        return None;
    }
    // It ends when our end of its standard input closes: with this process, however that ends.
    let mut child = Command::new(&python)
        .arg("-c")
        .arg(
            "import sys, logging; logging.disable()\n\
             from moto.server import ThreadedMotoServer\n\
             server = ThreadedMotoServer('127.0.0.1', 0, verbose=False); server.start()\n\
             print(server.get_host_and_port()[1], flush=True); sys.stdin.read()",
        )
        .env("MOTO_S3_DEFAULT_MAX_KEYS", "5")
        .env("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")
        .env("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("moto did not start: {line:?}"));
    Some((SocketAddr::from(([127, 0, 0, 1], port)), child))
}

/// All servers that are there.
pub(crate) fn all() -> Vec<Server> {
    std::iter::once(s3s_fs()).chain(moto()).collect()
}

impl Server {
    /// A new bucket.
    pub(crate) fn bucket(&self) -> Bucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bucket-{}-{number}", std::process::id());
        match &self.root {
            Some(root) => std::fs::create_dir(root.join(&name)).unwrap(),
            None => {
                let (status, _) = self.request("PUT", &format!("/{name}"));
                assert_eq!(status, 200);
            }
        }
        Bucket { server: self.clone(), name }
    }

    /// A request without a signature, which moto does not miss.
    fn request(&self, method: &str, target: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }
}

impl Bucket {
    /// `s3://bucket/prefix`.
    pub(crate) fn location(&self, prefix: &str) -> S3Location {
        S3Location { bucket: self.name.clone(), prefix: prefix.to_owned() }
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        Location::S3(self.location(prefix)).to_string()
    }

    /// A store in it, directly.
    pub(crate) fn store(&self, prefix: &str) -> S3Store {
        self.store_at(self.server.address, prefix, &test_options())
    }

    /// A store in it, through `address`.
    pub(crate) fn store_at(
        &self,
        address: SocketAddr,
        prefix: &str,
        options: &S3Options,
    ) -> S3Store {
        let options = S3Options { endpoint: Some(format!("http://{address}")), ..options.clone() };
        S3Store::open_with(&self.location(prefix), &options, Some(credentials())).unwrap()
    }

    /// Objects and their bytes, seen past our own store's code.
    pub(crate) fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let client = raw_client(self.server.address);
        block_on(async {
            let mut found = Vec::new();
            let mut pages = client.list_objects_v2().bucket(&self.name).into_paginator().send();
            while let Some(page) = pages.next().await {
                for object in page.unwrap().contents() {
                    let key = object.key().unwrap();
                    let got = client.get_object().bucket(&self.name).key(key).send().await.unwrap();
                    let bytes = got.body.collect().await.unwrap().to_vec();
                    found.push((key.to_owned(), bytes));
                }
            }
            found
        })
    }

    /// How many uploads were begun and neither completed nor aborted.
    pub(crate) fn dangling_uploads(&self) -> usize {
        match &self.server.root {
            // Its uploads are files beside the buckets; the names of those of one bucket have it in Base64.
            Some(root) => std::fs::read_dir(root)
                .unwrap()
                .filter(|entry| {
                    let name = entry.as_ref().unwrap().file_name().to_string_lossy().into_owned();
                    name.starts_with(".upload")
                })
                .count(),
            None => {
                let (status, text) = self.server.request("GET", &format!("/{}?uploads", self.name));
                assert_eq!(status, 200, "{text}");
                text.matches("<UploadId>").count()
            }
        }
    }
}

/// The credentials that s3s-fs knows.
pub(crate) fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
}

/// Small parts and little patience.
pub(crate) fn test_options() -> S3Options {
    S3Options {
        path_style: true,
        region: Some("us-east-1".into()),
        transfer: Transfer { part_size: 5 << 20, largest_part: 6 << 20, in_flight: 10 << 20 },
        retry: RetryPolicy {
            attempts: 12,
            first_attempts: 12,
            damaged_attempts: 4,
            first_delay: Duration::from_millis(2),
            longest_delay: Duration::from_millis(20),
            timeout: Duration::from_secs(20),
            least_rate: 1 << 20,
            connect_timeout: Duration::from_secs(2),
            stall: Duration::from_secs(5),
        },
        ..S3Options::default()
    }
}

/// A client of the SDK as it comes.
pub(crate) fn raw_client(address: SocketAddr) -> aws_sdk_s3::Client {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(credentials())
        .force_path_style(true)
        .http_client(http)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Bytes that do not repeat within a part.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
