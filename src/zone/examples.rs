//! The example zones, embedded: what the server serves when nobody told it what to serve.
//!
//! The files under `examples/zones/` are the one source of both: `examples/hivedns.toml` names them
//! on disk, this table carries them in the program. A test compares the two lists.

macro_rules! example {
    ($origin:literal, $file:literal) => {
        ($origin, $file, include_str!(concat!("../../examples/zones/", $file)))
    };
}

/// The example zones: origin, file name below `examples/zones/`, text. Parents stand before their children.
pub const EXAMPLES: &[(&str, &str, &str)] = &[
    example!("groucho.edu.", "groucho.edu.zone"),
    example!("maths.groucho.edu.", "maths.groucho.edu.zone"),
    example!("physics.groucho.edu.", "physics.groucho.edu.zone"),
    example!("theory.physics.groucho.edu.", "theory.physics.groucho.edu.zone"),
    example!("philosophy.groucho.edu.", "philosophy.groucho.edu.zone"),
    example!("huxley.edu.", "huxley.edu.zone"),
    example!("76.10.in-addr.arpa.", "76.10.in-addr.arpa.zone"),
    example!("4.76.10.in-addr.arpa.", "4.76.10.in-addr.arpa.zone"),
    example!("8.76.10.in-addr.arpa.", "8.76.10.in-addr.arpa.zone"),
    example!("0/28.8.76.10.in-addr.arpa.", "0-28.8.76.10.in-addr.arpa.zone"),
    example!("12.76.10.in-addr.arpa.", "12.76.10.in-addr.arpa.zone"),
    example!("14.76.10.in-addr.arpa.", "14.76.10.in-addr.arpa.zone"),
    example!("0.0.0.0.6.7.0.0.0.0.d.f.ip6.arpa.", "fd00-76-0.ip6.arpa.zone"),
    example!("4.0.0.0.0.0.0.0.6.7.0.0.0.0.d.f.ip6.arpa.", "fd00-76-0-4.ip6.arpa.zone"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_states_its_origin() {
        for (origin, file, text) in EXAMPLES {
            let stated = text.lines().find_map(|line| line.strip_prefix("$ORIGIN")).map(str::trim);
            assert_eq!(stated, Some(*origin), "{file}");
        }
    }

    #[test]
    fn the_configuration_beside_the_examples_lists_the_same_zones_in_the_same_order() {
        let configured = include_str!("../../examples/hivedns.toml");
        let values = |key: &str| -> Vec<String> {
            let start = format!("{key} = \"");
            let value = |line: &str| Some(line.strip_prefix(&start)?.strip_suffix('"')?.to_owned());
            configured.lines().filter_map(value).collect()
        };
        let origins: Vec<_> = EXAMPLES.iter().map(|(origin, _, _)| (*origin).to_owned()).collect();
        let files: Vec<_> = EXAMPLES.iter().map(|(_, file, _)| format!("zones/{file}")).collect();
        assert_eq!(values("origin"), origins);
        assert_eq!(values("file"), files);
    }
}
