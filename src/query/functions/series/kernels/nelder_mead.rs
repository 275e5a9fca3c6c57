//! The least of a function of several variables, by the simplex method of Nelder and Mead.
//!
//! The steps, their order and their rounding are those of InfluxDB's forecast, so that both end in the same place; the
//! method goes back to M. Hutt's description of it.

/// Rounds at most.
const ROUNDS_MAX: usize = 1000;

/// A simplex on its way down.
///
/// The function may move the point it is asked about: the simplex goes on from where it was moved to.
#[derive(Debug)]
pub(super) struct NelderMead {
    points: Vec<Vec<f64>>,
    values: Vec<f64>,
    epsilon: f64,
    rounds: usize,
}

impl NelderMead {
    /// A simplex with a corner in `start`. It has converged when the values at its corners deviate by less than `epsilon`.
    pub(super) fn new(start: &[f64], epsilon: f64, value: &mut impl FnMut(&mut [f64]) -> f64) -> Self {
        let n = start.len() as f64;
        let far = ((n + 1.0).sqrt() - 1.0 + n) / (n * 2f64.sqrt());
        let near = ((n + 1.0).sqrt() - 1.0) / (n * 2f64.sqrt());
        let corner = |i: usize| {
            let shifted = |(j, x): (usize, &f64)| match i {
                0 => *x,
                i if i - 1 == j => far + x,
                _ => near + x,
            };
            start.iter().enumerate().map(shifted).collect::<Vec<f64>>()
        };
        let mut points: Vec<Vec<f64>> = (0..=start.len()).map(corner).collect();
        let values = points.iter_mut().map(|point| value(point)).collect();
        NelderMead { points, values, epsilon, rounds: 0 }
    }

    /// One round; `true` when there is no other.
    pub(super) fn round(&mut self, value: &mut impl FnMut(&mut [f64]) -> f64) -> bool {
        if self.rounds == ROUNDS_MAX {
            return true;
        }
        self.rounds += 1;
        let f = &mut self.values;
        let (mut worst, mut best) = (0, 0);
        for i in 0..f.len() {
            if f[i] > f[worst] {
                worst = i;
            }
            if f[i] < f[best] {
                best = i;
            }
        }
        let mut second = best;
        for i in 0..f.len() {
            if f[i] > f[second] && f[i] < f[worst] {
                second = i;
            }
        }
        let n = self.points.len() - 1;
        let middle: Vec<f64> = (0..n)
            .map(|i| {
                let others = self.points.iter().enumerate().filter(|(corner, _)| *corner != worst);
                others.fold(0.0, |sum, (_, point)| sum + point[i]) / n as f64
            })
            .collect();
        let mut reflected: Vec<f64> = middle.iter().zip(&self.points[worst]).map(|(m, w)| m + (m - w)).collect();
        let reflected_value = value(&mut reflected);
        if reflected_value < f[second] && reflected_value >= f[best] {
            self.points[worst].clone_from(&reflected);
            f[worst] = reflected_value;
        }
        if reflected_value < f[best] {
            let mut expanded: Vec<f64> = middle.iter().zip(&reflected).map(|(m, r)| m + 2.0 * (r - m)).collect();
            let expanded_value = value(&mut expanded);
            if expanded_value < reflected_value {
                self.points[worst] = expanded;
                f[worst] = expanded_value;
            } else {
                self.points[worst].clone_from(&reflected);
                f[worst] = reflected_value;
            }
        }
        if reflected_value >= f[second] {
            let mut contracted: Vec<f64> = if reflected_value < f[worst] {
                middle.iter().zip(&reflected).map(|(m, r)| m + 0.5 * (r - m)).collect()
            } else {
                middle.iter().zip(&self.points[worst]).map(|(m, w)| m - 0.5 * (m - w)).collect()
            };
            let contracted_value = value(&mut contracted);
            if contracted_value < f[worst] {
                self.points[worst] = contracted;
                f[worst] = contracted_value;
            } else {
                let to = self.points[best].clone();
                for (_, point) in self.points.iter_mut().enumerate().filter(|(corner, _)| *corner != best) {
                    point.iter_mut().zip(&to).for_each(|(x, to)| *x = to + (*x - to) / 2.0);
                }
                f[worst] = value(&mut self.points[worst]);
                f[second] = value(&mut self.points[second]);
            }
        }
        let mean = f.iter().fold(0.0, |sum, value| sum + value) / (n as f64 + 1.0);
        let deviation = f.iter().fold(0.0, |sum, value| sum + (value - mean) * (value - mean) / n as f64);
        deviation.sqrt() < self.epsilon
    }

    /// The best corner, and the function's value there.
    pub(super) fn finish(mut self, value: &mut impl FnMut(&mut [f64]) -> f64) -> (f64, Vec<f64>) {
        let mut best = 0;
        for i in 0..self.values.len() {
            if self.values[i] < self.values[best] {
                best = i;
            }
        }
        let found = self.points[best].clone();
        (value(&mut self.points[best]), found)
    }
}
