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

/// So that nothing can be set aside, or something again.
fn crowd(path: &std::path::Path, is_crowded: bool) {
    for number in 1..=10 {
        let aside = format!("{}.broken-{number}", path.display());
        if is_crowded { fs::write(aside, b"").unwrap() } else { fs::remove_file(aside).unwrap() }
    }
}

#[test]
fn a_later_file_replaces_nothing_that_cannot_be_set_aside() {
    for crowded in [0, 2] {
        let place = Place::new("crowded");
        let file = place.file(10, "a A 192.0.2.1\n");
        let (mut changing, _) = place.start();
        changing.load_file(&origin(), &file, None);
        changing.update(&origin(), vec![update(1).0]);
        let path = &place.zones().updated().paths("z.")[crowded];
        crowd(path, true);
        place.file(20, "b A 192.0.2.1\n");
        for (number, changing) in [&mut changing, &mut place.start().0].into_iter().enumerate() {
            let loaded = changing.load_file(&origin(), &file, None);
            let faults = loaded.faults.iter().map(ToString::to_string).collect::<String>();
            assert!(faults.contains("10 such files are already: move those away"), "{faults}");
            let (zone, copy) = (loaded.zone.unwrap(), place.zones().updated().path("z."));
            assert!(has(&zone, "u1.z.") && !has(&zone, "b.z.") && copy.exists());
            let updated = changing.update(&origin(), vec![update(2 + number as u32).0]).zone.unwrap();
            let (mut again, _) = place.start();
            assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
        }
        crowd(path, false);
        let loaded = place.start().0.load_file(&origin(), &file, None);
        assert_eq!((loaded.faults.errors(), loaded.zone.unwrap().serial()), (0, Serial(20)));
    }
}

#[test]
fn changes_that_a_crash_left_alone_and_that_cannot_be_set_aside_are_not_written_over() {
    let place = Place::new("lone");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    for number in 1..=2 {
        changing.update(&origin(), vec![update(number).0]);
    }
    let zones = place.zones().updated();
    fs::remove_file(zones.path("z.")).unwrap();
    let changes = zones.changes_path("z.");
    let before = fs::read(&changes).unwrap();
    crowd(&changes, true);
    let (mut again, _) = place.start();
    let loaded = again.load_file(&origin(), &file, None);
    let faults = loaded.faults.iter().map(ToString::to_string).collect::<String>();
    assert!(loaded.zone.is_none() && faults.contains("move those away"), "{faults}");
    assert!(again.update(&origin(), vec![update(3).0]).zone.is_none());
    assert!(fs::read(&changes).unwrap() == before);
    crowd(&changes, false);
    assert!(place.start().0.load_file(&origin(), &file, None).zone.is_some());
}

#[test]
fn changes_that_do_not_fit_and_cannot_be_set_aside_are_not_written_over() {
    let place = Place::new("stuck");
    let file = place.file(10, "a A 192.0.2.1\n");
    let (mut changing, _) = place.start();
    changing.load_file(&origin(), &file, None);
    changing.update(&origin(), vec![update(1).0]);
    let zones = place.zones().updated();
    // The copy of another zone: what goes from serial 11 on is not what the changes say.
    changing.update(&origin(), vec![update(2).0]);
    zones.write("z.", &whole(5, 1), THEN).unwrap();
    let (changes, path) = (fs::read(zones.changes_path("z.")).unwrap(), zones.changes_path("z."));
    crowd(&path, true);
    let (mut again, _) = place.start();
    assert_eq!(again.load_file(&origin(), &file, None).zone.unwrap().serial(), Serial(5));
    let (late, refused) = update(3);
    assert!(again.update(&origin(), vec![late]).zone.is_none());
    assert!(matches!(refused.recv(), Ok(Err(Unmade::Unkept(_)))));
    assert!(fs::read(&path).unwrap() == changes);
    // Once they can be, they are, and updates go on.
    crowd(&path, false);
    let (mut again, _) = place.start();
    again.load_file(&origin(), &file, None);
    let updated = again.update(&origin(), vec![update(4).0]).zone.unwrap();
    assert!(fs::read(format!("{}.broken-1", path.display())).unwrap() == changes);
    let (mut again, _) = place.start();
    assert_eq!(sorted(&again.load_file(&origin(), &file, None).zone.unwrap()), sorted(&updated));
}
