//! One scenario for each rule.

use super::address;
use super::script::play;

/// `a` has answered in 10 ms, so it is first; of `b` nothing is known.
const A_IS_NEAR: &str = "
    group a b
    ask 100 near. A
    send a near
    advance 10
    reply near NOERROR near. 60 A 192.0.2.1
    answered 100 a NOERROR near. 60 A 192.0.2.1
";

fn play_near(text: &str) {
    play(&format!("{A_IS_NEAR}{text}"));
}

#[test]
fn a_question_is_put_to_one_upstream_and_its_answer_is_told() {
    play(
        "group a b
        ask 1 www.example. A
        send a q1
        advance 20
        reply q1 NOERROR www.example. 60 A 192.0.2.1; evil.test. 60 A 192.0.2.66
        answered 1 a NOERROR www.example. 60 A 192.0.2.1
        count a srtt_us 20000
        advance 10000
        count b requests 0",
    );
}

#[test]
fn where_nothing_can_be_sent_the_next_is_asked_at_once() {
    play_near(
        "ask 1 www.example. A
        send a q1
        unsent q1
        send b q2
        # It was not sent: nobody can answer it.
        reply q1 NOERROR www.example. 60 A 192.0.2.1
        mismatched 1
        reply q2 NOERROR www.example. 60 A 192.0.2.2
        answered 1 b NOERROR www.example. 60 A 192.0.2.2
        count a failures 1",
    );
}

#[test]
fn an_only_upstream_to_which_nothing_can_be_sent_is_tried_no_more_often_than_a_silent_one() {
    play(
        "group a
        ignore probes
        ask 1 www.example. A
        send a q1
        unsent q1
        advance 399
        advance 1
        send a q2
        unsent q2
        await 1000
        send a q3
        unsent q3
        failed 1 22
        count a failures 3",
    );
}

#[test]
fn absence_is_an_answer() {
    play_near(
        "ask 1 no.example. A
        send a q1
        reply q1 NXDOMAIN example. 60 SOA a. a. 1 2 3 4 30
        answered 1 a NXDOMAIN example. 30 SOA a. a. 1 2 3 4 30",
    );
}

#[test]
fn the_next_is_asked_too_after_the_usual_delay_and_the_first_answer_wins() {
    play_near(
        "# 10 ms and four times 5
        ask 1 www.example. A
        send a q1
        advance 29
        advance 1
        send b q2
        advance 5
        reply q2 NOERROR www.example. 60 A 192.0.2.2
        answered 1 b NOERROR www.example. 60 A 192.0.2.2
        # The late answer tells only how far its sender is.
        advance 15
        reply q1 NOERROR www.example. 60 A 192.0.2.3
        count a srtt_us 15000
        count a answers 2
        count a timeouts 0
        mismatched 0",
    );
}

#[test]
fn an_upstream_of_which_nothing_is_known_has_a_fixed_delay() {
    play(
        "group a b c
        ask 1 www.example. A
        send a q1
        advance 149
        advance 1
        send b q2
        advance 149
        advance 1
        send c q3
        reply q3 NOERROR www.example. 60 A 192.0.2.2
        answered 1 c NOERROR www.example. 60 A 192.0.2.2
        # The others are behind it now.
        ask 2 www.example. A
        send c q4
        reply q4 NOERROR www.example. 60 A 192.0.2.2
        answered 2 c NOERROR www.example. 60 A 192.0.2.2
        reply q1 NOERROR
        reply q2 NOERROR",
    );
}

#[test]
fn after_a_failure_the_next_is_asked_at_once() {
    for failure in ["SERVFAIL", "REFUSED", "NOERROR example. 60 NS ns.example."] {
        play_near(&format!(
            "ask 1 www.example. A
            send a q1
            reply q1 {failure}
            send b q2
            reply q2 NOERROR www.example. 60 A 192.0.2.2
            answered 1 b NOERROR www.example. 60 A 192.0.2.2
            count a failures 1
            # It failed where another did not: it is behind that one now.
            ask 2 www.example. A
            send b q3
            reply q3 NOERROR www.example. 60 A 192.0.2.2
            answered 2 b NOERROR www.example. 60 A 192.0.2.2"
        ));
    }
}

#[test]
fn a_question_that_all_answer_with_failure_fails_at_once() {
    play_near(
        "ask 1 www.example. A
        send a q1
        reply q1 SERVFAIL
        send b q2
        reply q2 REFUSED
        failed 1 -",
    );
}

#[test]
fn a_question_that_nobody_answers_fails_after_three_seconds_and_six_packets() {
    play(
        "group a b
        ignore probes
        ask 1 www.example. A
        send a q1
        advance 150
        send b q2
        advance 249
        advance 1
        send a q3
        advance 150
        send b q4
        advance 649
        advance 1
        send a q5
        advance 150
        send b q6
        advance 1649
        advance 1
        failed 1 22",
    );
}

#[test]
fn who_knows_no_edns_is_asked_without_and_that_is_remembered() {
    for failure in ["FORMERR", "NOTIMP"] {
        play(&format!(
            "group a b
            ask 1 www.example. A
            send a q1
            reply q1 {failure}
            send a q2 plain
            reply q2 NOERROR www.example. 60 A 192.0.2.2
            answered 1 a NOERROR www.example. 60 A 192.0.2.2
            ask 2 www.example. A
            send a q3 plain
            reply q3 {failure}
            send b q4
            reply q4 SERVFAIL
            failed 2 -
            advance 900000
            ask 3 www.example. A
            send a q5
            reply q5 SERVFAIL
            send b q6
            reply q6 SERVFAIL
            failed 3 -"
        ));
    }
}

#[test]
fn who_answers_with_a_header_alone_is_asked_without_edns_each_time() {
    play(
        "group a b
        ask 1 www.example. A
        send a q1
        reply q1 BARE FORMERR
        send a q2 plain
        reply q2 NOERROR www.example. 60 A 192.0.2.2
        answered 1 a NOERROR www.example. 60 A 192.0.2.2
        ask 2 www.example. A
        send a q3
        reply q3 BARE NOTIMP
        send a q4 plain
        reply q4 SERVFAIL
        send b q5
        reply q5 BARE SERVFAIL
        mismatched 1
        reply q5 SERVFAIL
        failed 2 -",
    );
}

#[test]
fn what_is_truncated_is_asked_again_over_a_stream() {
    play_near(
        "ask 1 www.example. A
        send a q1
        reply q1 TC NOERROR
        stream a s1
        reply s1 NOERROR www.example. 60 A 192.0.2.2
        answered 1 a NOERROR www.example. 60 A 192.0.2.2
        count a srtt_us 8750",
    );
}

#[test]
fn after_a_stream_that_comes_to_nothing_the_next_is_asked() {
    for failure in ["break s1", "reply s1 TC NOERROR", "reply s1 SERVFAIL"] {
        play_near(&format!(
            "ask 1 www.example. A
            send a q1
            reply q1 TC NOERROR
            stream a s1
            advance 1
            {failure}
            send b q2
            # Nothing more is heard of it.
            reply s1 NOERROR www.example. 60 A 192.0.2.6
            reply q2 NOERROR www.example. 60 A 192.0.2.2
            answered 1 b NOERROR www.example. 60 A 192.0.2.2"
        ));
    }
}

#[test]
fn a_question_has_one_stream_at_a_time() {
    play_near(
        "ask 1 www.example. A
        send a q1
        reply q1 TC NOERROR
        stream a s1
        # It takes more than one round trip.
        advance 50
        await 100
        send b q2
        advance 10
        reply q2 TC NOERROR
        advance 10
        break s1
        stream b s2
        reply s2 NOERROR www.example. 60 A 192.0.2.2
        answered 1 b NOERROR www.example. 60 A 192.0.2.2",
    );
}

#[test]
fn a_reply_in_another_case_is_no_answer_but_a_stream_has_one() {
    play(
        "group a
        ask 1 www.example. A
        send a q1
        reply q1 CASE NOERROR www.example. 60 A 192.0.2.66
        stream a s1
        reply q1 CASE NOERROR www.example. 60 A 192.0.2.66
        reply s1 CASE NOERROR www.example. 60 A 192.0.2.2
        answered 1 a NOERROR www.example. 60 A 192.0.2.2
        ask 2 www.example. A
        send a q2
        reply q2 CASE NOERROR www.example. 60 A 192.0.2.66
        stream a s2
        # Whoever said that: the upstream's own answer counts.
        break s2
        reply q2 NOERROR www.example. 60 A 192.0.2.2
        answered 2 a NOERROR www.example. 60 A 192.0.2.2
        count a other_cases 3",
    );
}

#[test]
fn who_never_repeats_the_case_is_asked_over_streams_for_a_while() {
    let mut text = "group a\n".to_owned();
    for ticket in 1..=3 {
        text.push_str(&format!(
            "ask {ticket} www.example. A
            send a q
            reply q CASE NOERROR www.example. 60 A 192.0.2.66
            stream a s
            reply s CASE NOERROR www.example. 60 A 192.0.2.2
            answered {ticket} a NOERROR www.example. 60 A 192.0.2.2\n"
        ));
    }
    text.push_str(
        "ask 4 www.example. A
        stream a s
        reply s CASE NOERROR www.example. 60 A 192.0.2.2
        answered 4 a NOERROR www.example. 60 A 192.0.2.2
        advance 900000
        ask 5 www.example. A
        send a q
        reply q SERVFAIL
        failed 5 -",
    );
    play(&text);
}

#[test]
fn what_does_not_match_a_query_changes_nothing() {
    play_near(
        "ask 1 www.example. A
        send a q1
        forge q1 id NOERROR www.example. 60 A 192.0.2.66
        forge q1 port NOERROR www.example. 60 A 192.0.2.66
        forge q1 name NOERROR www.example. 60 A 192.0.2.66
        forge q1 from NOERROR www.example. 60 A 192.0.2.66
        forge q1 from SERVFAIL
        forge q1 id TC NOERROR
        reply near NOERROR near. 60 A 192.0.2.66
        mismatched 7
        reply q1 NOERROR www.example. 60 A 192.0.2.2
        answered 1 a NOERROR www.example. 60 A 192.0.2.2",
    );
}

/// `a` was left by questions and probes without an answer; `b` is well.
const A_IS_DEAD: &str = "
    ask 1 www.example. A
    send a q1
    advance 30
    send b q2
    reply q2 NOERROR www.example. 60 A 192.0.2.2
    answered 1 b NOERROR www.example. 60 A 192.0.2.2
    advance 300
    probe a p1
    count a dead 0
    advance 740
    await 510
    probe a p2
    await 1260
    probe a p3
    count a dead 1
    count a deaths 1
";

#[test]
fn one_that_leaves_questions_and_probes_without_an_answer_is_dead_and_back_at_the_first_one() {
    play_near(&format!(
        "{A_IS_DEAD}
        ask 2 www.example. A
        send b q3
        reply q3 NOERROR www.example. 60 A 192.0.2.2
        answered 2 b NOERROR www.example. 60 A 192.0.2.2
        reply p3 SERVFAIL
        count a dead 0
        advance 100000
        count a deaths 1"
    ));
}

#[test]
fn a_dead_one_is_the_last_resort_and_keeps_no_failure_waiting() {
    play_near(&format!(
        "{A_IS_DEAD}
        ask 2 www.example. A
        send b q3
        reply q3 SERVFAIL
        send a q4
        advance 149
        advance 1
        failed 2 -"
    ));
}

#[test]
fn an_upstream_that_is_slow_with_some_names_answers_its_probes_and_is_not_dead() {
    let mut text = "group a
"
    .to_owned();
    for ticket in 1..=4 {
        text.push_str(&format!(
            "ask {ticket} slow.example. A
send a q{ticket}
"
        ));
    }
    text.push_str(
        "advance 400
        send a r1
send a r2
send a r3
send a r4
        await 300
        probe a p
        reply p NOERROR
        cancel 1
        cancel 2
        cancel 3
        # It has all the time that a question has.
        ignore probes
        await 1000
        send a t4
        advance 1400
        count a dead 0
        reply q4 NOERROR slow.example. 60 A 192.0.2.2
        answered 4 a NOERROR slow.example. 60 A 192.0.2.2
        count a deaths 0",
    );
    play(&text);
}

#[test]
fn a_cancelled_question_is_heard_of_no_more() {
    play_near(
        "ask 1 www.example. A
        send a q1
        cancel 1
        advance 10
        reply q1 NOERROR www.example. 60 A 192.0.2.2
        advance 10000
        count a answers 2",
    );
}

#[test]
fn a_reload_keeps_what_is_known_of_those_that_stay_and_asks_those_that_go_no_more() {
    let mut stage = play(&format!(
        "{A_IS_NEAR}
        ask 1 www.example. A
        send a q1"
    ));
    stage.forward.set_groups(stage.now, &[vec![address(2)]]);
    stage.play("ask 2 www.example. A");
    stage.play("send b q2");
    // Who is gone may still answer what it was asked.
    stage.play("reply q1 NOERROR www.example. 60 A 192.0.2.2");
    stage.play("answered 1 a NOERROR www.example. 60 A 192.0.2.2");
    stage.play("reply q2 SERVFAIL");
    stage.play("failed 2 -");
    stage.forward.set_groups(stage.now, &[vec![address(2), address(1)]]);
    stage.play("ask 3 www.example. A");
    stage.play("send a q3");
    stage.play("count a requests 3");
    stage.play("cancel 3");
}
