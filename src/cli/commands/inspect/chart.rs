//! Histograms drawn with characters.

use super::model::Histogram;
use crate::cli::units::human_count;

const WIDTH: u64 = 32;

/// One bar per group: its label, its number, and a bar as long as its share of the largest.
pub(super) fn bars(groups: &[(String, u64)]) -> Vec<String> {
    let largest = groups.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let label_width = groups.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    groups
        .iter()
        .map(|(label, count)| {
            let line = format!(
                "{label:>label_width$} {:>8} {}",
                human_count(*count),
                bar(*count, largest)
            );
            line.trim_end().to_owned()
        })
        .collect()
}

/// Eighths of a character, so that small numbers are seen beside large ones.
fn bar(count: u64, largest: u64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (u128::from(count) * u128::from(WIDTH) * 8)
        .checked_div(largest.into())
        .and_then(|eighths| usize::try_from(eighths).ok())
        .unwrap_or(0);
    let eighths = eighths.max(usize::from(count > 0));
    format!("{}{}", "█".repeat(eighths / 8), PARTS.get(eighths % 8).unwrap_or(&""))
}

/// Sums a histogram into groups by upper bounds; empty groups at either end are left out.
pub(super) fn group(
    histogram: &Histogram,
    bounds: &[(i64, &str)],
    beyond: &str,
) -> Vec<(String, u64)> {
    let mut groups: Vec<(String, u64)> =
        bounds.iter().map(|(_, label)| ((*label).to_owned(), 0)).collect();
    groups.push((beyond.to_owned(), 0));
    for (value, count) in &histogram.0 {
        let at = bounds.iter().position(|(bound, _)| value <= bound).unwrap_or(bounds.len());
        if let Some((_, sum)) = groups.get_mut(at) {
            *sum = sum.saturating_add(*count);
        }
    }
    let first = groups.iter().position(|(_, count)| *count > 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|(_, count)| *count > 0).map_or(first, |at| at + 1);
    groups.get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        let groups = [
            ("a".to_owned(), 0),
            ("bb".to_owned(), 1),
            ("c".to_owned(), 50),
            ("d".to_owned(), 100),
        ];
        let half = "█".repeat(16);
        assert_eq!(
            bars(&groups),
            [
                " a        0".to_owned(),
                "bb        1 ▎".to_owned(),
                format!(" c       50 {half}"),
                format!(" d      100 {half}{half}"),
            ]
        );
        assert_eq!(bar(1, 1_000_000), "▏", "nothing that is there is invisible");
        assert_eq!(bar(u64::MAX, u64::MAX).chars().count(), 32);
        assert!(bars(&[]).is_empty());
    }

    #[test]
    fn values_fall_into_the_first_group_that_holds_them() {
        let histogram = Histogram(BTreeMap::from([(10, 1), (11, 2), (1000, 4), (i64::MAX, 8)]));
        let bounds = [(1, "1"), (10, "10"), (100, "100"), (500, "500"), (1000, "1000")];
        let expected = [("10", 1), ("100", 2), ("500", 0), ("1000", 4), ("more", 8)];
        let expected: Vec<_> = expected.iter().map(|(l, c)| ((*l).to_owned(), *c)).collect();
        assert_eq!(group(&histogram, &bounds, "more"), expected);
        assert!(group(&Histogram::default(), &bounds, "more").is_empty());
    }
}
