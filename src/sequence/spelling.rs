//! Rows whose clustering was written in several ways.
//!
//! To Cassandra the decimals 1.0 and 1.00 are one clustering, and each replica and SSTable keeps the bytes that it met: which of
//! them a read returns depends on the order in which they meet, and two reads at ALL can differ. A target takes them for two
//! rows. So of all spellings that were seen one is elected, by their bytes alone, and every other one is deleted there.

use super::codec::{Spelling, StoredRow};
use crate::rows::{ClusteringValue, PartitionUpdate, Row, RowView, Span, UpdateContent};

/// The bytes of clustering values.
pub(super) type Clustering = Vec<Option<Vec<u8>>>;

/// The clustering of `view`.
pub(super) fn clustering_of(view: RowView<'_>) -> Clustering {
    view.row.clustering.iter().map(|value| value.bytes(view.data).map(<[u8]>::to_vec)).collect()
}

/// The spelling that stands for `stored` and the rows `new`, and all others of these: none where there is but one.
pub(super) fn elect<'v>(
    stored: Option<RowView<'v>>,
    new: impl Iterator<Item = RowView<'v>> + Clone,
) -> Option<(Clustering, Vec<Clustering>)> {
    let mut all = stored.into_iter().chain(new);
    let first = all.next()?;
    if all.clone().all(|view| is_spelled_as(view, first)) {
        return None;
    }
    let mut found: Vec<Clustering> = vec![clustering_of(first)];
    found.extend(all.map(clustering_of));
    // The shortest first, and of those of one length the one without an exponent.
    found.sort_by_cached_key(|clustering| {
        let len: usize = clustering.iter().flatten().map(Vec::len).sum();
        (len, clustering.clone())
    });
    found.dedup();
    let others = found.split_off(1);
    Some((found.pop()?, others))
}

fn is_spelled_as(a: RowView<'_>, b: RowView<'_>) -> bool {
    let (ours, theirs) = (&a.row.clustering, &b.row.clustering);
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(x, y)| x.bytes(a.data) == y.bytes(b.data))
}

/// A row of `clustering` alone, whose bytes are appended to `data`.
pub(super) fn row_of(clustering: &Clustering, data: &mut Vec<u8>) -> Row {
    let mut place = |bytes: &Vec<u8>| {
        let (start, len) = (u32::try_from(data.len()), u32::try_from(bytes.len()));
        data.extend_from_slice(bytes);
        match (start, len) {
            (Ok(start), Ok(len)) => ClusteringValue::Value(Span { start, len }),
            // Beyond 4 GiB nothing was read in the first place.
            _ => ClusteringValue::Null,
        }
    };
    let values =
        clustering.iter().map(|bytes| bytes.as_ref().map_or(ClusteringValue::Null, &mut place));
    Row { clustering: values.collect(), ..Row::EMPTY }
}

/// Spells the row of `update`, which is a single one, as `clustering`.
pub(super) fn respell(update: &mut PartitionUpdate, clustering: &Clustering) {
    let spelled = row_of(clustering, &mut update.data);
    if let Some(UpdateContent::Row(row)) = update.content.first_mut() {
        row.clustering = spelled.clustering;
    }
}

impl StoredRow {
    /// Notes that `clustering` is a spelling of this row, and not the one that stands for it.
    pub(super) fn note_spelling(&mut self, clustering: Clustering) {
        if self.spellings.iter().all(|known| known.clustering != clustering) {
            self.spellings.push(Spelling { clustering, is_deleted: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'a>(row: &'a Row, data: &'a [u8]) -> RowView<'a> {
        RowView { row, data }
    }

    #[test]
    fn one_spelling_stands_for_all_whatever_came_first() {
        let spellings: [&[u8]; 3] = [&[0, 0, 0, 10, 0], &[0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 0]];
        let rows: Vec<(Row, Vec<u8>)> = spellings
            .iter()
            .map(|bytes| {
                let mut data = vec![9];
                (row_of(&vec![Some(bytes.to_vec()), None], &mut data), data)
            })
            .collect();
        let views: Vec<_> = rows.iter().map(|(row, data)| view(row, data)).collect();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut of = order.iter().map(|i| views[*i]);
            let (elected, others) = elect(of.next(), of).unwrap();
            assert_eq!(elected, clustering_of(views[1]), "{order:?}");
            assert_eq!(others, [clustering_of(views[0]), clustering_of(views[2])], "{order:?}");
        }
        assert!(elect(Some(views[0]), [views[0]].into_iter()).is_none());
        assert!(elect(None, std::iter::empty()).is_none());
    }
}
