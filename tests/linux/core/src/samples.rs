//! Samples of one operation, and the figure that stands for them.

use crate::line::Figure;

/// Samples, in room that was touched before: taking one faults no page in.
#[derive(Clone, Debug)]
pub struct Samples {
    taken: Vec<u64>,
}

impl Samples {
    /// Room for so many.
    pub fn with_room(count: usize) -> Samples {
        let mut taken = vec![u64::MAX; count];
        taken.clear();
        Samples { taken }
    }

    /// Takes one.
    pub fn push(&mut self, sample: u64) {
        self.taken.push(sample);
    }

    /// Median, least and most of a unit, where each sample is of so many units. `None` without samples.
    ///
    /// The median of an even number is the lower one of the middle two, so that it is a count that was seen.
    pub fn figure(mut self, units: u64) -> Option<Figure> {
        self.taken.sort_unstable();
        let a_unit = |sample: u64| sample / units.max(1);
        Some(Figure {
            median: a_unit(*self.taken.get((self.taken.len().checked_sub(1)?) / 2)?),
            least: a_unit(*self.taken.first()?),
            most: a_unit(*self.taken.last()?),
            count: self.taken.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[u64], units: u64) -> Option<Figure> {
        let mut taken = Samples::with_room(samples.len());
        samples.iter().for_each(|&sample| taken.push(sample));
        taken.figure(units)
    }

    #[test]
    fn the_median_is_one_that_was_seen() {
        assert_eq!(figure(&[9, 1, 5], 1), Some(Figure { median: 5, least: 1, most: 9, count: 3 }));
        assert_eq!(figure(&[40, 10, 20, 30], 1), Some(Figure { median: 20, least: 10, most: 40, count: 4 }));
    }

    #[test]
    fn a_sample_of_many_units_is_divided() {
        assert_eq!(figure(&[2560, 5120], 256), Some(Figure { median: 10, least: 10, most: 20, count: 2 }));
        assert_eq!(figure(&[7], 0), Some(Figure { median: 7, least: 7, most: 7, count: 1 }));
    }

    #[test]
    fn no_samples_are_no_figure() {
        assert_eq!(figure(&[], 1), None);
    }
}
