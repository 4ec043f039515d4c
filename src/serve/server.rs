//! The listener, its thread, and its limits.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::page::Page;
use super::routes::{Shared, router};
use crate::error::{Error, Result};
use crate::progress::{Board, Snapshot};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// How long a head may take to come.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever it is used for.
const LIFE: Duration = Duration::from_secs(60);
/// How long answers that have begun may take when the process ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// After a connection that could not be taken (no file descriptor left).
const PAUSE: Duration = Duration::from_millis(100);

/// What is shown. Called for each request: it must not wait for anything slow.
pub trait View: Send + Sync {
    /// Where the job stands.
    fn snapshot(&self) -> Snapshot;
}

impl View for Board {
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}

/// A server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and shows `view`. An address that is taken, or not this machine's, is an error at once.
    pub fn start(address: SocketAddr, view: Arc<dyn View>) -> Result<Self> {
        let refused = |error: std::io::Error| Error::Refused {
            what: format!("cannot listen on {address}: {error}"),
            hint: Some(
                match error.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        "another process has it: give another port to --listen"
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need a privilege: --listen 9464"
                    }
                    _ => "--listen PORT, or ADDRESS:PORT with an address of this machine",
                }
                .to_owned(),
            ),
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let bug = |error: std::io::Error| Error::Bug(format!("no thread for --listen: {error}"));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(bug)?;
        let shared = Arc::new(Shared { view, page: Page::new(), address });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("listen".into())
            .spawn(move || runtime.block_on(serve(listener, shared, stopped)))
            .map_err(bug)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: with the port that the system chose, where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the panic has been printed.
            drop(thread.join());
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "--listen: nothing is served");
            return;
        }
    };
    let app = router(shared);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = &mut stopped => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    connection(stream, app).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
            }
        }
    }
    // All permits are back when the last answer is out.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    drop(timeout(FAREWELL, room.acquire_many(all)).await);
}

async fn connection(stream: TcpStream, app: axum::Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    // That somebody went away, was too slow or sent nonsense is nobody's business here.
    drop(timeout(LIFE, served).await);
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
