//! What a running hivedns tells of itself at `/metrics`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// All metrics of a server by name and labels.
pub(super) fn metrics(http: SocketAddr) -> Result<BTreeMap<String, f64>, String> {
    let failed = |error: std::io::Error| format!("{http}: {error}");
    let mut stream = TcpStream::connect(http).map_err(failed)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: perf\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(failed)?;
    let lines = text.lines().filter(|line| line.starts_with("hivedns_"));
    Ok(lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect())
}

/// The sum of all series of a name.
pub(super) fn sum(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    let is_of =
        |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
    metrics.iter().filter(|(series, _)| is_of(series)).map(|(_, value)| value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_series_of_a_name_add_up_and_no_others() {
        let series =
            [("a_total{x=\"1\"}", 2.0), ("a_total{x=\"2\"}", 3.0), ("a_total_bytes", 7.0), ("b", 5.0)];
        let metrics = series.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!((sum(&metrics, "a_total"), sum(&metrics, "b"), sum(&metrics, "c")), (5.0, 5.0, 0.0));
    }
}
