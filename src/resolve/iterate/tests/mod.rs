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
    a_dead_zone_does_not_hold_up_another
    a_lame_server_is_skipped_and_remembered
    a_server_that_comes_back_is_noticed
    a_server_that_does_not_repeat_the_case_is_asked_on_a_stream_once
    a_server_without_edns_is_asked_without
    a_truncated_answer_is_asked_for_on_a_stream
    aliases_lead_across_zones
    always_tc
    camp
    ds_is_asked_of_the_zone_above
    endless_cname
    failures_of_one_name_leave_the_others
    ghost_domain
    glue_to_loopback
    mismatched_replies
    missing_glue_is_looked_for
    nrdelegation
    nxns
    servers_are_asked_over_ipv6
    servfail
    short_names_that_are_answered_with_nonsense_are_followed_by_the_whole
    silent
    the_first_walk_takes_five_packets_and_the_second_one
    the_nearest_server_is_asked_most
    the_root_s_servers_are_learned
    tsuname
    what_nobody_asked_for_is_left
}
