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

#[test]
fn a_later_file_counts_wherever_a_crash_comes_while_the_rest_is_set_aside() {
    let place = Place::new("aside");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    changing.update(&origin(), vec![update(1).0]);
    changing.update(&origin(), vec![update(2).0]);
    // Earlier changes there are only of large zones.
    let zones = place.zones().updated();
    fs::copy(zones.changes_path("z."), place.dir.join("updated-earlier.z")).unwrap();
    let of_updates = |place: &Place| {
        let zones = place.zones().updated();
        zones.paths("z.").map(|path| fs::read(path).unwrap())
    };
    let before = of_updates(&place);
    for moved in 0..=before.len() {
        let place = place.photograph("aside-again");
        for path in &place.zones().updated().paths("z.")[..moved] {
            fs::rename(path, format!("{}.broken-1", path.display())).unwrap();
        }
        let file = place.file(20, "b A 192.0.2.1\n");
        let (mut changing, _) = place.start();
        let loaded = changing.load_file(&origin(), &file, None);
        let zone = loaded.zone.unwrap();
        assert_eq!((loaded.faults.errors(), zone.serial()), (0, Serial(20)), "{moved}");
        assert!(has(&zone, "b.z.") && !has(&zone, "u1.z."));
        let updated = changing.update(&origin(), vec![update(3).0]).zone.unwrap();
        let (mut again, _) = place.start();
        assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
        let aside = place.zones().updated().paths("z.").map(|path| format!("{}.broken-1", path.display()));
        assert!(aside.map(|path| fs::read(path).unwrap()) == before, "{moved}");
    }
}
