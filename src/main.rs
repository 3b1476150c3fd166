//! The `hivedns` command: reads the command line, hands over, and turns the outcome into an exit code.

use hivedns::base::config::{Config, ConfigError, Inputs, Origin, Source, print};
use hivedns::cli::{self, Call, EXIT_FAILED, EXIT_OK, EXIT_USAGE, Format, Refusal, Request, System};
use hivedns::loader::{self, Source as ZoneSource, ZoneSpec};
use hivedns::log;
use hivedns::os::entropy;
use hivedns::serve::Server;
use hivedns::simulate;
use hivedns::verbs::{self, Terminal};
use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
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
        Ok(Request::Check(inputs)) => check(&inputs),
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
            complain(&[error]);
            ExitCode::from(EXIT_USAGE)
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
            let key = verbs::key_text(&octets);
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

/// Reads each zone, prints its faults, one per line, and tells how many are errors.
fn check_zones(zones: &[(Origin, PathBuf)]) -> usize {
    let seed = HashSeed::new([0; 16]);
    let specs = zones.iter().filter_map(|(origin, file)| {
        Some(ZoneSpec { origin: Name::parse(origin.as_str()).ok()?, source: ZoneSource::File(file.clone()) })
    });
    specs
        .map(|spec| {
            let faults = loader::load(&spec, seed).faults;
            show(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>());
            if faults.dropped() > 0 {
                show(&format!("{}: and {} more faults\n", spec.origin, faults.dropped()));
            }
            faults.errors()
        })
        .sum()
}

/// Faults of the configuration and of its zones go to stdout, in the form that editors know; they are what was
/// asked for. What is wrong with the arguments themselves goes to stderr.
fn check(inputs: &Inputs) -> ExitCode {
    let (config, errors) = Config::examine(inputs);
    let (usage, faults): (Vec<ConfigError>, Vec<ConfigError>) =
        errors.into_iter().partition(|error| !matches!(error.at, Source::File { .. }));
    show(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>());
    complain(&usage);
    // As they were named, not as they were found: relative to where the user stands.
    let named = |file: PathBuf| file.strip_prefix(&inputs.directory).map(PathBuf::from).unwrap_or(file);
    let zones: Vec<_> = config.zones.into_iter().map(|zone| (zone.origin, named(zone.file))).collect();
    let zone_faults = check_zones(&zones);
    match (usage.is_empty(), faults.len() + zone_faults) {
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
    // A reader that had enough (`| head`) is not a failure.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    ExitCode::from(EXIT_OK)
}
