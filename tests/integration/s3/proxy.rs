//! A proxy between store and server that goes wrong as it is told: requests by plan, or by chance from a seed.
//!
//! It knows just enough HTTP: one request per connection, bodies by their length. Plain threads, so that nothing of what is
//! tested is used to test it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error answer; the server never sees the request.
    Answer(u16, &'static str),
    /// The connection ends before the body is read.
    ResetBefore,
    /// The server does it, and the answer is lost.
    LoseAnswer,
    /// The server does it, and the answer is this error.
    DoneBut(u16, &'static str),
    /// No answer, ever.
    Stall,
    /// The body is not read.
    StallBody,
    /// The answer comes late.
    Slow(Duration),
    /// Half of the answer, then the end.
    Truncate,
    /// The answer stops in the middle.
    StallAnswer,
    /// A byte of the body changes on the way to the server.
    DamageBody,
    /// The same, by a server that says nothing about checksums.
    DamageBodyInSilence,
    /// The server reports another CRC-64/NVME.
    WrongChecksum,
    /// The server says nothing about checksums.
    NoChecksum,
    /// The server does not see that the request has a condition.
    DropCondition,
}

/// Requests that a fault is for.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// `PUT`, `POST`, ...
    pub(crate) method: &'static str,
    /// Part of the target: `partNumber=2`, `?uploads`, a name.
    pub(crate) target: &'static str,
    /// So many of them.
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

pub(crate) fn rule(method: &'static str, target: &'static str, fault: Fault) -> Rule {
    Rule { method, target, times: 1, fault }
}

impl Rule {
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

/// Faults by chance.
struct Chance {
    state: u64,
    /// Of so many requests one goes wrong.
    one_in: u64,
    faults: Vec<Fault>,
}

struct Plan {
    rules: Vec<Rule>,
    chance: Option<Chance>,
    /// Method, target and what was done to it.
    log: Vec<(String, String, Option<Fault>)>,
    /// All of the heads.
    heads: Vec<String>,
    /// Parts under way, now and at most.
    parts: (usize, usize),
}

/// A running proxy; it ends with the process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// A proxy before `server` that follows `rules`.
    pub(crate) fn start(server: SocketAddr, rules: Vec<Rule>) -> Self {
        Self::with_plan(
            server,
            Plan { rules, chance: None, log: Vec::new(), heads: Vec::new(), parts: (0, 0) },
        )
    }

    /// A proxy that lets one in `one_in` requests go wrong in one of these ways.
    pub(crate) fn by_chance(server: SocketAddr, seed: u64, one_in: u64, faults: &[Fault]) -> Self {
        let chance = Chance {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            one_in,
            faults: faults.to_vec(),
        };
        let plan = Plan {
            rules: Vec::new(),
            chance: Some(chance),
            log: Vec::new(),
            heads: Vec::new(),
            parts: (0, 0),
        };
        Self::with_plan(server, plan)
    }

    fn with_plan(server: SocketAddr, plan: Plan) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Mutex::new(plan));
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&shared);
                // That a connection ends early is what this is about.
                std::thread::spawn(move || {
                    let mut is_part = false;
                    drop(serve(client.unwrap(), server, &shared, &mut is_part));
                    shared.lock().unwrap().parts.0 -= usize::from(is_part);
                });
            }
        });
        Self { address, plan }
    }

    /// Requests so far whose method and target fit.
    pub(crate) fn count(&self, method: &str, target: &str) -> usize {
        let plan = self.plan.lock().unwrap();
        plan.log.iter().filter(|(m, t, _)| m == method && t.contains(target)).count()
    }

    /// The heads of all requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.plan.lock().unwrap().heads.clone()
    }

    /// Parts that were under way at a time, at most.
    pub(crate) fn most_parts_at_once(&self) -> usize {
        self.plan.lock().unwrap().parts.1
    }

    /// Faults that happened.
    pub(crate) fn faults(&self) -> usize {
        self.plan.lock().unwrap().log.iter().filter(|(_, _, fault)| fault.is_some()).count()
    }
}

impl Plan {
    fn decide(&mut self, method: &str, target: &str) -> Option<Fault> {
        let mut fault = None;
        for rule in &mut self.rules {
            if rule.method != method || !target.contains(rule.target) {
                continue;
            }
            if rule.times > 0 {
                rule.times -= 1;
                fault = Some(rule.fault);
                break;
            }
        }
        if let Some(chance) = &mut self.chance {
            chance.state ^= chance.state << 13;
            chance.state ^= chance.state >> 7;
            chance.state ^= chance.state << 17;
            let number = chance.state >> 16;
            if number % chance.one_in == 0 {
                let which = (number / chance.one_in) as usize % chance.faults.len();
                fault = Some(chance.faults[which]);
            }
        }
        self.log.push((method.to_owned(), target.to_owned(), fault));
        fault
    }
}

fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    plan: &Mutex<Plan>,
    is_part: &mut bool,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if read_some(&mut client, &mut bytes)? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    *is_part = target.contains("partNumber");
    let fault = {
        let mut plan = plan.lock().unwrap();
        if *is_part {
            plan.parts.0 += 1;
            plan.parts.1 = plan.parts.1.max(plan.parts.0);
        }
        plan.heads.push(head.to_ascii_lowercase());
        plan.decide(&method, &target)
    };
    if fault == Some(Fault::ResetBefore) {
        return client.shutdown(Shutdown::Both);
    }
    if fault == Some(Fault::StallBody) {
        std::thread::sleep(Duration::from_secs(60));
        return Ok(());
    }
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length: usize = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head_len + length {
        if read_some(&mut client, &mut bytes)? == 0 {
            return Ok(());
        }
    }
    match fault {
        Some(Fault::Answer(status, code)) => return answer(&mut client, &method, status, code),
        Some(Fault::Stall) => {
            std::thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
        Some(Fault::DamageBody | Fault::DamageBodyInSilence) if length > 0 => {
            let at = head_len + length / 2;
            bytes[at] ^= 0x40;
        }
        _ => {}
    }
    let head = if fault == Some(Fault::DropCondition) {
        head.split("\r\n")
            .filter(|line| !line.to_ascii_lowercase().starts_with("if-"))
            .collect::<Vec<_>>()
            .join("\r\n")
    } else {
        head
    };
    let mut reply = forward(server, &head, &bytes[head_len..])?;
    match fault {
        Some(Fault::LoseAnswer) => return client.shutdown(Shutdown::Both),
        Some(Fault::DoneBut(status, code)) => return answer(&mut client, &method, status, code),
        Some(Fault::Slow(delay)) => std::thread::sleep(delay),
        Some(Fault::Truncate) => {
            client.write_all(&reply[..reply.len() - (reply.len() / 2).min(40)])?;
            return client.shutdown(Shutdown::Both);
        }
        Some(Fault::StallAnswer) => {
            client.write_all(&reply[..reply.len() - (reply.len() / 2).min(40)])?;
            std::thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
        Some(Fault::WrongChecksum) => reply = with_checksums(&reply, Some("AAAAAAAAAAA=")),
        Some(Fault::NoChecksum | Fault::DamageBodyInSilence) => {
            reply = with_checksums(&reply, None)
        }
        _ => {}
    }
    // With the answer its room is free.
    plan.lock().unwrap().parts.0 -= usize::from(std::mem::take(is_part));
    client.write_all(&reply)?;
    client.shutdown(Shutdown::Write)?;
    // Until the other side is done too: a reset could overtake the answer.
    drop(client.read(&mut [0; 1]));
    Ok(())
}

fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut buffer = vec![0; 64 << 10];
    let count = stream.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Sends the request on and returns all of the answer, which says that the connection ends with it.
fn forward(server: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(closing(head, true).as_bytes())?;
    upstream.write_all(body)?;
    let mut reply = Vec::new();
    upstream.read_to_end(&mut reply)?;
    let at = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let mut whole = closing(&String::from_utf8_lossy(&reply[..at + 4]), false).into_bytes();
    whole.extend_from_slice(&reply[at + 4..]);
    Ok(whole)
}

fn closing(head: &str, request: bool) -> String {
    let mut lines: Vec<&str> = head
        .trim_end()
        .split("\r\n")
        .filter(|line| {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            name != "connection" && !(request && name == "expect")
        })
        .collect();
    lines.push("Connection: close");
    lines.join("\r\n") + "\r\n\r\n"
}

fn answer(client: &mut TcpStream, method: &str, status: u16, code: &str) -> std::io::Result<()> {
    let body = if method == "HEAD" || code.is_empty() {
        String::new()
    } else {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as the test wants\
             </Message><RequestId>4711</RequestId></Error>"
        )
    };
    let head = format!(
        "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all((head + &body).as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    drop(client.read(&mut [0; 1]));
    Ok(())
}

/// The answer with other checksums in its head and in its XML, or with none.
fn with_checksums(reply: &[u8], value: Option<&str>) -> Vec<u8> {
    let at = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&reply[..at]).into_owned();
    let mut body = String::from_utf8_lossy(&reply[at + 4..]).into_owned();
    if let (Some(start), Some(end)) =
        (body.find("<ChecksumCRC64NVME>"), body.find("</ChecksumCRC64NVME>"))
    {
        let element =
            value.map_or(String::new(), |v| format!("<ChecksumCRC64NVME>{v}</ChecksumCRC64NVME>"));
        body.replace_range(start..end + "</ChecksumCRC64NVME>".len(), &element);
    }
    let mut lines: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        match name.as_str() {
            "x-amz-checksum-crc64nvme" => {
                lines.extend(value.map(|value| format!("x-amz-checksum-crc64nvme: {value}")));
            }
            "content-length" if !body.is_empty() => {
                lines.push(format!("Content-Length: {}", body.len()));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    (lines.join("\r\n") + "\r\n\r\n" + &body).into_bytes()
}
