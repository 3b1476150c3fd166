//! The steps, in the order in which they are taken: what breaks things comes last.

use crate::harness::Swarm;
use crate::{changes, faults, names, views};

/// One thing that is shown.
pub struct Step {
    pub name: &'static str,
    /// Left out unless asked for.
    pub is_long: bool,
    pub take: fn(&mut Swarm, bool),
}

/// A step of every run.
const fn step(name: &'static str, take: fn(&mut Swarm, bool)) -> Step {
    Step { name, is_long: false, take }
}

/// All of them.
pub const STEPS: &[Step] = &[
    step("names_of_every_form_are_told_to_containers_on_every_node", names::every_form),
    step("a_container_s_own_stub_and_every_way_to_a_server_find_names", views::ways),
    step("of_two_stacks_with_services_of_one_name_the_asker_s_own_is_told", views::two_stacks),
    step("a_task_has_the_address_of_a_network_that_it_shares_with_the_asker", views::two_networks),
    step("addresses_of_an_ipv6_overlay_are_told", views::ipv6),
    step("scaling_up_and_down_is_told_on_every_node", changes::scale),
    step("a_service_with_many_tasks_is_told_whole", changes::many),
    step("an_unhealthy_task_is_told_no_more", changes::unhealthy),
    step("a_killed_container_is_replaced_without_a_failed_look_up", changes::killed),
    step("a_service_is_updated_without_a_failed_look_up", changes::service_update),
    step("a_killed_hivedns_is_spoken_for_by_the_others", faults::hivedns_killed),
    step("hivedns_is_updated_without_a_failed_look_up_of_two_servers", faults::hivedns_update),
    step("a_node_that_is_cut_off_and_the_others_tell_one_another_s_tasks", faults::cut),
    step("a_killed_engine_s_containers_are_told_while_they_run", faults::engine_killed),
    step("a_node_that_leaves_takes_its_names_along_and_may_come_back", faults::leave),
    // What is killed again and again leaves the engines with much to tidy up: nothing comes after it.
    step("a_killed_speaker_of_the_swarm_is_followed_by_another_and_nothing_is_lost", faults::speaker_killed),
];
