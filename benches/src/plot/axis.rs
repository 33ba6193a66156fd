//! From values to places on an axis, and the round numbers that stand at it.
//!
//! Invariants: all values that an axis was made for lie on it, with room on both sides; labels of its round
//! numbers do not touch.

use crate::plot::style::{SMALL, pixel, round_number};

/// What the first digits of round numbers may be on a logarithmic axis, the densest first.
const DIGITS: [&[f64]; 4] = [
    &[1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 2.0, 5.0],
    &[1.0, 3.0],
];
/// Between two labels, in pixels; on a linear axis all gaps are alike, and more of them are a fence.
const GAP: i32 = 16;
const LINEAR_GAP: i32 = 24;
/// Room on both sides, of all there is.
const ROOM: f64 = 0.04;
/// How far the ends of a logarithmic axis are apart at least, as a logarithm of base 10.
const LEAST: f64 = 0.35;

/// An axis of some pixels.
#[derive(Debug)]
pub(super) struct Axis {
    is_logarithmic: bool,
    /// Ends, as logarithms where it is logarithmic.
    from: f64,
    to: f64,
    left: i32,
    right: i32,
}

impl Axis {
    /// An axis for values, between two places. It is logarithmic if all of them are above 0.
    pub(super) fn new(values: &[f64], (left, right): (i32, i32)) -> Self {
        let is_logarithmic = values.iter().all(|value| *value > 0.0);
        let on_axis = |value: &f64| if is_logarithmic { value.log10() } else { *value };
        let least = values.iter().map(on_axis).fold(f64::INFINITY, f64::min);
        let most = values.iter().map(on_axis).fold(f64::NEG_INFINITY, f64::max);
        let too_short = if is_logarithmic { LEAST - (most - least) } else { 0.0 };
        let mut room = ((most - least) * ROOM).max(too_short / 2.0);
        if room == 0.0 {
            room = least.abs().max(1.0);
        }
        Self { is_logarithmic, from: least - room, to: most + room, left, right }
    }

    /// Where a value lies.
    pub(super) fn place(&self, value: f64) -> i32 {
        let value = if self.is_logarithmic { value.log10() } else { value };
        let share = (value - self.from) / (self.to - self.from);
        self.left + pixel(share * f64::from(self.right - self.left))
    }

    /// As many round numbers as there is room for, from the least one.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let choices: Box<dyn Iterator<Item = Vec<f64>>> = if self.is_logarithmic {
            let sparse = (1..=40).map(|step| self.powers(step));
            Box::new(DIGITS.iter().map(|digits| self.decades(digits)).chain(sparse))
        } else {
            Box::new(self.steps())
        };
        let mut choices = choices.into_iter();
        choices.find(|ticks| self.fits(ticks)).unwrap_or_default()
    }

    fn fits(&self, ticks: &[f64]) -> bool {
        let gap = if self.is_logarithmic { GAP } else { LINEAR_GAP };
        ticks.iter().zip(ticks.iter().skip(1)).all(|(one, next)| {
            let [one_width, next_width] = [one, next].map(|it| SMALL.width(&round_number(*it)));
            self.place(*next) - self.place(*one) >= i32::midpoint(one_width, next_width) + gap
        })
    }

    fn decades(&self, digits: &[f64]) -> Vec<f64> {
        let decades = pixel(self.from.floor())..=pixel(self.to.ceil());
        let all =
            decades.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        all.filter(|tick| (self.from..=self.to).contains(&tick.log10())).collect()
    }

    /// Powers of ten, every so many.
    fn powers(&self, step: i32) -> Vec<f64> {
        let powers = pixel(self.from.ceil())..=pixel(self.to.floor());
        powers.filter(|power| power % step == 0).map(|power| 10_f64.powi(power)).collect()
    }

    /// Multiples of 1, 2 and 5 times a power of ten, from dense ones to sparse ones.
    fn steps(&self) -> impl Iterator<Item = Vec<f64>> {
        let first = pixel((self.to - self.from).log10().floor()) - 2;
        let steps = (first..first + 5).flat_map(|power| {
            [1.0, 2.0, 5.0].into_iter().map(move |digit| digit * 10_f64.powi(power))
        });
        steps.map(|step| {
            let numbers = pixel((self.from / step).ceil())..=pixel((self.to / step).floor());
            numbers.map(|number| f64::from(number) * step).collect()
        })
    }
}

#[cfg(test)]
mod tests;
