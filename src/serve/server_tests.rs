use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;
use crate::error::ErrorClass;

/// A view that says what it is told to.
struct Told(Snapshot);

impl View for Told {
    fn snapshot(&self) -> Snapshot {
        self.0.clone()
    }
}

fn start(snapshot: Snapshot) -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), Arc::new(Told(snapshot))).unwrap()
}

/// Sends bytes and reads until the other side closes.
fn exchange(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The other side may close before it has read all of it.
    drop(stream.write_all(request.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

fn get(server: &Server, path: &str, more: &str) -> String {
    let host = server.address();
    exchange(
        server,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"),
    )
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

#[test]
fn every_path_answers_and_nothing_else_does() {
    let server = start(Snapshot { command: "tail".into(), ..Snapshot::default() });
    let page = get(&server, "/", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>cassport</title>"), "{page}");
    let lower = page.to_lowercase();
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "x-frame-options: deny",
    ] {
        assert!(lower.contains(header), "{header} is not in {page}");
    }
    assert!(!lower.contains("access-control-allow"), "{page}");
    let json = get(&server, "/status.json", "");
    assert!(json.contains(r#""command":"tail""#), "{json}");
    let old = get(&server, "/metrics", "");
    assert!(old.contains("text/plain; version=0.0.4") && !old.contains("# EOF"), "{old}");
    let open = get(&server, "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.contains("application/openmetrics-text") && open.ends_with("# EOF\n"), "{open}");
    assert_eq!(status(&get(&server, "/healthz", "")), 200);
    assert_eq!(status(&get(&server, "/readyz", "")), 200);
    assert_eq!(status(&get(&server, "/nothing", "")), 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let host = server.address();
        let request =
            format!("{method} /status.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&exchange(&server, &request)), 405, "{method}");
    }
}

#[test]
fn what_is_wrong_is_an_answer_of_503_and_said() {
    let server = start(Snapshot {
        unhealthy: Some("it stands still".into()),
        not_ready: Some("no plan".into()),
        ..Snapshot::default()
    });
    let health = get(&server, "/healthz", "");
    assert!(status(&health) == 503 && health.ends_with("it stands still\n"), "{health}");
    let ready = get(&server, "/readyz", "");
    assert!(status(&ready) == 503 && ready.ends_with("no plan\n"), "{ready}");
}

#[test]
fn somebody_elses_name_is_not_answered() {
    let server = start(Snapshot::default());
    let request = "GET /status.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let answer = exchange(&server, request);
    assert!(status(&answer) == 421 && !answer.contains("elapsedSeconds"), "{answer}");
}

#[test]
fn a_port_that_is_taken_is_refused_in_words() {
    let server = start(Snapshot::default());
    let again = Server::start(server.address(), Arc::new(Told(Snapshot::default())));
    let error = again.unwrap_err();
    assert!(error.class() == ErrorClass::Output, "{error}");
    let words = format!("{error}; {}", error.hint().unwrap());
    assert!(words.contains(&server.address().to_string()), "{words}");
    assert!(words.contains("another process has it"), "{words}");
}

#[test]
fn heads_that_are_too_long_are_refused_and_many_idle_connections_do_not_keep_others_out_for_ever() {
    let server = start(Snapshot::default());
    let long =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(4 * HEAD));
    let answer = exchange(&server, &long);
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    // More than are served at a time, none of which says anything; each is given up after the time for a head.
    let idle: Vec<TcpStream> =
        (0..CONNECTIONS + 8).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let began = Instant::now();
    assert_eq!(status(&get(&server, "/healthz", "")), 200);
    assert!(began.elapsed() < 3 * HEAD_TIME, "{:?}", began.elapsed());
    drop(idle);
}

#[test]
fn a_server_ends_when_it_is_dropped() {
    let server = start(Snapshot::default());
    let address = server.address();
    assert_eq!(status(&get(&server, "/healthz", "")), 200);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
