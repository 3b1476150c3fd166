//! The `hivedns` command: reads the command line, hands over, and turns the outcome into an exit code.

use hivedns::base::config::{Config, ConfigError, Content, Inputs, Origin, Source, print};
use hivedns::cli::{self, Call, EXIT_FAILED, EXIT_OK, EXIT_USAGE, Format, Refusal, Request, System};
use hivedns::control::cluster;
use hivedns::control::exchange::Secrets;
use hivedns::gossip::secrecy::key::Key;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::loader::{self, Source as ZoneSource, ZoneSpec};
use hivedns::log;
use hivedns::os::entropy;
use hivedns::serve::{Server, StartError};
use hivedns::simulate;
use hivedns::verbs::{self, Terminal};
use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use hivedns::zone::fault::{Faults, Severity};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), system()) {
        Ok(Request::Serve(inputs)) => match Config::load(&inputs) {
            Ok(config) => serve(config, inputs),
            Err(errors) => refuse(&errors),
        },
        Ok(Request::PrintConfig(inputs)) => match Config::load(&inputs) {
            Ok(config) => show(&print(&config)),
            Err(errors) => refuse(&errors),
        },
        Ok(Request::Check(inputs, format)) => check(&inputs, format),
        Ok(Request::Call(call)) => ask(call),
        Ok(Request::Keygen(format)) => keygen(format),
        Ok(Request::Simulate(args)) => ExitCode::from(simulate::run(&args)),
        Err(Refusal::Shown(text)) => show(&text),
        Err(Refusal::Wrong(lines)) => refuse(&lines),
    }
}

/// Serves until told to stop; `inputs` are for the reload.
fn serve(config: Config, inputs: Inputs) -> ExitCode {
    log::start(&config.log);
    let introduction = introduction(&config);
    let outcome = Server::bind(config, inputs).and_then(|server| {
        let _ = show(&introduction);
        server.run()
    });
    match outcome {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => {
            complain(&[&error]);
            ExitCode::from(match error {
                StartError::Configuration(_) => EXIT_USAGE,
                StartError::Failed(_) => EXIT_FAILED,
            })
        }
    }
}

/// Asks a running server.
fn ask(call: Call) -> ExitCode {
    // https://no-color.org: any value but none.
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let code = verbs::run(
        call,
        &mut Terminal {
            colours: wanted && stdout.is_terminal(),
            watched: stderr.is_terminal(),
            input: &mut std::io::stdin().lock(),
            output: &mut stdout.lock(),
            errors: &mut stderr.lock(),
        },
    );
    ExitCode::from(code)
}

/// Prints a new key.
fn keygen(format: Format) -> ExitCode {
    match entropy::random() {
        Ok(octets) => {
            let key = Key::new(octets).emit();
            show(&match format {
                Format::Text => format!("{key}\n"),
                Format::Json => format!("{{ \"key\": \"{key}\" }}\n"),
            })
        }
        Err(error) => {
            complain(&[format!("cannot draw random numbers: {error}")]);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// What a new user can try next, where the examples are served.
fn introduction(config: &Config) -> String {
    let Some(address) = config.server.listen.first().filter(|_| config.embedded_examples) else {
        return String::new();
    };
    let dig = format!("dig @{} -p {}", address.ip(), address.port());
    format!(
        "hivedns answers on {address} for the example zones. Try:\n\n  \
         {dig} erdos.maths.groucho.edu\n  {dig} groucho.edu MX\n  curl http://{}/readyz\n\n",
        config.http.listen
    )
}

/// Where the faults go that `check` finds, as they are found, and how many of them are errors.
struct Checked {
    format: Format,
    told: usize,
    errors: usize,
}

impl Checked {
    /// One fault; what is told of it in short is its `line`.
    fn tell(&mut self, line: &str, place: Option<(&Path, u32, u32)>, is_error: bool, message: &str) {
        self.errors += usize::from(is_error);
        match self.format {
            Format::Text => show(&format!("{line}\n")),
            Format::Json => {
                let severity = if is_error { "error" } else { "warning" };
                let fault = serde_json::json!({
                    "file": place.map(|(file, ..)| file.display().to_string()),
                    "line": place.map(|(_, line, _)| line),
                    "column": place.map(|(.., column)| column),
                    "severity": severity,
                    "message": message,
                });
                show(&format!("{}\n    {fault}", if self.told == 0 { "" } else { "," }))
            }
        };
        self.told += 1;
    }

    /// Tells the faults of a file, or of some; `what` names them where some are only counted.
    fn faults(&mut self, what: &dyn Display, faults: &Faults) {
        let before = self.errors;
        for fault in faults.iter() {
            let place = (&*fault.place.file, fault.place.line, fault.place.column);
            let is_error = fault.severity == Severity::Error;
            self.tell(&fault.to_string(), Some(place), is_error, &fault.message);
        }
        if faults.dropped() > 0 {
            let message = format!("{what}: and {} more faults", faults.dropped());
            self.tell(&message, None, false, &message);
        }
        // Those that were not kept count too.
        self.errors = before + faults.errors();
    }

    /// Reads each zone and tells its faults.
    fn zones(&mut self, zones: &[(Origin, PathBuf)]) {
        let seed = HashSeed::new([0; 16]);
        let specs = zones.iter().filter_map(|(origin, file)| {
            let origin = Name::parse(origin.as_str()).ok()?;
            Some(ZoneSpec { origin, source: ZoneSource::File(file.clone()) })
        });
        for spec in specs {
            self.faults(&spec.origin, &loader::load(&spec, seed, None).faults);
        }
    }

    /// Reads the file of keys, if there is one.
    fn keys(&mut self, config: &Config) {
        let path = PathBuf::from(&config.gossip.keys_file);
        // What cannot be read at all is among the faults of the configuration.
        let Ok(Some(text)) = cluster::read_keys(config) else { return };
        if let Err(fault) = Ring::parse(&text) {
            let line = u32::try_from(fault.line()).unwrap_or(u32::MAX);
            let message = fault.message();
            self.tell(
                &format!("{}:{line}:1: {message}", path.display()),
                Some((&path, line, 1)),
                true,
                &message,
            );
        }
    }
}

/// Faults of the configuration and of its zones go to stdout, in the form that editors know; they are what was
/// asked for. What is wrong with the arguments themselves goes to stderr.
fn check(inputs: &Inputs, format: Format) -> ExitCode {
    let (config, mut errors) = Config::examine(inputs);
    // Files of secrets, and names of types, are read where they mean something.
    errors.extend(Secrets::read(&config, &Secrets::default()).err().unwrap_or_default());
    let (usage, faults): (Vec<ConfigError>, Vec<ConfigError>) =
        errors.into_iter().partition(|error| !matches!(error.at, Source::File { .. }));
    let mut checked = Checked { format, told: 0, errors: 0 };
    if format == Format::Json {
        show("{\n  \"faults\": [");
    }
    for fault in &faults {
        let place = match &fault.at {
            Source::File { path, line, column } => Some((&**path, *line, *column)),
            Source::Default | Source::Environment(_) | Source::Flag(_) => None,
        };
        checked.tell(&fault.to_string(), place, true, &fault.message);
    }
    complain(&usage);
    checked.keys(&config);
    checked.faults(&"resolve", &loader::hints::roots(&config.resolve).1);
    // As they were named, not as they were found: relative to where the user stands.
    let named = |file: PathBuf| file.strip_prefix(&inputs.directory).map(PathBuf::from).unwrap_or(file);
    let zones = config.zones.into_iter().filter_map(|zone| match zone.content {
        Content::File(file) => Some((zone.origin, named(file))),
        // There is nothing to check of what others have.
        Content::Primaries(_) | Content::Cluster | Content::Catalog | Content::Shared(_) => None,
    });
    let zones: Vec<_> = zones.collect();
    checked.zones(&zones);
    if format == Format::Json {
        show(if checked.told == 0 { "]\n}\n" } else { "\n  ]\n}\n" });
    }
    match (usage.is_empty(), checked.errors) {
        (false, _) => ExitCode::from(EXIT_USAGE),
        (true, 0) => ExitCode::from(EXIT_OK),
        (true, _) => ExitCode::from(EXIT_FAILED),
    }
}

/// What the command line needs to know of the world. What cannot be told is empty, and complained about by
/// whoever needs it.
fn system() -> System {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let host_name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())
        .map(|name| name.trim().to_owned())
        .unwrap_or_default();
    System { environment, directory: std::env::current_dir().unwrap_or_default(), host_name }
}

fn refuse(errors: &[impl Display]) -> ExitCode {
    complain(errors);
    ExitCode::from(EXIT_USAGE)
}

fn complain(errors: &[impl Display]) {
    let mut stderr = std::io::stderr().lock();
    for error in errors {
        // There is nobody left to tell if stderr is gone.
        let _ = writeln!(stderr, "hivedns: {error}");
    }
}

fn show(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that had enough (`| head`) is not a failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&[format!("cannot write what was asked for: {error}")]);
            ExitCode::from(EXIT_FAILED)
        }
        Ok(()) | Err(_) => ExitCode::from(EXIT_OK),
    }
}
