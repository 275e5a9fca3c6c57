//! Forecasts by the damped method of Holt and Winters: a level, a trend, seasons, fitted to the points there are.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::common::{Result, exec_err};

use super::nelder_mead::NelderMead;
use super::{Given, Kernel, Progress};

/// Longest season, because the fit takes memory with its square.
pub(super) const SEASON_MAX: usize = 1000;

/// Most windows from the first point to the last, and most forecasts.
const WINDOWS_MAX: i64 = 1_000_000;

/// Windows that are computed between two looks at whether the query goes on.
const WINDOWS_AT_ONCE: usize = 1_000_000;

/// How much of the first values goes into the first guesses.
const WEIGHT: f64 = 0.5;
const EPSILON: f64 = 1.0e-4;

/// First guesses of smoothing factors.
const GUESSES: [f64; 2] = [0.3, 0.3 + 0.4];

#[derive(Debug)]
pub(super) struct HoltWinters {
    forecasts: usize,
    fit: bool,
    interval: i64,
    times: Vec<i64>,
    values: Vec<f64>,
    model: Model,
    search: Option<Search>,
}

impl HoltWinters {
    pub(super) fn new(forecasts: usize, season: usize, fit: bool, interval: i64) -> Self {
        let model = Model { season: if season < 2 { 0 } else { season }, y: Vec::new() };
        HoltWinters { forecasts, fit, interval, times: Vec::new(), values: Vec::new(), model, search: None }
    }

    /// The number of the window that `time` is nearest to.
    fn window(&self, time: i64) -> i64 {
        let (window, rest) = (time / self.interval, time % self.interval);
        if rest > self.interval / 2 { window + 1 } else { window }
    }

    /// Lays the points out window by window, NaN where there is none; `false` when they are too few.
    fn lay_out(&mut self) -> Result<bool> {
        let points = self.values.len();
        if points < 2 || points < self.model.season || self.forecasts == 0 {
            return Ok(false);
        }
        let (first, last) = (self.window(self.times[0]), self.window(self.times[points - 1]));
        let windows = last.saturating_sub(first);
        if windows <= 0 {
            return Ok(false);
        }
        if windows > WINDOWS_MAX || self.forecasts as i64 > WINDOWS_MAX {
            return exec_err!("a forecast over more than {WINDOWS_MAX} windows is not supported");
        }
        let mut y = vec![self.values[0]];
        let mut at = first;
        for (&time, &value) in self.times.iter().zip(&self.values).skip(1) {
            let window = self.window(time);
            if window <= at {
                continue;
            }
            y.extend((at + 1..window).map(|_| f64::NAN));
            y.push(value);
            at = window;
        }
        self.model.y = y;
        Ok(true)
    }

    fn give(&self, mut parameters: Vec<f64>, given: &mut Given) {
        let y = self.model.y.len();
        let forecast = self.model.forecast(self.forecasts, &mut parameters);
        let (from, skipped) = if self.fit { (self.times[0], 0) } else { (self.times[self.times.len() - 1], y) };
        // The first forecast lies one interval behind the last point.
        let ahead = i64::from(!self.fit);
        let mut values = Vec::new();
        for (i, value) in forecast[skipped..].iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            given.times.push(from.wrapping_add(self.interval.wrapping_mul(i as i64 + ahead)));
            values.push(*value);
        }
        given.values.push(Arc::new(Float64Array::from(values)));
    }
}

impl Kernel for HoltWinters {
    fn push(&mut self, times: &[i64], values: &ArrayRef, _: &mut Given) -> Result<()> {
        let values = values.as_primitive::<Float64Type>();
        for (row, time) in times.iter().enumerate().filter(|(row, _)| values.is_valid(*row)) {
            self.times.push(*time);
            self.values.push(values.value(row));
        }
        Ok(())
    }

    fn finish(&mut self, given: &mut Given) -> Result<Progress> {
        let mut search = match self.search.take() {
            Some(search) => search,
            None if self.lay_out()? => Search::new(&self.model),
            None => return Ok(Progress::Done),
        };
        match search.go_on(&self.model) {
            Some(parameters) => {
                self.give(parameters, given);
                Ok(Progress::Done)
            }
            None => {
                self.search = Some(search);
                Ok(Progress::Again)
            }
        }
    }

    fn lags(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        let simplex = (self.model.season + 7).pow(2);
        (self.times.capacity() + self.values.capacity() + self.model.y.capacity() + simplex) * size_of::<f64>()
    }
}

/// Tries all first guesses one after the other and keeps the best fit.
#[derive(Debug)]
struct Search {
    parameters: Vec<f64>,
    guess: usize,
    simplex: Option<NelderMead>,
    best: Option<(f64, Vec<f64>)>,
}

impl Search {
    fn new(model: &Model) -> Self {
        Search { parameters: model.guess(), guess: 0, simplex: None, best: None }
    }

    /// Goes on for a while; the parameters that fit best once they are found.
    fn go_on(&mut self, model: &Model) -> Option<Vec<f64>> {
        let mut error = |parameters: &mut [f64]| model.error(parameters);
        // A round looks at all windows about twice.
        for _ in 0..(WINDOWS_AT_ONCE / model.y.len() / 2).max(1) {
            let Some(simplex) = &mut self.simplex else {
                if self.guess == GUESSES.len().pow(4) {
                    return self.best.take().map(|(_, parameters)| parameters);
                }
                for (digit, parameter) in self.parameters[..4].iter_mut().rev().enumerate() {
                    *parameter = GUESSES[self.guess / GUESSES.len().pow(digit as u32) % GUESSES.len()];
                }
                self.guess += 1;
                self.simplex = Some(NelderMead::new(&self.parameters, EPSILON, &mut error));
                continue;
            };
            if simplex.round(&mut error)
                && let Some(simplex) = self.simplex.take()
            {
                let found = simplex.finish(&mut error);
                if self.best.as_ref().is_none_or(|(least, _)| found.0 < *least) {
                    self.best = Some(found);
                }
            }
        }
        None
    }
}

/// Parameters are: how fast level, trend and seasons follow, how fast the trend fades, the first level, the first trend,
/// the first seasons.
#[derive(Debug)]
struct Model {
    /// Windows a season, 0 without.
    season: usize,
    /// The value of each window, NaN where there is none.
    y: Vec<f64>,
}

impl Model {
    /// Parameters to start from; the first four are still open.
    fn guess(&self) -> Vec<f64> {
        let (m, y) = (self.season, &self.y);
        let (mut level, mut trend) = (0.0, 0.0);
        if m > 0 {
            for value in y.iter().take(m).filter(|value| !value.is_nan()) {
                level += (1.0 / m as f64) * value;
            }
            for (value, next) in y.iter().take(m).zip(&y[m.min(y.len())..]) {
                if !value.is_nan() && !next.is_nan() {
                    trend += 1.0 / (m * m) as f64 * (next - value);
                }
            }
        } else {
            level += WEIGHT * y[0];
            if !y[1].is_nan() {
                trend = WEIGHT * (y[1] - y[0]);
            }
        }
        let seasons = y.iter().take(m).map(|value| if value.is_nan() { 0.0 } else { value / level });
        [0.0, 0.0, 0.0, 0.0, level, trend].into_iter().chain(seasons).collect()
    }

    /// The values that the model gives for all windows and `ahead` more. The parameters are brought into their bounds,
    /// and the seasons are left as they are after the last window.
    fn forecast(&self, ahead: usize, parameters: &mut [f64]) -> Vec<f64> {
        let (factors, rest) = parameters.split_at_mut(4);
        for factor in factors.iter_mut() {
            *factor = factor.clamp(0.0, 1.0);
        }
        let [alpha, beta, gamma, phi] = [factors[0], factors[1], factors[2], factors[3]];
        let (start, seasons) = rest.split_at_mut(2);
        let (mut level, mut trend) = (start[0], start[1]);
        let m = seasons.len();
        let mut value = self.y[0];
        let mut fade = phi;
        let mut forecast = Vec::with_capacity(self.y.len() + ahead);
        forecast.push(value);
        // The ring of seasons turns by two places a window: one for the window, one for the season that is put in.
        let mut turned = m.saturating_sub(1);
        for t in 1..self.y.len() + ahead {
            let (mut season, mut season_ahead) = (1.0, 1.0);
            if m > 0 {
                season = seasons[(t + turned - m) % m];
                season_ahead = seasons[(t + turned - m + t % m) % m];
            }
            let (last_level, faded) = (level, phi * trend);
            level = alpha * (value / season) + (1.0 - alpha) * (last_level + faded);
            trend = beta * (level - last_level) + (1.0 - beta) * phi * trend;
            let new_season = gamma * (value / (last_level + faded)) + (1.0 - gamma) * season;
            value = (level + fade * trend) * season_ahead;
            fade += power(phi, t);
            if m > 0 {
                seasons[(t + turned) % m] = new_season;
                turned += 1;
            }
            forecast.push(value);
        }
        forecast
    }

    /// The sum of squared errors.
    fn error(&self, parameters: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (forecast, value) in self.forecast(0, parameters).iter().zip(&self.y) {
            if value.is_nan() {
                continue;
            }
            if forecast.is_nan() {
                return f64::INFINITY;
            }
            let error = forecast - value;
            sum += error * error;
        }
        sum
    }
}

/// `x` in `0..=1` to the power of `n`, which is positive, rounded as Go's library does it: by squaring the fraction apart
/// from the exponent.
fn power(x: f64, n: usize) -> f64 {
    if n == 1 || x == 0.0 || x == 1.0 || x.is_nan() {
        return x;
    }
    let (mut fraction, mut exponent) = parts(x);
    let (mut result, mut result_exponent) = (1.0, 0i64);
    let mut n = n;
    while n != 0 {
        if exponent < -(1 << 12) {
            result_exponent += exponent;
            break;
        }
        if n & 1 == 1 {
            result *= fraction;
            result_exponent += exponent;
        }
        fraction *= fraction;
        exponent <<= 1;
        if fraction < 0.5 {
            fraction += fraction;
            exponent -= 1;
        }
        n >>= 1;
    }
    // Down in two steps, because the least power of two alone is smaller than what the fraction makes of it.
    let half = result_exponent.clamp(-2000, 0) / 2;
    result * 2f64.powi(half as i32) * 2f64.powi((result_exponent.clamp(-2000, 0) - half) as i32)
}

/// A positive number as a fraction in `0.5..1` and an exponent of two.
fn parts(x: f64) -> (f64, i64) {
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 2f64.powi(52), 52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1022;
    (f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52)), exponent - shift)
}
