//! A later file, beside what updates have changed: when it replaces that, and what becomes of it.

use super::*;

#[test]
fn a_faulty_file_with_a_later_serial_replaces_nothing_and_updates_beside_it_are_kept() {
    let place = Place::new("faulty");
    let file = place.file(10, "a A 192.0.2.1\n");
    let good = fs::read(&file).unwrap();
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    changing.update(&origin(), vec![update(1).0]);
    // Faults that are seen while it is read, and one that is seen when the zone is made.
    for (number, faulty) in [(2, "a A 192.0.2\n"), (3, "a A 192.0.2.1\na CNAME ns\n"), (4, "b\n")] {
        place.file(20, faulty);
        // At a reload, and at a start.
        for changing in [&mut changing, &mut place.start().0] {
            let loaded = changing.load_file(&origin(), &file, None);
            assert!(loaded.zone.is_none() && loaded.faults.errors() > 0, "{faulty}");
        }
        let updated = changing.update(&origin(), vec![update(number).0]).zone.unwrap();
        fs::write(&file, &good).unwrap();
        let (mut again, _) = place.start();
        let loaded = again.load_file(&origin(), &file, None);
        assert_eq!((loaded.faults.errors(), sorted(&loaded.zone.unwrap())), (0, sorted(&updated)));
    }
    // Once it is good it counts.
    place.file(20, "b A 192.0.2.1\n");
    let zone = changing.load_file(&origin(), &file, None).zone.unwrap();
    assert!(has(&zone, "b.z.") && !has(&zone, "u4.z.") && zone.serial() == Serial(20));
}
