//! Moving averages that weigh, and oscillators made of them.

use std::fmt;

use datafusion::arrow::datatypes::Float64Type;

use super::number::Machine;

/// How an average starts before it has seen a whole period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Warmup {
    /// As an exponential average of a period that grows.
    Exponential,
    /// As the mean of the points so far.
    Simple,
}

/// What is averaged how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Smoothing {
    ExponentialMovingAverage {
        period: u32,
        hold: Option<u32>,
        warmup: Warmup,
    },
    DoubleExponentialMovingAverage {
        period: u32,
        hold: Option<u32>,
        warmup: Warmup,
    },
    TripleExponentialMovingAverage {
        period: u32,
        hold: Option<u32>,
        warmup: Warmup,
    },
    /// The percent by which a triple exponential average changes.
    TripleExponentialDerivative {
        period: u32,
        hold: Option<u32>,
        warmup: Warmup,
    },
    RelativeStrengthIndex {
        period: u32,
        hold: Option<u32>,
        warmup: Warmup,
    },
    /// Over a window of points when no warm-up is said, else over averages.
    ChandeMomentumOscillator {
        period: u32,
        hold: Option<u32>,
        warmup: Option<Warmup>,
    },
    KaufmansEfficiencyRatio {
        period: u32,
        hold: Option<u32>,
    },
    KaufmansAdaptiveMovingAverage {
        period: u32,
        hold: Option<u32>,
    },
}

impl Smoothing {
    fn period(&self) -> u32 {
        match self {
            Smoothing::ExponentialMovingAverage { period, .. }
            | Smoothing::DoubleExponentialMovingAverage { period, .. }
            | Smoothing::TripleExponentialMovingAverage { period, .. }
            | Smoothing::TripleExponentialDerivative { period, .. }
            | Smoothing::RelativeStrengthIndex { period, .. }
            | Smoothing::ChandeMomentumOscillator { period, .. }
            | Smoothing::KaufmansEfficiencyRatio { period, .. }
            | Smoothing::KaufmansAdaptiveMovingAverage { period, .. } => *period,
        }
    }

    /// How many points are held back at the beginning; as many as the average needs when `None`.
    fn hold(&self) -> Option<u32> {
        match self {
            Smoothing::ExponentialMovingAverage { hold, .. }
            | Smoothing::DoubleExponentialMovingAverage { hold, .. }
            | Smoothing::TripleExponentialMovingAverage { hold, .. }
            | Smoothing::TripleExponentialDerivative { hold, .. }
            | Smoothing::RelativeStrengthIndex { hold, .. }
            | Smoothing::ChandeMomentumOscillator { hold, .. }
            | Smoothing::KaufmansEfficiencyRatio { hold, .. }
            | Smoothing::KaufmansAdaptiveMovingAverage { hold, .. } => *hold,
        }
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        let least = if matches!(self, Smoothing::ChandeMomentumOscillator { warmup: None, .. }) { 2 } else { 1 };
        (self.period() < least).then_some("the period is too short")
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Smoothing::ExponentialMovingAverage { .. } => "exponential_moving_average",
            Smoothing::DoubleExponentialMovingAverage { .. } => "double_exponential_moving_average",
            Smoothing::TripleExponentialMovingAverage { .. } => "triple_exponential_moving_average",
            Smoothing::TripleExponentialDerivative { .. } => "triple_exponential_derivative",
            Smoothing::RelativeStrengthIndex { .. } => "relative_strength_index",
            Smoothing::ChandeMomentumOscillator { .. } => "chande_momentum_oscillator",
            Smoothing::KaufmansEfficiencyRatio { .. } => "kaufmans_efficiency_ratio",
            Smoothing::KaufmansAdaptiveMovingAverage { .. } => "kaufmans_adaptive_moving_average",
        };
        write!(f, "{name}({})", self.period())
    }
}

/// A [`Smoothing`] at work.
#[derive(Debug)]
pub(super) struct Smoother {
    average: Average,
    held: u64,
}

impl Smoother {
    pub(super) fn new(smoothing: &Smoothing) -> Self {
        let average = match *smoothing {
            Smoothing::ExponentialMovingAverage { period, warmup, .. } => Average::Chain(Chain::new(1, period, warmup)),
            Smoothing::DoubleExponentialMovingAverage { period, warmup, .. } => {
                Average::Chain(Chain::new(2, period, warmup))
            }
            Smoothing::TripleExponentialMovingAverage { period, warmup, .. } => {
                Average::Chain(Chain::new(3, period, warmup))
            }
            Smoothing::TripleExponentialDerivative { period, warmup, .. } => {
                Average::Rate { chain: Chain::new(3, period, warmup), last: 0.0 }
            }
            Smoothing::RelativeStrengthIndex { period, warmup, .. } => Average::Strength(UpDown::new(period, warmup)),
            Smoothing::ChandeMomentumOscillator { period, warmup: Some(warmup), .. } => {
                Average::Momentum(UpDown::new(period, warmup))
            }
            Smoothing::ChandeMomentumOscillator { period, warmup: None, .. } => Average::MomentumOf(Moves::new(period)),
            Smoothing::KaufmansEfficiencyRatio { period, .. } => Average::Efficiency(Efficiency::new(period)),
            Smoothing::KaufmansAdaptiveMovingAverage { period, .. } => {
                Average::Adaptive { efficiency: Efficiency::new(period), last: 0.0 }
            }
        };
        let held = smoothing.hold().map_or_else(|| average.needs(smoothing.period()), u64::from);
        Smoother { average, held }
    }
}

impl Machine for Smoother {
    type Takes = Float64Type;
    type Gives = Float64Type;

    fn take(&mut self, time: i64, value: f64) -> Option<(i64, f64)> {
        let value = self.average.add(value);
        if self.held > 0 {
            self.held -= 1;
            return None;
        }
        Some((time, value))
    }

    fn bytes(&self) -> usize {
        match &self.average {
            Average::MomentumOf(moves) => moves.ring.bytes(),
            Average::Efficiency(efficiency) | Average::Adaptive { efficiency, .. } => efficiency.ring.bytes(),
            _ => 0,
        }
    }
}

#[derive(Debug)]
enum Average {
    Chain(Chain),
    Rate { chain: Chain, last: f64 },
    Strength(UpDown),
    Momentum(UpDown),
    MomentumOf(Moves),
    Efficiency(Efficiency),
    Adaptive { efficiency: Efficiency, last: f64 },
}

impl Average {
    fn add(&mut self, value: f64) -> f64 {
        match self {
            Average::Chain(chain) => chain.add(value),
            Average::Rate { chain, last } => {
                let now = chain.innermost(value);
                (now / std::mem::replace(last, now) - 1.0) * 100.0
            }
            Average::Strength(moves) => {
                let (up, down) = moves.add(value);
                100.0 - (100.0 / (1.0 + up / down))
            }
            Average::Momentum(moves) => {
                let (up, down) = moves.add(value);
                100.0 * ((up - down) / (up + down))
            }
            Average::MomentumOf(moves) => moves.add(value),
            Average::Efficiency(efficiency) => efficiency.add(value),
            Average::Adaptive { efficiency, last } => {
                if !efficiency.warm() {
                    *last = efficiency.newest();
                }
                let ratio = efficiency.add(value);
                // Between the weights of averages over 2 and over 30 points: 2/31 and 2/3.
                let weight = ratio * (56.0 / 93.0) + 2.0 / 31.0;
                *last += weight * weight * (value - *last);
                *last
            }
        }
    }

    /// Points until it is warm, less one.
    fn needs(&self, period: u32) -> u64 {
        let period = u64::from(period);
        match self {
            Average::Chain(chain) if chain.warmup() == Warmup::Exponential => period - 1,
            Average::Chain(chain) => (period - 1) * chain.averages.len() as u64,
            Average::Rate { chain, .. } if chain.warmup() == Warmup::Exponential => period,
            Average::Rate { .. } => (period - 1) * 3 + 1,
            Average::Strength(_) | Average::Momentum(_) | Average::Efficiency(_) | Average::Adaptive { .. } => period,
            Average::MomentumOf(_) => period - 1,
        }
    }
}

/// One exponential average.
#[derive(Debug, Clone)]
struct Exponential {
    period: u32,
    weight: f64,
    warmup: Warmup,
    count: u32,
    last: f64,
}

impl Exponential {
    fn new(period: u32, weight: f64, warmup: Warmup) -> Self {
        Exponential { period, weight, warmup, count: 0, last: 0.0 }
    }

    fn warm(&self) -> bool {
        self.count == self.period
    }

    fn add(&mut self, value: f64) -> f64 {
        let count = f64::from(self.count);
        self.last = match self.warmup {
            _ if self.count == 0 => value,
            _ if self.warm() => (value - self.last) * self.weight + self.last,
            Warmup::Simple => (self.last * count + value) / (count + 1.0),
            // A growing period does not give the first value too much weight.
            Warmup::Exponential => (value - self.last) * (2.0 / (count + 2.0)) + self.last,
        };
        self.count += u32::from(!self.warm());
        self.last
    }
}

/// Averages of averages. One that is warmed up simply passes values on only when it is warm.
#[derive(Debug)]
struct Chain {
    averages: Vec<Exponential>,
}

impl Chain {
    fn new(length: usize, period: u32, warmup: Warmup) -> Self {
        let average = Exponential::new(period, 2.0 / (f64::from(period) + 1.0), warmup);
        Chain { averages: vec![average; length] }
    }

    fn warmup(&self) -> Warmup {
        self.averages[0].warmup
    }

    /// The average without the lag that averaging brings.
    fn add(&mut self, value: f64) -> f64 {
        let mut given = [value; 3];
        let mut value = value;
        let mut passes = true;
        for (i, average) in self.averages.iter_mut().enumerate() {
            if passes {
                value = average.add(value);
            }
            passes = average.warm() || average.warmup == Warmup::Exponential;
            given[i] = value;
        }
        let [one, two, three] = given;
        match self.averages.len() {
            1 => one,
            2 => 2.0 * one - two,
            _ => 3.0 * one - 3.0 * two + three,
        }
    }

    /// The value of the last average that is reached.
    fn innermost(&mut self, value: f64) -> f64 {
        let mut value = value;
        for average in &mut self.averages {
            value = average.add(value);
            if !average.warm() && average.warmup == Warmup::Simple {
                break;
            }
        }
        value
    }
}

/// Averages of the steps up and the steps down.
#[derive(Debug)]
struct UpDown {
    up: Exponential,
    down: Exponential,
    last: f64,
}

impl UpDown {
    fn new(period: u32, warmup: Warmup) -> Self {
        let average = Exponential::new(period.saturating_add(1), 1.0 / f64::from(period), warmup);
        UpDown { up: average.clone(), down: average, last: 0.0 }
    }

    /// The first step is from zero.
    fn add(&mut self, value: f64) -> (f64, f64) {
        let last = std::mem::replace(&mut self.last, value);
        let up = self.up.add(if value > last { value - last } else { 0.0 });
        let down = self.down.add(if value < last { last - value } else { 0.0 });
        (up, down)
    }
}

/// A ring of (value, step), zeros where nothing has been put; it grows as it is filled.
#[derive(Debug)]
struct Ring {
    length: usize,
    points: Vec<(f64, f64)>,
    newest: usize,
}

impl Ring {
    fn new(length: usize) -> Self {
        Ring { length, points: Vec::new(), newest: 0 }
    }

    fn oldest(&self) -> usize {
        if self.newest + 1 >= self.length { 0 } else { self.newest + 1 }
    }

    fn get(&self, at: usize) -> (f64, f64) {
        self.points.get(at).copied().unwrap_or_default()
    }

    /// Puts a point in the place of the oldest.
    fn put(&mut self, point: (f64, f64)) {
        self.newest = self.oldest();
        if self.newest >= self.points.len() {
            self.points.resize(self.newest + 1, (0.0, 0.0));
        }
        self.points[self.newest] = point;
    }

    fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<(f64, f64)>()
    }
}

/// How much of the way of a period leads anywhere.
#[derive(Debug)]
struct Efficiency {
    ring: Ring,
    noise: f64,
    count: usize,
}

impl Efficiency {
    fn new(period: u32) -> Self {
        Efficiency { ring: Ring::new(period as usize), noise: 0.0, count: 0 }
    }

    fn warm(&self) -> bool {
        self.count == self.ring.length + 1
    }

    fn newest(&self) -> f64 {
        self.ring.get(self.ring.newest).0
    }

    fn add(&mut self, value: f64) -> f64 {
        let (oldest, oldest_step) = self.ring.get(self.ring.oldest());
        let signal = (value - oldest).abs();
        let step = (value - self.newest()).abs();
        self.noise -= oldest_step;
        self.noise += step;
        let noise = self.noise;
        self.ring.put((value, step));
        self.count += usize::from(!self.warm());
        if signal == 0.0 || noise == 0.0 { 0.0 } else { signal / noise }
    }
}

/// The steps up and down of a period, summed as they come and go.
#[derive(Debug)]
struct Moves {
    ring: Ring,
    up: f64,
    down: f64,
    begun: bool,
}

impl Moves {
    /// `period` is at least 2.
    fn new(period: u32) -> Self {
        Moves { ring: Ring::new(period as usize - 1), up: 0.0, down: 0.0, begun: false }
    }

    fn add(&mut self, value: f64) -> f64 {
        let mut step = 0.0;
        if self.begun {
            step = value - self.ring.get(self.ring.newest).0;
            if step > 0.0 {
                self.up += step;
            } else if step < 0.0 {
                self.down -= step;
            }
        }
        self.begun = true;
        let given = if self.up != 0.0 || self.down != 0.0 {
            100.0 * ((self.up - self.down) / (self.up + self.down))
        } else {
            0.0
        };
        let (_, oldest) = self.ring.get(self.ring.oldest());
        if oldest > 0.0 {
            self.up -= oldest;
        } else if oldest < 0.0 {
            self.down += oldest;
        }
        self.ring.put((value, step));
        given
    }
}
