//! Services of one name in several stacks: whose an asker gets.

use crate::discovery::endpoint::{Endpoint, Health};
use crate::discovery::names::Terms;
use crate::discovery::names::tests::world::{With, World, owner, spec, task, terms};

/// A task of another stack that sees `net`, to ask from.
const ASKER: &str = "10.0.0.99";

fn asker() -> Endpoint {
    task("n9", "ask/er.1", "net=10.0.0.99 net=fd00::99")
}

#[test]
fn of_two_services_of_one_name_an_asker_gets_one() {
    let world = World::of(&[
        task("n1", "a/web.1", "net=10.0.0.1 only-a=10.1.0.1"),
        task("n1", "b/web.1", "net=10.0.0.2 only-b=10.2.0.2"),
        task("n1", "b/db.1", "net=10.0.0.3"),
        task("n1", "a/db.1", "only-a=10.1.0.4"),
        task("n1", "c/x.1", "only-b=10.2.0.5"),
        asker(),
    ]);
    // Its own stack's; that of the first stack it sees; never both.
    assert_eq!(world.ask("10.0.0.3", "web", "A"), "10.0.0.2");
    assert_eq!(world.ask("10.1.0.4", "web", "A"), "10.1.0.1");
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1");
    assert_eq!(world.ask("10.2.0.5", "web", "A"), "10.2.0.2");
    // One stack's, exactly.
    assert_eq!(world.ask(ASKER, "web.b", "A"), "10.0.0.2");
    assert_eq!(world.ask("10.2.0.5", "web.a", "A"), "");
}

#[test]
fn whose_own_stack_has_the_service_never_gets_another_stack_s() {
    let mut world = World::of(&[
        task("n1", "a/web.1", "net=10.0.0.1 net=fd00::1").with("txt.a=b").port(80),
        task("n2", "b/web.1", "net=10.0.0.2"),
        task("n2", "b/db.1", "net=10.0.0.3"),
        asker(),
    ]);
    // Its own has no address of that kind, no text ...
    assert_eq!(
        (world.ask("10.0.0.3", "web", "AAAA"), world.ask(ASKER, "web", "AAAA")),
        ("".into(), "fd00::1".into())
    );
    assert_eq!(
        (world.ask("10.0.0.3", "web", "TXT"), world.ask(ASKER, "web", "TXT")),
        ("".into(), "\"a=b\"".into())
    );
    // ... and none of its tasks is on the asker's node.
    world.put(task("n1", "b/db.2", "net=10.0.0.4"));
    world.settle();
    assert_eq!(
        (world.ask("10.0.0.4", "local.web", "A"), world.ask("10.0.0.4", "web", "A")),
        ("".into(), "10.0.0.2".into())
    );
    // Its tasks fail, and are told all the same, or not.
    world.put(task("n2", "b/web.1", "net=10.0.0.2").health(Health::Unhealthy));
    world.settle();
    assert_eq!(world.ask("10.0.0.3", "web", "A"), "10.0.0.2");
    let mut closed = World::new(Terms { fail_open: false, ..terms() });
    closed.put(task("n1", "a/web.1", "net=10.0.0.1"));
    closed.put(task("n2", "b/web.1", "net=10.0.0.2").health(Health::Unhealthy));
    closed.put(task("n2", "b/db.1", "net=10.0.0.3"));
    closed.put(asker());
    closed.settle();
    for name in ["web", "tasks.web", "nearest.web"] {
        assert_eq!(
            (closed.ask("10.0.0.3", name, "A"), closed.ask(ASKER, name, "A")),
            ("".into(), "10.0.0.1".into()),
            "{name}"
        );
    }
    // They are gone, and managers know of the service.
    world.names.drop_endpoint(owner("n2"), "task-b_web-Some(1)-n2");
    world.settle();
    assert_eq!(world.ask("10.0.0.3", "web", "A"), "10.0.0.1");
    world.names.put_service(owner("n9"), spec("b/web", "net=10.0.0.200", &[], "alias=www"));
    world.put(task("n1", "a/other.1", "net=10.0.0.7").with("alias=www"));
    world.settle();
    for name in ["web", "tasks.web", "all.web", "www"] {
        assert_eq!(world.ask("10.0.0.3", name, "A"), "", "{name}");
    }
    // Who belongs to neither is told of the first that has something to tell.
    world.names.put_service(owner("n9"), spec("0/web", "net=10.0.0.201", &[], ""));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1");
    // In a network that its own is not in, its own is not seen.
    world.put(task("n2", "b/db.3", "other=10.1.0.3"));
    world.put(task("n1", "a/web.2", "other=10.1.0.1"));
    world.settle();
    assert_eq!(world.ask("10.1.0.3", "web", "A"), "10.1.0.1");
}
