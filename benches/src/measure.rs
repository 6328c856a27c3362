use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Scale;

/// One way to do the work of a contest; answers with the time that the work itself took.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> Result<Duration> + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What one run of a contender does, to show times of a single thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) count: u32,
    pub(crate) unit: &'static str,
}

/// A result: Hayloft's values and those of the baselines, one of each in every round.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) row: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Vec<f64>,
    pub(crate) baselines: Vec<(&'static str, Vec<f64>)>,
}

/// What the values of a contest are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// Seconds for one of these.
    Seconds(&'static str),
    /// How many of them.
    Count(&'static str),
}

/// Lets contenders do the same work in turn; the first is Hayloft.
///
/// One further round goes first and does not count: it fills caches and trees.
pub(crate) fn contest(
    row: impl Into<String>,
    work: Work,
    scale: Scale,
    mut contenders: Vec<Contender<'_>>,
) -> Result<Contest> {
    let row = row.into();
    eprintln!("measuring {row}");
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 0..=scale.rounds {
        let length = contenders.len();
        let start = usize::try_from(round)? % length.max(1);
        for at in (start..length).chain(0..start) {
            let (Some(contender), Some(values)) = (contenders.get_mut(at), values.get_mut(at))
            else {
                continue;
            };
            let time = (contender.run)()?;
            if round > 0 {
                values.push(time.as_secs_f64() / f64::from(work.count));
            }
        }
    }
    let mut named = contenders.iter().map(|contender| contender.name).zip(values);
    let ours = named.next().map(|(_, values)| values).unwrap_or_default();
    Ok(Contest { row, unit: Unit::Seconds(work.unit), ours, baselines: named.collect() })
}

/// Lets two do the same in turn, each round in another order, where one run gives several values;
/// the first is Hayloft. One further round goes first and does not count.
pub(crate) fn alternate<S, const N: usize>(
    scale: Scale,
    sides: &mut [S; 2],
    baseline: &'static str,
    rows: [(String, Unit); N],
    mut work: impl FnMut(&mut S) -> Result<[f64; N]>,
) -> Result<Vec<Contest>> {
    let mut contests = Vec::new();
    for (row, unit) in rows {
        eprintln!("measuring {row}");
        contests.push(Contest {
            row,
            unit,
            ours: Vec::new(),
            baselines: vec![(baseline, Vec::new())],
        });
    }
    for round in 0..=scale.rounds {
        let mut values = [[0.0; N]; 2];
        for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            if let (Some(side), Some(value)) = (sides.get_mut(at), values.get_mut(at)) {
                *value = work(side)?;
            }
        }
        let [ours, theirs] = values;
        for ((contest, ours), theirs) in contests.iter_mut().zip(ours).zip(theirs) {
            if round > 0 {
                contest.ours.push(ours);
                contest.baselines.iter_mut().for_each(|(_, values)| values.push(theirs));
            }
        }
    }
    Ok(contests)
}

/// Calls `work` and tells how long that took.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    std::hint::black_box(work()?);
    Ok(start.elapsed())
}

/// Calls `work` and tells how long this thread was on a processor meanwhile: for work of one thread
/// that waits for nothing, so that other programs do not count.
#[cfg(unix)]
pub(crate) fn timed_on_processor<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
    let start = now()?;
    std::hint::black_box(work()?);
    Ok(now()?.saturating_sub(start))
}

/// Elsewhere there is only the time on the wall.
#[cfg(not(unix))]
pub(crate) fn timed_on_processor<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    timed(work)
}

/// The middle value; of an even number of values the upper one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Contest {
    /// Ours over a baseline in each round.
    pub(crate) fn ratios(&self, baseline: &[f64]) -> Vec<f64> {
        self.ours.iter().zip(baseline).map(|(ours, theirs)| ours / theirs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_take_turns_and_the_first_round_does_not_count() {
        let scale = Scale { rounds: 3, quick: true, million: false };
        let work = Work { count: 2, unit: "thing" };
        let order = std::cell::RefCell::new(String::new());
        let contender = |name: &'static str, seconds: u64| {
            let order = &order;
            Contender::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(Duration::from_secs(seconds))
            })
        };
        let found =
            contest("row", work, scale, vec![contender("a", 6), contender("b", 2)]).unwrap();
        assert_eq!(order.borrow().as_str(), "abbaabba");
        assert_eq!(found.ours, [3.0; 3]);
        assert_eq!(found.baselines, [("b", vec![1.0; 3])]);
        assert_eq!(found.ratios(&found.baselines[0].1), [3.0; 3]);
    }

    #[test]
    fn the_median_ignores_the_order_of_rounds() {
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
