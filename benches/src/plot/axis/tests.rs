use super::*;

const ENDS: (i32, i32) = (200, 520);

#[test]
fn every_value_lies_on_the_axis_in_order() {
    for values in [
        vec![1.0],
        vec![0.0],
        vec![-3.0, 0.0, 0.25],
        vec![0.35, 1.0, 7.0],
        vec![0.001, 1.0, 4_288.0, 1e9],
        vec![80_039_177.0, 81_000_000.0],
    ] {
        let axis = Axis::new(&values, ENDS);
        let places: Vec<i32> = values.iter().map(|value| axis.place(*value)).collect();
        assert!(places.is_sorted_by(|one, next| one < next), "{values:?} at {places:?}");
        assert!(places.iter().all(|place| (202..=518).contains(place)), "{values:?} at {places:?}");
    }
}

#[test]
fn equal_quotients_are_equally_far_apart() {
    let axis = Axis::new(&[0.25, 4.0], ENDS);
    assert_eq!(axis.place(1.0), 360);
    assert_eq!(axis.place(2.0) - axis.place(1.0), axis.place(1.0) - axis.place(0.5));
}

#[test]
fn there_are_two_round_numbers_at_least_and_they_do_not_touch() {
    let mut values = Vec::new();
    for least in [0.000_3, 0.04, 0.72, 1.0, 19.0, 48_211.0, 7e7] {
        for quotient in [1.0, 1.3, 2.0, 6.0, 30.0, 411.0, 1e5, 1e9] {
            values.push([least, least * quotient]);
            values.push([-least, least * quotient]);
        }
    }
    for values in values {
        let axis = Axis::new(&values, ENDS);
        let ticks = axis.ticks();
        assert!(ticks.len() >= 2, "{values:?}: {ticks:?}");
        assert!(axis.fits(&ticks) && ticks.is_sorted(), "{values:?}: {ticks:?}");
        let places: Vec<i32> = ticks.iter().map(|tick| axis.place(*tick)).collect();
        assert!(places.iter().all(|place| (200..=520).contains(place)), "{values:?}: {ticks:?}");
        let mut labels: Vec<String> = ticks.iter().map(|tick| round_number(*tick)).collect();
        labels.dedup();
        assert_eq!(labels.len(), ticks.len(), "{values:?}: {labels:?}");
    }
}

#[test]
fn round_numbers_are_those_that_people_expect() {
    let labels = |values: &[f64]| {
        let ticks = Axis::new(values, (0, 540)).ticks();
        ticks.into_iter().map(round_number).collect::<Vec<_>>()
    };
    assert_eq!(labels(&[0.12, 11.0]), ["0.2", "0.5", "1", "2", "5", "10"]);
    assert_eq!(labels(&[1.0, 200_000.0]), ["1", "10", "100", "1,000", "10,000", "100,000"]);
    assert_eq!(labels(&[-8.8, 20.1]), ["-5", "0", "5", "10", "15", "20"]);
}
