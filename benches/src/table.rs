use serde_json::{Value, json};

use crate::measure::{Contest, Unit, median};

/// Prints what was measured, as a Markdown table or as JSON.
#[expect(clippy::print_stdout, reason = "the result of the program")]
pub(crate) fn print(contests: &[Contest], as_json: bool) {
    if as_json {
        println!("{:#}", json(contests));
        return;
    }
    println!("| what | hayloft | baseline | baseline takes | ratio | lowest to highest |");
    println!("|---|---:|---|---:|---:|---|");
    for contest in contests {
        for (name, values) in &contest.baselines {
            let ratios = contest.ratios(values);
            println!(
                "| {} | {} | {name} | {} | {:.2} | {:.2} to {:.2} |",
                contest.row,
                shown(contest.unit, median(&contest.ours)),
                shown(contest.unit, median(values)),
                median(&ratios),
                ratios.iter().copied().fold(f64::INFINITY, f64::min),
                ratios.iter().copied().fold(0.0, f64::max),
            );
        }
    }
}

fn json(contests: &[Contest]) -> Value {
    let rows = contests.iter().flat_map(|contest| {
        contest.baselines.iter().map(|(name, values)| {
            let ratios = contest.ratios(values);
            let (unit, of) = match contest.unit {
                Unit::Seconds(of) => ("seconds", of),
                Unit::Count(of) => ("count", of),
            };
            json!({
                "row": contest.row,
                "unit": unit,
                "of": of,
                "hayloft": contest.ours,
                "baseline": name,
                "baselineValues": values,
                "ratio": median(&ratios),
                "ratios": ratios,
            })
        })
    });
    rows.collect()
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count(of) => format!("{value:.0} {of}"),
        Unit::Seconds(of) if value < 1e-3 => format!("{:.1} us/{of}", value * 1e6),
        Unit::Seconds(of) if value < 1.0 => format!("{:.2} ms/{of}", value * 1e3),
        Unit::Seconds(of) => format!("{value:.2} s/{of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_readable_unit() {
        assert_eq!(shown(Unit::Seconds("row"), 4.2e-6), "4.2 us/row");
        assert_eq!(shown(Unit::Seconds("package"), 0.0125), "12.50 ms/package");
        assert_eq!(shown(Unit::Seconds("open"), 1.5), "1.50 s/open");
        assert_eq!(shown(Unit::Count("commits"), 37.0), "37 commits");
    }

    #[test]
    fn json_has_every_round() {
        let contest = Contest {
            row: "hash".into(),
            unit: Unit::Seconds("byte"),
            ours: vec![2.0, 4.0],
            baselines: vec![("sum", vec![1.0, 1.0])],
        };
        let found = json(&[contest]);
        assert_eq!(found[0]["ratios"], json!([2.0, 4.0]));
        assert_eq!(found[0]["baseline"], "sum");
    }
}
