//! Values that are missing, made from the others.

use datafusion::common::{Result, exec_err};

use super::Series;
use super::options::Options;

/// How values are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Filling {
    /// The mean of all.
    Mean,
    /// The last one before; what is missing at the beginning stays so.
    Previous,
    /// Evenly spread between the two beside it, whatever the times are; at the ends the nearest one.
    Linear,
    /// A series in which each value hangs on the one before, fitted to those that are there.
    Autoregressive,
    /// The mean of the values up to the next one, or of the first four.
    MovingAverage,
}

/// Values at the beginning that the first mean of [`Filling::MovingAverage`] is of, and those that it does not move at at both ends.
const AHEAD: usize = 4;
const STILL: usize = 2;

impl Filling {
    pub(super) fn read(options: &str) -> Result<Filling> {
        let options = Options::read(options, &["method"])?;
        Ok(match options.word("method").as_deref() {
            None | Some("linear") => Filling::Linear,
            Some("mean") => Filling::Mean,
            Some("previous") => Filling::Previous,
            Some("ar") => Filling::Autoregressive,
            Some("ma") => Filling::MovingAverage,
            Some(other) => return exec_err!("Invalid fill method: {other}"),
        })
    }

    pub(super) fn filled(self, series: Series) -> Result<Series> {
        if series.values.iter().all(|value| value.is_nan()) {
            return exec_err!("All values are Invalid");
        }
        let values = match self {
            Filling::Mean => with_mean(&series.values),
            Filling::Previous => with_previous(&series.values),
            Filling::Linear => on_lines(&series.values),
            Filling::Autoregressive => fitted(&series.values)?,
            Filling::MovingAverage => with_moving_mean(&series.values),
        };
        Ok(Series { values, ..series })
    }
}

fn mean(values: &[f64]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values.iter().filter(|value| !value.is_nan()) {
        sum += value;
        count += 1.0;
    }
    sum / count
}

fn with_mean(values: &[f64]) -> Vec<f64> {
    let mean = mean(values);
    values.iter().map(|value| if value.is_nan() { mean } else { *value }).collect()
}

fn with_previous(values: &[f64]) -> Vec<f64> {
    let mut last = f64::NAN;
    let next = |value: &f64| {
        if !value.is_nan() {
            last = *value;
        }
        last
    };
    values.iter().map(next).collect()
}

fn on_lines(values: &[f64]) -> Vec<f64> {
    let mut filled = values.to_vec();
    let known: Vec<usize> = (0..values.len()).filter(|at| !values[*at].is_nan()).collect();
    for pair in known.windows(2) {
        let (left, right) = (pair[0], pair[1]);
        let step = (values[right] - values[left]) / (right - left) as f64;
        for (between, value) in filled[left..right].iter_mut().enumerate().skip(1) {
            *value = values[right] - step * (right - left - between) as f64;
        }
    }
    if let (Some(first), Some(last)) = (known.first(), known.last()) {
        filled[..*first].fill(values[*first]);
        filled[*last + 1..].fill(values[*last]);
    }
    filled
}

fn fitted(values: &[f64]) -> Result<Vec<f64>> {
    const REFUSED: &str = "Cannot fit AR(1) model. Please try another method.";
    let or_nothing = |value: f64| if value.is_nan() { 0.0 } else { value };
    let (mut together, mut before) = (0.0, 0.0);
    for pair in values.windows(2) {
        together += or_nothing(pair[0]) * or_nothing(pair[1]);
        before += or_nothing(pair[0]) * or_nothing(pair[0]);
    }
    if before == 0.0 {
        return exec_err!("{REFUSED}");
    }
    let weight = together / before;
    let rests: Vec<f64> = values.windows(2).map(|pair| pair[1] - weight * pair[0]).collect();
    // NaN where one of the two is missing.
    let rest = mean(&rests);
    if rest.is_nan() {
        return exec_err!("{REFUSED}");
    }
    let mut filled: Vec<f64> = Vec::with_capacity(values.len());
    for value in values {
        filled.push(match (value.is_nan(), filled.last()) {
            (false, _) => *value,
            (true, Some(last)) => weight * last + rest,
            (true, None) => mean(values),
        });
    }
    Ok(filled)
}

fn with_moving_mean(values: &[f64]) -> Vec<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    let mut add = |value: f64| {
        if !value.is_nan() {
            sum += value;
            count += 1.0;
        }
        sum / count
    };
    let mut mean = f64::NAN;
    for value in values.iter().take(AHEAD) {
        mean = add(*value);
    }
    let moves = STILL + 1..values.len().saturating_sub(STILL + 1);
    let mut filled = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        filled.push(if value.is_nan() { mean } else { *value });
        if moves.contains(&at) {
            mean = add(values[at + 1]);
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: f64 = f64::NAN;
    /// What CnosDB's own tests fill; its answers are those below.
    const VALUES: [f64; 15] =
        [GONE, 101.0, 102.0, 104.0, 126.0, 108.0, GONE, 113.0, 114.0, 116.0, GONE, GONE, 124.0, 126.0, 128.0];

    fn filled(options: &str, values: &[f64]) -> Result<Vec<f64>, String> {
        let series = Series { times: (0..values.len() as i64).collect(), values: values.to_vec() };
        let filled = Filling::read(options).and_then(|how| how.filled(series));
        filled.map(|series| series.values).map_err(|error| error.strip_backtrace())
    }

    /// The values in the places of those that are missing.
    #[track_caller]
    fn check(options: &str, expected: [f64; 4]) {
        let filled = filled(options, &VALUES).unwrap();
        let missing = [0, 6, 10, 11].map(|at: usize| filled[at].to_string());
        assert_eq!(missing, expected.map(|value| value.to_string()), "{options}");
        assert!((0..15).all(|at| VALUES[at].is_nan() || filled[at] == VALUES[at]));
    }

    #[test]
    fn each_method_makes_its_own_values() {
        check("", [101.0, 110.5, 118.66666666666667, 121.33333333333333]);
        check("method=linear", [101.0, 110.5, 118.66666666666667, 121.33333333333333]);
        check("method=mean", [114.72727272727273; 4]);
        check("method=previous", [GONE, 108.0, 116.0, 116.0]);
        check("method=AR", [114.72727272727273, 110.81413693465396, 117.33359859078759, 118.42039170045177]);
        check("method=MA", [102.33333333333333, 108.2, 110.5, 110.5]);
    }

    #[test]
    fn short_series_and_ends_are_filled_too() {
        assert_eq!(filled("", &[GONE, 1.0, GONE, GONE]), Ok(vec![1.0; 4]));
        assert_eq!(filled("method=ma", &[1.0, GONE]), Ok(vec![1.0; 2]));
        for method in ["linear", "mean", "previous", "ma"] {
            assert_eq!(filled(&format!("method={method}"), &[7.0]), Ok(vec![7.0]), "{method}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |options: &str, values: &[f64], expected: &str| {
            assert_eq!(filled(options, values), Err(format!("Execution error: {expected}")), "{options}");
        };
        check("", &[], "All values are Invalid");
        check("method=mean", &[GONE, GONE], "All values are Invalid");
        check("method=ar", &[7.0], "Cannot fit AR(1) model. Please try another method.");
        check("method=ar", &[7.0, GONE, 8.0], "Cannot fit AR(1) model. Please try another method.");
        check("method=nan", &[1.0], "Invalid fill method: nan");
        check("a=b", &[1.0], "Fail to parse argument: unknown field `a`, expected `method`");
        check("method=AR&method=MA", &[1.0], "Fail to parse argument: duplicate field `method`");
    }
}
