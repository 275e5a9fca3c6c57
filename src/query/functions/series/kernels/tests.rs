//! Expectations are what InfluxDB 1.6.7 answered over the same points.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, UInt64Array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use proptest::prelude::*;

use super::Warmup::{Exponential as E, Simple as S};
use super::*;

const FLOATS: [f64; 12] = [3.0, 5.0, 2.5, 8.0, 7.0, 7.0, 1.0, 9.25, 4.0, 6.0, 11.0, 2.0];
const INTEGERS: [i64; 12] = [3, 5, 2, 8, 7, 7, 1, 9, 4, 6, 11, 2];

#[derive(Clone, Copy)]
enum Of {
    Floats,
    Integers,
}

/// Points of the two tables, by number: each lies at ten times its number, counted from 1.
type Numbers = Vec<usize>;

fn all() -> Numbers {
    (0..12).collect()
}

fn backwards() -> Numbers {
    (0..12).rev().collect()
}

/// What a kernel gives that gets its points in portions.
fn run(calculation: &Calculation, times: &[i64], values: &ArrayRef, portion: usize) -> (Vec<i64>, ArrayRef) {
    let mut kernel = calculation.kernel(values.data_type()).unwrap();
    let mut given = Given::default();
    for start in (0..times.len()).step_by(portion) {
        let rows = portion.min(times.len() - start);
        kernel.push(&times[start..start + rows], &values.slice(start, rows), &mut given).unwrap();
    }
    while kernel.finish(&mut given).unwrap() == Progress::Again {}
    let values: Vec<&dyn Array> = given.values.iter().map(AsRef::as_ref).collect();
    if values.is_empty() {
        return (given.times, Arc::new(Float64Array::from(Vec::<f64>::new())));
    }
    (given.times, concat(&values).unwrap())
}

fn check(calculation: Calculation, points: Numbers, of: Of, times: &[i64], values: &[f64]) {
    let input: Vec<i64> = points.iter().map(|point| 10 * (*point as i64 + 1)).collect();
    let numbers: ArrayRef = match of {
        Of::Floats => Arc::new(Float64Array::from_iter_values(points.iter().map(|point| FLOATS[*point]))),
        Of::Integers => Arc::new(Int64Array::from_iter_values(points.iter().map(|point| INTEGERS[*point]))),
    };
    for portion in [1, 5, 12] {
        let (given_times, given) = run(&calculation, &input, &numbers, portion);
        assert_eq!(given_times, times, "{calculation}");
        assert_eq!(given.data_type(), &calculation.result_type(numbers.data_type()).unwrap());
        let given = cast(&given, &DataType::Float64).unwrap();
        assert_eq!(given.as_primitive::<Float64Type>().values(), values, "{calculation}");
    }
}

use Calculation::{CumulativeSum, Derivative, Difference, Elapsed, HoltWinters, MovingAverage, Smoothed};

#[test]
fn steps_sums_and_means() {
    check(
        Derivative { unit: 10, non_negative: false, descending: false },
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[2.0, -2.5, 5.5, -1.0, 0.0, -6.0, 8.25, -5.25, 2.0, 5.0, -9.0],
    );
    check(
        Derivative { unit: 5, non_negative: true, descending: false },
        all(),
        Of::Floats,
        &[20, 40, 60, 80, 100, 110],
        &[1.0, 2.75, 0.0, 4.125, 1.0, 2.5],
    );
    check(
        Derivative { unit: 10, non_negative: false, descending: false },
        all(),
        Of::Integers,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[2.0, -3.0, 6.0, -1.0, 0.0, -6.0, 8.0, -5.0, 2.0, 5.0, -9.0],
    );
    check(
        Difference { non_negative: false },
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[2.0, -2.5, 5.5, -1.0, 0.0, -6.0, 8.25, -5.25, 2.0, 5.0, -9.0],
    );
    check(
        Difference { non_negative: false },
        all(),
        Of::Integers,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[2.0, -3.0, 6.0, -1.0, 0.0, -6.0, 8.0, -5.0, 2.0, 5.0, -9.0],
    );
    check(
        Difference { non_negative: true },
        all(),
        Of::Integers,
        &[20, 40, 60, 80, 100, 110],
        &[2.0, 6.0, 0.0, 8.0, 2.0, 5.0],
    );
    check(
        CumulativeSum,
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[3.0, 8.0, 10.5, 18.5, 25.5, 32.5, 33.5, 42.75, 46.75, 52.75, 63.75, 65.75],
    );
    check(
        CumulativeSum,
        all(),
        Of::Integers,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[3.0, 8.0, 10.0, 18.0, 25.0, 32.0, 33.0, 42.0, 46.0, 52.0, 63.0, 65.0],
    );
    check(
        MovingAverage { n: 3 },
        all(),
        Of::Floats,
        &[30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            3.5,
            5.166666666666667,
            5.833333333333333,
            7.333333333333333,
            5.0,
            5.75,
            4.75,
            6.416666666666667,
            7.0,
            6.333333333333333,
        ],
    );
    check(
        MovingAverage { n: 4 },
        all(),
        Of::Integers,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[4.5, 5.5, 6.0, 5.75, 6.0, 5.25, 5.0, 7.5, 5.75],
    );
    check(
        Elapsed { unit: 3 },
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0],
    );
    check(
        Derivative { unit: 10, non_negative: false, descending: true },
        backwards(),
        Of::Floats,
        &[110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[9.0, -5.0, -2.0, 5.25, -8.25, 6.0, 0.0, 1.0, -5.5, 2.5, -2.0],
    );
    check(
        Difference { non_negative: false },
        backwards(),
        Of::Integers,
        &[110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[9.0, -5.0, -2.0, 5.0, -8.0, 6.0, 0.0, 1.0, -6.0, 3.0, -2.0],
    );
    check(
        Difference { non_negative: true },
        backwards(),
        Of::Floats,
        &[110, 80, 60, 50, 40, 20],
        &[9.0, 5.25, 6.0, 0.0, 1.0, 2.5],
    );
    check(
        Elapsed { unit: 3 },
        backwards(),
        Of::Floats,
        &[110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[-3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0],
    );
    check(
        MovingAverage { n: 3 },
        backwards(),
        Of::Floats,
        &[100, 90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[
            6.333333333333333,
            7.0,
            6.416666666666667,
            4.75,
            5.75,
            5.0,
            7.333333333333333,
            5.833333333333333,
            5.166666666666667,
            3.5,
        ],
    );
    check(
        CumulativeSum,
        backwards(),
        Of::Integers,
        &[120, 110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[2.0, 13.0, 19.0, 23.0, 32.0, 33.0, 40.0, 47.0, 55.0, 57.0, 62.0, 65.0],
    );
}

#[test]
fn averages_that_weigh_and_oscillators() {
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 4, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[5.25, 5.95, 6.37, 4.2219999999999995, 6.2332, 5.33992, 5.6039520000000005, 7.7623712000000005, 5.45742272],
    );
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 4, hold: Some(1), warmup: E }),
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            4.333333333333333,
            3.4166666666666665,
            5.25,
            5.95,
            6.37,
            4.2219999999999995,
            6.2332,
            5.33992,
            5.6039520000000005,
            7.7623712000000005,
            5.45742272,
        ],
    );
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 4, hold: None, warmup: S }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            4.625,
            5.575,
            6.1450000000000005,
            4.087,
            6.152200000000001,
            5.291320000000001,
            5.574792,
            7.744875200000001,
            5.44692512,
        ],
    );
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 3, hold: Some(0), warmup: S }),
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[3.0, 4.0, 3.5, 5.75, 6.375, 6.6875, 3.84375, 6.546875, 5.2734375, 5.63671875, 8.318359375, 5.1591796875],
    );
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 1, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[3.0, 5.0, 2.5, 8.0, 7.0, 7.0, 1.0, 9.25, 4.0, 6.0, 11.0, 2.0],
    );
    check(
        Smoothed(Smoothing::ExponentialMovingAverage { period: 4, hold: None, warmup: E }),
        backwards(),
        Of::Floats,
        &[90, 80, 70, 60, 50, 40, 30, 20, 10],
        &[5.8, 7.18, 4.708, 5.6248000000000005, 6.17488, 6.904928, 5.1429568, 5.08577408, 4.251464448],
    );
    check(
        Smoothed(Smoothing::DoubleExponentialMovingAverage { period: 3, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            3.1805555555555554,
            6.7361111111111125,
            7.190972222222223,
            7.2569444444444455,
            2.7092013888888893,
            7.332465277777779,
            5.030164930555555,
            5.697048611111112,
            9.689507378472223,
            4.265245225694445,
        ],
    );
    check(
        Smoothed(Smoothing::DoubleExponentialMovingAverage { period: 3, hold: None, warmup: S }),
        all(),
        Of::Floats,
        &[50, 60, 70, 80, 90, 100, 110, 120],
        &[
            7.541666666666667,
            7.427083333333334,
            2.791666666666667,
            7.372395833333334,
            5.049479166666667,
            5.706380208333334,
            9.694010416666668,
            4.267415364583334,
        ],
    );
    check(
        Smoothed(Smoothing::TripleExponentialMovingAverage { period: 3, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            2.914351851851853,
            7.234953703703704,
            7.344907407407408,
            7.205439814814813,
            1.8288483796296289,
            7.851056134259258,
            4.774377893518516,
            5.720630787037036,
            10.356544777199076,
            3.466141312210646,
        ],
    );
    check(
        Smoothed(Smoothing::TripleExponentialMovingAverage { period: 3, hold: Some(0), warmup: S }),
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            3.0,
            4.0,
            3.5,
            8.0,
            8.708333333333332,
            7.796875,
            2.1944444444444438,
            8.012586805555555,
            4.844835069444445,
            5.750868055555555,
            10.369249131944445,
            3.4713270399305554,
        ],
    );
    check(
        Smoothed(Smoothing::TripleExponentialDerivative { period: 3, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            14.600638977635771,
            16.448285475327573,
            13.05961216183864,
            -4.555320275277919,
            5.1679192434620935,
            0.25182938888523854,
            0.6799410805407913,
            12.720762086397674,
            -1.5165957101613836,
        ],
    );
    check(
        Smoothed(Smoothing::TripleExponentialDerivative { period: 3, hold: None, warmup: S }),
        all(),
        Of::Floats,
        &[80, 90, 100, 110, 120],
        &[3.463659961064258, -0.34888279106232156, 0.45631564454584606, 12.638524493871639, -1.5327052443115718],
    );
    check(
        Smoothed(Smoothing::RelativeStrengthIndex { period: 3, hold: None, warmup: E }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            79.45205479452055,
            69.87951807228916,
            69.87951807228916,
            26.605504587155963,
            67.77036384237694,
            44.13923168381781,
            53.42039588390141,
            71.30128907237341,
            35.012178913671946,
        ],
    );
    check(
        Smoothed(Smoothing::RelativeStrengthIndex { period: 3, hold: None, warmup: S }),
        all(),
        Of::Integers,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            78.57142857142857,
            68.75,
            68.75,
            25.581395348837205,
            67.01030927835052,
            44.03048264182896,
            53.5814606741573,
            71.69467937051706,
            34.91202919327512,
        ],
    );
    check(
        Smoothed(Smoothing::ChandeMomentumOscillator { period: 4, hold: None, warmup: None }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            50.0,
            36.36363636363637,
            22.22222222222222,
            -12.0,
            8.19672131147541,
            -15.384615384615385,
            -4.651162790697675,
            48.78048780487805,
            -34.11764705882353,
        ],
    );
    check(
        Smoothed(Smoothing::ChandeMomentumOscillator { period: 2, hold: None, warmup: None }),
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            100.0,
            -11.11111111111111,
            37.5,
            69.23076923076923,
            -100.0,
            -100.0,
            15.789473684210526,
            22.22222222222222,
            -44.827586206896555,
            100.0,
            -28.57142857142857,
        ],
    );
    check(
        Smoothed(Smoothing::ChandeMomentumOscillator { period: 3, hold: None, warmup: Some(S) }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            61.53846153846154,
            40.0,
            40.0,
            -49.99999999999999,
            35.50863723608445,
            -12.24362958359229,
            6.570098292809106,
            42.630241423125796,
            -30.15477949754997,
        ],
    );
    check(
        Smoothed(Smoothing::ChandeMomentumOscillator { period: 3, hold: Some(1), warmup: Some(E) }),
        all(),
        Of::Floats,
        &[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            100.0,
            -3.448275862068962,
            58.9041095890411,
            39.75903614457831,
            39.75903614457832,
            -46.78899082568805,
            35.540727684753875,
            -11.72153663236438,
            6.840791767802823,
            42.60257814474683,
            -29.97564217265613,
        ],
    );
    check(
        Smoothed(Smoothing::KaufmansEfficiencyRatio { period: 3, hold: None }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            0.5,
            0.2222222222222222,
            0.6923076923076923,
            1.0,
            0.15789473684210525,
            0.15384615384615385,
            0.3225806451612903,
            0.14285714285714285,
            0.125,
        ],
    );
    check(
        Smoothed(Smoothing::KaufmansAdaptiveMovingAverage { period: 3, hold: None }),
        all(),
        Of::Floats,
        &[40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            3.2351138859983815,
            3.3832009434580015,
            4.221343221853993,
            2.789635123252218,
            2.9541791665673918,
            2.9800084221210437,
            3.1822144518407414,
            3.3593778195640867,
            3.3328158064404505,
        ],
    );
    check(
        Smoothed(Smoothing::KaufmansAdaptiveMovingAverage { period: 3, hold: Some(0) }),
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        &[
            1.3333333333333335,
            3.8888888888888893,
            4.824128672550455,
            3.2351138859983815,
            3.3832009434580015,
            4.221343221853993,
            2.789635123252218,
            2.9541791665673918,
            2.9800084221210437,
            3.1822144518407414,
            3.3593778195640867,
            3.3328158064404505,
        ],
    );
}

#[test]
fn forecasts_end_where_those_of_the_server_do() {
    check(
        HoltWinters { forecasts: 4, season: 0, fit: false, interval: 10 },
        all(),
        Of::Floats,
        &[130, 140, 150, 160],
        &[5.994826744187133, 5.994900764291061, 5.994931188352089, 5.9949436933168565],
    );
    check(
        HoltWinters { forecasts: 4, season: 4, fit: false, interval: 10 },
        all(),
        Of::Floats,
        &[130, 140, 150, 160],
        &[6.102071260245939, 5.988395075164607, 6.015258011234414, 6.505655531030471],
    );
    check(
        HoltWinters { forecasts: 2, season: 3, fit: false, interval: 10 },
        all(),
        Of::Floats,
        &[130, 140],
        &[4.773699660192903, 4.881747453413809],
    );
    check(
        HoltWinters { forecasts: 3, season: 0, fit: true, interval: 10 },
        all(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150],
        &[
            3.0,
            4.180246721219331,
            5.150458513823463,
            5.631188544368268,
            5.842623518852925,
            5.931866621190269,
            5.968942524293527,
            5.984248243415102,
            5.990550488823784,
            5.9931427476279415,
            5.994208541646344,
            5.994646659479627,
            5.994826744187133,
            5.994900764291061,
            5.994931188352089,
        ],
    );
    check(
        HoltWinters { forecasts: 3, season: 4, fit: true, interval: 10 },
        all(),
        Of::Integers,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150],
        &[
            3.0,
            6.303517042676423,
            2.644542399758904,
            6.398819665779564,
            5.921340230268862,
            5.907025171229168,
            5.137546350297025,
            6.448569780613246,
            5.999491522103305,
            5.908246062363136,
            5.79116413487068,
            6.449667637855268,
            6.0132326688720585,
            5.908456827873336,
            5.959302089521096,
        ],
    );
    check(
        HoltWinters { forecasts: 3, season: 4, fit: true, interval: 10 },
        all().into_iter().filter(|point| ![4, 7].contains(point)).collect(),
        Of::Floats,
        &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150],
        &[
            3.0,
            6.210383626290063,
            2.680314991097243,
            4.96540578789207,
            5.807364680470329,
            5.897465940622829,
            4.979757613520591,
            5.0166048228758156,
            5.711246887466583,
            5.900594333940608,
            5.515681957312912,
            5.0205249090694934,
            5.709666743619068,
            5.901788325829445,
            5.6599411476395,
        ],
    );
}

#[test]
fn a_forecast_needs_points_to_stand_on() {
    let holt_winters = |forecasts, season| HoltWinters { forecasts, season, fit: true, interval: 10 };
    check(holt_winters(3, 0), vec![1], Of::Floats, &[], &[]);
    check(holt_winters(0, 0), all(), Of::Floats, &[], &[]);
    check(holt_winters(3, 5), vec![1, 2, 3], Of::Floats, &[], &[]);
    let far: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let mut kernel = holt_winters(3, 0).kernel(&DataType::Float64).unwrap();
    kernel.push(&[0, 1 << 60], &far, &mut Given::default()).unwrap();
    assert!(kernel.finish(&mut Given::default()).is_err());
}

#[test]
fn points_of_one_time_count_once_for_steps_and_all_for_sums() {
    let times = [10, 10, 20, 20, 30];
    let values: ArrayRef = Arc::new(Int64Array::from(vec![3, 9, 4, 1, 8]));
    let given = |calculation: Calculation| {
        let (times, values) = run(&calculation, &times, &values, 2);
        (times, cast(&values, &DataType::Float64).unwrap().as_primitive::<Float64Type>().values().to_vec())
    };
    assert_eq!(given(Difference { non_negative: false }), (vec![20, 30], vec![1.0, 4.0]));
    let derivative = Derivative { unit: 10, non_negative: true, descending: false };
    assert_eq!(given(derivative), (vec![20, 30], vec![1.0, 4.0]));
    assert_eq!(given(CumulativeSum), (times.to_vec(), vec![3.0, 12.0, 16.0, 17.0, 25.0]));
    assert_eq!(given(Elapsed { unit: 1 }), (times[1..].to_vec(), vec![0.0, 10.0, 0.0, 10.0]));
}

#[test]
fn nulls_are_passed_over_and_any_type_has_times() {
    let times = [10, 20, 30, 40];
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, None, Some("b")]));
    let (given, values) = run(&Elapsed { unit: 10 }, &times, &texts, 4);
    assert_eq!((given, values.as_ref()), (vec![40], &Int64Array::from(vec![3]) as &dyn Array));
    let (given, values) = run(&Calculation::Keep { nulls: false }, &times, &texts, 3);
    assert_eq!((given, values.as_ref()), (vec![10, 40], &StringArray::from(vec!["a", "b"]) as &dyn Array));
    let (given, values) = run(&Calculation::Keep { nulls: true }, &times, &texts, 3);
    assert_eq!((given, &values), (times.to_vec(), &texts));
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![Some(5), None, Some(2), Some(9)]));
    let (given, values) = run(&Difference { non_negative: true }, &times, &unsigned, 4);
    assert_eq!((given, values.as_ref()), (vec![40], &UInt64Array::from(vec![7]) as &dyn Array));
    let derivative = Derivative { unit: 10, non_negative: false, descending: false };
    let (given, values) = run(&derivative, &times, &unsigned, 4);
    assert_eq!((given, values.as_ref()), (vec![30, 40], &Float64Array::from(vec![-1.5, 7.0]) as &dyn Array));
}

/// Points as the server merges three series: of those at one time the last counts.
fn integral(of: Of, windows: Option<Windows>, whole: i64, descending: bool) -> (Vec<i64>, Vec<f64>) {
    let mut points = [(10, 3.0, 3), (10, 4.0, 4), (10, 5.0, 5), (20, 3.0, 9), (20, 1.0, 9), (30, 5.0, 1), (30, 7.0, 1)];
    if descending {
        points.reverse();
    }
    let times: Vec<i64> = points.iter().map(|point| point.0).collect();
    let values: ArrayRef = match of {
        Of::Floats => Arc::new(Float64Array::from_iter_values(points.iter().map(|point| point.1))),
        Of::Integers => Arc::new(Int64Array::from_iter_values(points.iter().map(|point| point.2))),
    };
    let calculation = Calculation::Integral { unit: 1, windows, whole, descending };
    let (times, values) = run(&calculation, &times, &values, 3);
    (times, values.as_primitive::<Float64Type>().values().to_vec())
}

#[test]
fn areas_are_cut_at_the_borders_of_windows() {
    let windows = || Windows::new(15, 0, None);
    assert_eq!(integral(Of::Floats, None, 0, false), (vec![0], vec![70.0]));
    assert_eq!(integral(Of::Integers, None, 5, false), (vec![5], vec![120.0]));
    assert_eq!(integral(Of::Floats, windows(), 0, false), (vec![0, 15], vec![22.5, 47.5]));
    assert_eq!(integral(Of::Integers, windows(), 0, false), (vec![0, 15], vec![30.0, 80.0]));
    assert_eq!(integral(Of::Integers, windows(), 0, true), (vec![45, 30, 15], vec![0.0, -90.0, -40.0]));
    assert_eq!(integral(Of::Floats, None, 30, false), (vec![], vec![]));
}

#[test]
fn bad_parameters_and_types_are_refused() {
    for (calculation, data_type, problem) in [
        (Elapsed { unit: 0 }, DataType::Int64, "elapsed(0ns): the unit is not positive"),
        (MovingAverage { n: 0 }, DataType::Int64, "the number of points is not positive"),
        (CumulativeSum, DataType::Utf8, "cumulative_sum does not take values of type Utf8"),
        (
            Smoothed(Smoothing::ChandeMomentumOscillator { period: 1, hold: None, warmup: None }),
            DataType::Float64,
            "the period is too short",
        ),
        (
            HoltWinters { forecasts: 1, season: 100_000, fit: false, interval: 1 },
            DataType::Float64,
            "the season is too long",
        ),
    ] {
        let error = calculation.result_type(&data_type).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(calculation.kernel(&data_type).is_err());
    }
}

proptest! {
    /// The running sums and rings, beside looking at the last points anew.
    #[test]
    fn windows_of_points_are_what_they_say(values in proptest::collection::vec(-1000i64..1000, 0..60), n in 2usize..9) {
        let times: Vec<i64> = (0..values.len() as i64).collect();
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let (at, means) = run(&MovingAverage { n }, &times, &array, 7);
        let expected: Vec<f64> = values.windows(n).map(|last| last.iter().sum::<i64>() as f64 / n as f64).collect();
        prop_assert_eq!(means.as_primitive::<Float64Type>().values().to_vec(), expected);
        prop_assert_eq!(at, times.iter().copied().skip(n - 1).collect::<Vec<_>>());
        let momentum = Smoothed(Smoothing::ChandeMomentumOscillator { period: n as u32, hold: None, warmup: None });
        let (_, momentum) = run(&momentum, &times, &array, 7);
        let steps: Vec<i64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let expected = (n - 1..values.len()).map(|last| {
            // Steps that lead to the last n - 1 points and to the one at hand.
            let steps = &steps[last.saturating_sub(n)..last];
            let up: i64 = steps.iter().filter(|step| **step > 0).sum();
            let down: i64 = -steps.iter().filter(|step| **step < 0).sum::<i64>();
            if up + down == 0 { 0.0 } else { 100.0 * ((up - down) as f64 / (up + down) as f64) }
        });
        prop_assert_eq!(momentum.as_primitive::<Float64Type>().values().to_vec(), expected.collect::<Vec<_>>());
    }
}
