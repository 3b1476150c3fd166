//! Scenarios: each rule, and each attack by its name.

mod play;
mod world;

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            play::play(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".txt")));
        }
    )*};
}

scenarios! {
    the_first_walk_takes_five_packets_and_the_second_one
}
