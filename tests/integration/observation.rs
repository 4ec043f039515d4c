//! A running process, looked at from outside: over HTTP (`--listen`), by the service manager, in its messages as JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{cassport, copy_tree, repository, run};

const PATIENCE: Duration = Duration::from_secs(120);

/// A process that goes on, and the lines of its standard error.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Where it listens.
    fn address(&mut self) -> String {
        let began = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if let Some((_, rest)) = line.split_once("listening on http://") {
                        return rest.split('/').next().unwrap().to_owned();
                    }
                }
                Err(error) => panic!("{error}; it said {:?}", self.said),
            }
            assert!(began.elapsed() < PATIENCE, "it said {:?}", self.said);
        }
    }

    /// Waits until it says, in JSON, where it listens.
    fn address_in_json(&mut self) {
        let address = self.address();
        assert!(address.contains(':'), "{address}");
    }

    fn stop(mut self, code: i32) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        let said = self.said.join("\n");
        assert_eq!(status.code(), Some(code), "{said}");
        said
    }
}

/// One request; status and body.
fn get(address: &str, path: &str, more: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Asks until the answer is what is wanted.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn json(address: &str) -> serde_json::Value {
    serde_json::from_str(&get(address, "/status.json", "").1).unwrap()
}

/// The value of a sample whose name and labels begin so.
fn sample(text: &str, begins: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(begins))?;
    Some(line.rsplit_once(' ')?.1.parse().unwrap())
}

/// `promtool check metrics`, where there is one.
fn check_by_promtool(text: &str) {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else {
        eprintln!("SKIPPED: promtool is not there (Debian: prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8(words).unwrap();
    assert!(output.status.success() && words.trim().is_empty(), "{words}\n{text}");
}

/// A tail of a copied corpus that goes on until it is stopped.
fn tail(directory: &Path, more: &[&str]) -> Command {
    for name in ["data", "cdc_raw"] {
        if !directory.join(name).exists() {
            copy_tree(&repository("testdata/4.1-cdc").join(name), &directory.join(name));
        }
    }
    let mut command = cassport(["tail", "--shipped", "keep", "--flush-interval", "100ms"]);
    command.args(["--cdc-total-space", "100MiB"]).args(more);
    command.arg("--data-dir").arg(directory.join("data"));
    command.arg("--cdc-raw").arg(directory.join("cdc_raw"));
    command.arg("--output").arg(directory.join("out"));
    command.arg("--state-dir").arg(directory.join("state"));
    command
}

fn extract(output: &Path, more: &[&str]) -> Command {
    let options = ["extract", "--now", "1795279700", "-k", "storage,shop", "--file-size", "1KiB"];
    let mut command = cassport(options);
    command.arg("--data-dir").arg(repository("testdata/4.1/data"));
    command.arg("--output").arg(output).args(more);
    command
}

#[test]
fn an_extract_shows_its_tables_and_their_numbers() {
    let scratch = tempfile::tempdir().unwrap();
    let slowly = ["--listen", "0", "--read-rate", "64KiB/s", "--threads", "1"];
    let mut running = Running::start(extract(&scratch.path().join("out"), &slowly));
    let address = running.address();
    until(|| (get(&address, "/readyz", "").0 == 200).then_some(()));
    assert_eq!(get(&address, "/healthz", ""), (200, "ok\n".to_owned()));
    let found = until(|| {
        let found = json(&address);
        let rows = |t: &serde_json::Value| t["rows"].as_u64().unwrap();
        found["tables"].as_array().unwrap().iter().any(|t| rows(t) > 0).then_some(found)
    });
    assert_eq!((&found["command"], &found["unhealthy"]), (&"extract".into(), &().into()));
    assert!(found["output"].as_str().unwrap().ends_with("/out"), "{found}");
    let (_, text) = get(&address, "/metrics", "");
    check_by_promtool(&text);
    let rows: f64 = text
        .lines()
        .filter(|line| line.starts_with("cassport_rows_total{keyspace=\""))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    assert!(rows > 0.0, "{text}");
    assert!(sample(&text, "cassport_memory_used_bytes").unwrap() > 1e6, "{text}");
    assert_eq!(sample(&text, "cassport_memory_budget_bytes"), Some(f64::from(1 << 30)), "{text}");
    assert_eq!(sample(&text, "cassport_ready"), Some(1.0), "{text}");
    assert!(get(&address, "/", "").1.contains("<title>cassport</title>"));
    running.stop(143);
}

#[test]
fn a_tail_shows_its_position_and_the_space_that_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let mut running = Running::start(tail(scratch.path(), &["--listen", "127.0.0.1:0"]));
    let address = running.address();
    let text = until(|| {
        let (_, text) = get(&address, "/metrics", "");
        let all = sample(&text, "cassport_tail_segments_shipped_total{").unwrap_or(0.0) > 0.0
            && sample(&text, "cassport_tail_lag_seconds{").is_some()
            && sample(&text, "cassport_cdc_used_bytes").is_some();
        all.then_some(text)
    });
    check_by_promtool(&text);
    assert!(sample(&text, "cassport_tail_records_total{host=\"").unwrap() > 10.0, "{text}");
    assert!(sample(&text, "cassport_tail_position_segment{").unwrap() > 1e12, "{text}");
    assert_eq!(sample(&text, "cassport_tail_lost_ranges_total{"), Some(0.0), "{text}");
    assert_eq!(sample(&text, "cassport_cdc_limit_bytes"), Some(f64::from(68 << 20)), "{text}");
    assert_eq!(get(&address, "/readyz", ""), (200, "ok\n".to_owned()));

    // Another one at the same port is refused at once, before it does anything.
    let other = scratch.path().join("other");
    let output = run(extract(&other, &["--listen", &address]), 4);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("cannot listen on {address}")), "{words}");
    assert!(words.contains("another process has it") && !other.exists(), "{words}");
    running.stop(0);
    let output = run(extract(&other, &["--listen", "somewhere"]), 2);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("such as 9464"), "{words}");
}

#[test]
fn a_sequencer_that_is_held_back_is_ready_and_says_so_and_a_page_shows_all_of_an_output() {
    let scratch = tempfile::tempdir().unwrap();
    run(tail(scratch.path(), &["--once"]), 0);
    let output = scratch.path().join("out");
    let mut command = cassport(["sequence", "--profile", "jsonl", "--listen", "0"]);
    command.args(["--flush-interval", "100ms"]).arg("--output").arg(&output);
    command.arg("--state-dir").arg(scratch.path().join("sequencer"));
    let mut running = Running::start(command);
    let address = running.address();
    let found = until(|| Some(json(&address)).filter(|found| found["sequencer"].is_object()));
    assert_eq!(found["sequencer"]["heldBack"], true, "{found}");
    assert_eq!(get(&address, "/readyz", "").0, 200);
    let (_, text) = get(&address, "/metrics", "Accept: application/openmetrics-text\r\n");
    assert_eq!(sample(&text, "cassport_sequence_held_back"), Some(1.0), "{text}");

    // `--release` writes without the seal.
    running.stop(0);
    let mut command = cassport(["sequence", "--profile", "jsonl", "--listen", "0", "--release"]);
    command.args(["--flush-interval", "100ms"]).arg("--output").arg(&output);
    command.arg("--state-dir").arg(scratch.path().join("sequencer"));
    let mut running = Running::start(command);
    let address = running.address();
    let text = until(|| {
        let (_, text) = get(&address, "/metrics", "");
        sample(&text, "cassport_sequence_lag_seconds")?;
        (sample(&text, "cassport_sequence_rows_total{")? > 0.0).then_some(text)
    });
    check_by_promtool(&text);
    running.stop(0);

    let mut command = cassport(["status", "--watch", "100ms", "--listen", "0"]);
    command.arg("--output").arg(&output);
    let mut running = Running::start(command);
    let address = running.address();
    let found = until(|| Some(json(&address)).filter(|f| !f["streams"][0].is_null()));
    assert!(found["streams"][0]["lagSeconds"].is_number(), "{found}");
    let child = Pid::from_child(&running.child);
    kill_process(child, Signal::KILL).unwrap();
    running.child.wait().unwrap();
}

/// What comes to a socket of a service manager until nothing more does.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { socket, heard: Vec::new() }
    }

    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        let began = Instant::now();
        // Signs of life may come without end.
        while began.elapsed() < Duration::from_millis(300)
            && let Ok(len) = self.socket.recv(&mut buffer)
        {
            let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
            self.heard.extend(text.lines().map(str::to_owned));
        }
    }

    fn count(&self, word: &str) -> usize {
        self.heard.iter().filter(|line| *line == word).count()
    }

    /// Listens until a line begins so.
    fn hears(&mut self, begins: &str) {
        self.hears_with(begins, "");
    }

    /// Listens until a line begins so and holds these words.
    fn hears_with(&mut self, begins: &str, words: &str) {
        let began = Instant::now();
        let is = |line: &String| line.starts_with(begins) && line.contains(words);
        while !self.heard.iter().any(is) {
            self.listen();
            assert!(began.elapsed() < PATIENCE, "{begins} is not in {:?}", self.heard);
        }
    }
}

#[test]
fn a_service_manager_hears_that_the_job_is_ready_lives_and_ends() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("notify");
    let mut manager = Manager::new(&path);
    let mut command = tail(scratch.path(), &[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    let running = Running::start(command);
    manager.hears("READY=1");
    let ready = manager.heard.iter().position(|line| line == "READY=1").unwrap();
    manager.hears_with("STATUS=", "records shipped");
    let began = Instant::now();
    let before = manager.count("WATCHDOG=1");
    while manager.count("WATCHDOG=1") < before + 10 {
        manager.listen();
        assert!(began.elapsed() < PATIENCE, "{:?}", manager.heard);
    }
    // Every 100 ms, not as fast as it can.
    assert!(began.elapsed() > Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!((manager.count("READY=1"), manager.count("STOPPING=1")), (1, 0), "{ready}");
    running.stop(0);
    manager.hears("STOPPING=1");
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.heard);

    // A run that ends by itself says so too; without a watchdog none is fed.
    let mut manager = Manager::new(&scratch.path().join("other"));
    let mut command = extract(&scratch.path().join("rows"), &[]);
    command.env("NOTIFY_SOCKET", scratch.path().join("other")).env_remove("WATCHDOG_USEC");
    run(command, 0);
    manager.hears("STOPPING=1");
    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:?}", manager.heard);
}

/// Runs a command with `--log-format json` and looks at each line of standard error.
fn logged(mut command: Command, code: i32) -> Vec<serde_json::Value> {
    command.args(["--log-format", "json", "-v", "--progress-interval", "50ms"]);
    let output = run(command, code);
    let text = String::from_utf8(output.stderr).unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        for name in ["timestamp", "level", "target", "message"] {
            assert!(value[name].is_string(), "{name} is not in {line}");
        }
        let time = value["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        let level = value["level"].as_str().unwrap();
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level), "{line}");
        assert!(value["target"].as_str().unwrap().starts_with("cassport"), "{line}");
        lines.push(value);
    }
    lines
}

#[test]
fn with_json_logs_every_line_of_every_command_is_json() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, out) = (repository("testdata/4.1/data"), scratch.path().join("out"));
    let with_data = |arguments: &[&str]| {
        let mut command = cassport(arguments);
        command.arg("--data-dir").arg(&data);
        command
    };
    let with_output = |arguments: &[&str], output: &Path| {
        let mut command = cassport(arguments);
        command.arg("--output").arg(output);
        command
    };
    let lines = logged(extract(&out, &["--listen", "0", "--read-rate", "256KiB/s"]), 0);
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["target"]), (&"INFO".into(), &"cassport::progress".into()));
    assert!(
        lines.iter().any(|line| line["bytes_read"].is_number()),
        "fields stand beside the words"
    );
    logged(with_output(&["seal"], &out), 0);
    logged(with_output(&["status"], &out), 0);
    logged(with_output(&["verify", "--full"], &out), 0);
    let mut plan = with_data(&["plan", "-k", "storage"]);
    plan.arg("--output").arg(&out);
    logged(plan, 0);
    logged(with_data(&["inspect", "-k", "storage", "--check"]), 0);
    logged(with_data(&["schema", "-k", "storage"]), 0);
    logged(with_data(&["cat", "-t", "storage.lz4"]), 0);
    logged(with_data(&["verify", "-k", "storage"]), 0);
    logged(with_data(&["config"]), 0);
    logged(cassport(["generate", "man"]), 0);
    logged(tail(scratch.path(), &["--once"]), 0);
    let mut sequence = cassport(["sequence", "--profile", "jsonl", "--once", "--release"]);
    sequence.arg("--output").arg(&out).arg("--state-dir").arg(scratch.path().join("sequencer"));
    logged(sequence, 0);

    // A command line that cannot be, and a signal.
    let lines = logged(cassport(["extract", "--wrong"]), 2);
    assert_eq!((lines.len(), &lines[0]["code"]), (1, &2.into()), "{lines:?}");
    let mut command = tail(scratch.path(), &["--log-format", "json", "--listen", "0"]);
    command.env("CASSPORT_PROGRESS_INTERVAL", "50ms");
    let mut running = Running::start(command);
    running.address_in_json();
    for line in running.stop(0).lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }

    // Errors too, with their code, cause and hint.
    let missing = scratch.path().join("missing");
    for (command, code) in [
        (with_output(&["seal"], &missing), 3),
        (with_output(&["status"], &missing), 3),
        (with_output(&["extract"], &missing), 2),
    ] {
        let lines = logged(command, code);
        let error = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["hint"].is_string(), "{error}");
    }
}
