//! Percentiles, by the estimations that the aggregators' names end in.

/// At which place of sorted values a percentile lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Estimation {
    /// `q (n + 1)`.
    Legacy,
    /// The nearest rank, half a place to the even one.
    R3,
    /// `1 + (n - 1) q`.
    R7,
}

/// The percentile of numbers (none is NaN), which are sorted here; NaN when there are none.
pub(super) fn percentile(values: &mut [f64], per_mille: u16, estimation: Estimation) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let (&[first, ..], &[.., last]) = (&*values, &*values) else { return f64::NAN };
    let n = values.len() as f64;
    let q = f64::from(per_mille) / 10.0 / 100.0;
    let place = match estimation {
        Estimation::Legacy => q * (n + 1.0),
        Estimation::R3 if q <= 0.5 / n => 0.0,
        Estimation::R3 => (n * q).round_ties_even(),
        Estimation::R7 => 1.0 + (n - 1.0) * q,
    };
    if values.len() == 1 || place < 1.0 {
        return first;
    }
    if place >= n {
        return last;
    }
    let below = place.floor();
    let (lower, upper) = (values[below as usize - 1], values[below as usize]);
    lower + (place - below) * (upper - lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_each_estimation() {
        let check = |n: u32, per_mille: u16, estimation: Estimation, expected: f64| {
            let mut values: Vec<f64> = (1..=n).rev().map(f64::from).collect();
            let found = percentile(&mut values, per_mille, estimation);
            assert!((found - expected).abs() < 1e-9, "{n} {per_mille} {estimation:?}: {found}");
        };
        check(10, 500, Estimation::Legacy, 5.5);
        check(10, 900, Estimation::Legacy, 9.9);
        check(10, 990, Estimation::Legacy, 10.0);
        check(1, 500, Estimation::Legacy, 1.0);
        check(5, 500, Estimation::R3, 2.0);
        check(10, 900, Estimation::R3, 9.0);
        check(10, 900, Estimation::R7, 9.1);
        check(10, 500, Estimation::R7, 5.5);
        assert!(percentile(&mut [], 500, Estimation::R7).is_nan());
    }
}
