//! `--listen`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where metrics and the status page are served.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Observation")]
pub struct ListenArgs {
    /// Serve metrics, health and a status page over HTTP here: PORT (of 127.0.0.1) or ADDRESS:PORT
    ///
    /// Paths are / (the page), /status.json, /metrics, /healthz and /readyz. Nothing can be changed by them. There is no
    /// password: on another address than loopback, whoever reaches the port reads names of tables and hosts.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = parse_listen)]
    pub listen: Option<SocketAddr>,
}

/// Reads a port, which is one of 127.0.0.1, or an address with a port.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!(
            "{text:?} is neither a port such as 9464 nor an address such as 0.0.0.0:9464 or [::1]:9464"
        )
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(loopback, port));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().map(|port| SocketAddr::new(loopback, port)).map_err(|_| wrong());
    }
    text.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        for (text, address) in [
            ("9464", "127.0.0.1:9464"),
            ("0", "127.0.0.1:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::]:9464", "[::]:9464"),
        ] {
            assert_eq!(parse_listen(text).unwrap().to_string(), address, "{text}");
        }
        for text in ["", "65536", "-1", ":9464", "0.0.0.0", "example.com:80", "::1:80x", "*:9464"] {
            assert!(parse_listen(text).unwrap_err().contains("such as 9464"), "{text}");
        }
    }
}
