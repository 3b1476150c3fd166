//! The verbs of a running server, from the user's side: ask over the control socket, show what comes back.
//!
//! ```text
//! Call ─► client ─► control socket ─► JSON ─┬─► as it is           (--format json)
//!                                           └─► show ─► table ─► text
//! ```
//!
//! Exit codes: 0 well; 1 the operation failed, or, for `status`, the node is not ready; 2 the request made no sense.

mod cached;
mod client;
mod show;
mod table;
#[cfg(test)]
mod tests;

pub use client::Trouble;

use crate::cli::{Asked, Call, EXIT_FAILED, EXIT_OK, EXIT_USAGE, Format};
use crate::control::document::{
    CacheDocument, DiffDocument, DrainDocument, FlushDocument, ForceLeaveDocument, KeysDocument,
    LeaveDocument, MembersDocument, RecordsDocument, ReloadDocument, ResyncDocument, SetDocument,
    StatsDocument, StatusDocument, UnsetDocument, WhyDocument, ZoneVerbDocument, ZonesDocument,
};
use crate::control::request::{Look, RefusedKind, Request};
use crate::verbs::client::Client;
use crate::verbs::table::{Style, printable};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, BufRead, Write};

/// What a verb reads and writes.
pub struct Terminal<'t> {
    /// Where a key comes from that is not on the command line.
    pub input: &'t mut dyn BufRead,
    /// What was asked for.
    pub output: &'t mut dyn Write,
    /// Troubles, and what one waits for.
    pub errors: &'t mut dyn Write,
    /// True if `output` is a terminal that takes colours, and nobody asked for none.
    pub colours: bool,
    /// True if somebody watches `errors`.
    pub watched: bool,
}

/// Asks, shows, and tells the exit code.
pub fn run(call: Call, terminal: &mut Terminal<'_>) -> u8 {
    match obey(call, terminal) {
        Ok(code) => code,
        Err(trouble) => {
            // There is nobody left to tell if this fails.
            let _ = trouble
                .to_string()
                .lines()
                .try_for_each(|line| writeln!(terminal.errors, "hivedns: {}", printable(line)));
            match trouble {
                Trouble::Refused(refused) => match refused.kind {
                    RefusedKind::Malformed | RefusedKind::Configuration => EXIT_USAGE,
                    RefusedKind::NotFound
                    | RefusedKind::Conflict
                    | RefusedKind::Unavailable
                    | RefusedKind::Failed => EXIT_FAILED,
                },
                Trouble::Unreachable(_) | Trouble::Broken(_) => EXIT_FAILED,
            }
        }
    }
}

fn obey(call: Call, terminal: &mut Terminal<'_>) -> Result<u8, Trouble> {
    let client = Client::new(&call.sockets);
    let mut page = Page { format: call.format, terminal, is_read: true };
    match call.what {
        Asked::Look(Look::Status) => {
            let status: StatusDocument = page.one(&client, &call.what, show::status)?;
            Ok(if status.ready { EXIT_OK } else { EXIT_FAILED })
        }
        Asked::Look(Look::Zones) => {
            page.one::<ZonesDocument>(&client, &call.what, show::zones).map(|_| EXIT_OK)
        }
        Asked::Look(Look::Stats) => {
            page.one::<StatsDocument>(&client, &call.what, show::stats).map(|_| EXIT_OK)
        }
        Asked::Request(request) => page.request(&client, request),
    }
}

/// Where answers go.
struct Page<'p, 't> {
    format: Format,
    terminal: &'p mut Terminal<'t>,
    /// False once the reader has had enough (`| head`), which is no failure.
    is_read: bool,
}

impl Page<'_, '_> {
    fn request(&mut self, client: &Client<'_>, request: Request) -> Result<u8, Trouble> {
        let request = match request {
            Request::KeyAdd { key } if key == "-" => Request::KeyAdd { key: self.key()? },
            request => request,
        };
        let is_well = |well: bool| if well { EXIT_OK } else { EXIT_FAILED };
        let asked = Asked::Request(request.clone());
        Ok(match request {
            Request::Records { .. } => {
                let mut listing = show::Listing::new(Style { colours: self.terminal.colours });
                let parts = |page: RecordsDocument| (page.records, page.next);
                let show = |records: &[_]| listing.records(records);
                return self.pages(client, request, "records", parts, show);
            }
            Request::CacheDump { .. } => {
                let mut listing = cached::Listing::new(Style { colours: self.terminal.colours });
                let parts = |page: CacheDocument| (page.entries, page.next);
                let show = |entries: &[_]| listing.entries(entries);
                return self.pages(client, request, "entries", parts, show);
            }
            Request::Flush { .. } => {
                self.one::<FlushDocument>(client, &asked, cached::flush)?;
                EXIT_OK
            }
            Request::Members {} => {
                self.one::<MembersDocument>(client, &asked, show::members)?;
                EXIT_OK
            }
            Request::Set { .. } => {
                self.one::<SetDocument>(client, &asked, show::set)?;
                EXIT_OK
            }
            Request::Unset { .. } => {
                self.one::<UnsetDocument>(client, &asked, show::unset)?;
                EXIT_OK
            }
            Request::Why { .. } => {
                self.one::<WhyDocument>(client, &asked, show::why)?;
                EXIT_OK
            }
            Request::Diff {} => {
                self.one::<DiffDocument>(client, &asked, show::diff)?;
                EXIT_OK
            }
            Request::Resync { .. } => {
                let done: ResyncDocument = self.one(client, &asked, show::resync)?;
                is_well(done.silent.is_empty())
            }
            Request::Drain { .. } => {
                let done: DrainDocument = self.one(client, &asked, show::drain)?;
                is_well(done.missing.is_empty())
            }
            Request::Reload {} => {
                let done: ReloadDocument = self.one(client, &asked, show::reload)?;
                is_well(done.faulty.is_empty())
            }
            Request::Leave {} => {
                self.one::<LeaveDocument>(client, &asked, show::leave)?;
                EXIT_OK
            }
            Request::ForceLeave { .. } => {
                self.one::<ForceLeaveDocument>(client, &asked, show::force_leave)?;
                EXIT_OK
            }
            Request::ZoneNotify { .. } | Request::ZoneRefresh { .. } | Request::ZoneRetransfer { .. } => {
                self.one::<ZoneVerbDocument>(client, &asked, show::zone)?;
                EXIT_OK
            }
            Request::KeyAdd { .. }
            | Request::KeyUse { .. }
            | Request::KeyRemove { .. }
            | Request::KeyList {} => {
                self.one::<KeysDocument>(client, &asked, show::keys)?;
                EXIT_OK
            }
        })
    }

    /// Asks once, and shows the document.
    fn one<D: DeserializeOwned + Serialize>(
        &mut self,
        client: &Client<'_>,
        asked: &Asked,
        show: fn(&D, Style) -> String,
    ) -> Result<D, Trouble> {
        let value = match self.what_is_waited_for(asked) {
            Some(what) => {
                let errors = &mut *self.terminal.errors;
                // The terminal may be gone, and the answer still be wanted.
                let _ = write!(errors, "{what} ...").and_then(|()| errors.flush());
                let told = client.ask_while(asked, |waited| {
                    let _ =
                        write!(errors, "\r{what} ... {} s", waited.as_secs()).and_then(|()| errors.flush());
                });
                let _ = writeln!(errors);
                told?
            }
            None => client.ask(asked)?,
        };
        let document: D = read(&value)?;
        match self.format {
            // As it came: a newer server may say more than this program knows.
            Format::Json => self.say(&format!("{}\n", json(&format!("{value:#}"))))?,
            Format::Text => self.say(&show(&document, Style { colours: self.terminal.colours }))?,
        }
        Ok(document)
    }

    /// Asks until there are no more rows, and shows them as they come. If a later page is not to be had, what stands in the
    /// output is a whole document all the same: its `next` says where it ends.
    fn pages<D: DeserializeOwned, R: Serialize>(
        &mut self,
        client: &Client<'_>,
        mut request: Request,
        field: &str,
        parts: fn(D) -> (Vec<R>, Option<String>),
        mut show: impl FnMut(&[R]) -> String,
    ) -> Result<u8, Trouble> {
        let ask = |request: &Request| -> Result<(Vec<R>, Option<String>), Trouble> {
            read(&client.ask(&Asked::Request(request.clone()))?).map(parts)
        };
        // Whoever is refused at once has nothing in the output.
        let (mut rows, mut next) = ask(&request)?;
        let begin = format!("{{\n  \"{field}\": [");
        let mut between = begin.as_str();
        loop {
            match self.format {
                Format::Json => {
                    for row in &rows {
                        let row = serde_json::to_string(row).map_err(|error| broken(&error))?;
                        self.say(&format!("{between}\n    {}", json(&row)))?;
                        between = ",";
                    }
                }
                Format::Text => self.say(&show(&rows))?,
            }
            let (Request::Records { after, .. } | Request::CacheDump { after }) = &mut request else { break };
            match next.take() {
                // A server that does not go on must not keep us here.
                Some(next) if after.as_ref() != Some(&next) && self.is_read => *after = Some(next),
                _ => break,
            }
            let end = after.clone();
            (rows, next) = match ask(&request) {
                Ok(page) => page,
                Err(trouble) => {
                    self.end_pages(between, end.as_deref())?;
                    return Err(trouble);
                }
            };
        }
        self.end_pages(between, None)?;
        Ok(EXIT_OK)
    }

    fn end_pages(&mut self, between: &str, next: Option<&str>) -> Result<(), Trouble> {
        if self.format == Format::Text {
            return Ok(());
        }
        let begin = if between == "," { "" } else { between };
        let next = serde_json::Value::from(next).to_string();
        self.say(&format!("{begin}\n  ],\n  \"next\": {}\n}}\n", json(&next)))
    }

    /// A key from standard input: the first line, however much comes behind it.
    fn key(&mut self) -> Result<String, Trouble> {
        let mut line = String::new();
        let read = io::Read::take(&mut *self.terminal.input, KEY_LINE_OCTETS_MAX).read_line(&mut line);
        read.map_err(|error| Trouble::Broken(format!("cannot read the key from standard input: {error}")))?;
        Ok(line.trim().to_owned())
    }

    /// What takes long, for whoever looks at a terminal.
    fn what_is_waited_for(&self, asked: &Asked) -> Option<String> {
        let Asked::Request(request) = asked else { return None };
        let what = match request {
            Request::Drain { timeout_ms } => {
                let seconds = *timeout_ms as f64 / 1_000.0;
                format!("waiting up to {seconds} s until every live member has acknowledged")
            }
            Request::Resync { node: Some(node) } => format!("comparing all with {}", printable(node)),
            Request::Resync { node: None } => "comparing all with a member by lot".to_owned(),
            Request::Reload {} => "loading the zones".to_owned(),
            _ => return None,
        };
        self.terminal.watched.then_some(what)
    }

    fn say(&mut self, text: &str) -> Result<(), Trouble> {
        if !self.is_read {
            return Ok(());
        }
        let said =
            self.terminal.output.write_all(text.as_bytes()).and_then(|()| self.terminal.output.flush());
        match said {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_read = false,
            Err(error) => return Err(Trouble::Broken(format!("cannot write what was asked for: {error}"))),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Octets of a line that may hold a key: 64 hexadecimal digits, and room for blanks.
const KEY_LINE_OCTETS_MAX: u64 = 1_024;

/// JSON without characters that a terminal obeys: those that JSON itself lets stand as they are (DEL and U+0080 to
/// U+009F) are written as it writes the others.
fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push(c),
            c if c.is_control() => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

fn read<D: DeserializeOwned>(value: &Value) -> Result<D, Trouble> {
    D::deserialize(value).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> Trouble {
    Trouble::Broken(format!("the server's answer is not understood ({error}): is it of another version?"))
}
