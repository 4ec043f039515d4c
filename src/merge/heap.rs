//! A binary heap of small numbers whose order is given with each call: the order of sources changes as they advance, and
//! the standard heap cannot borrow them.

/// A heap of source numbers; the least is on top.
#[derive(Debug, Default)]
pub(super) struct SourceHeap {
    items: Vec<u32>,
}

impl SourceHeap {
    pub(super) fn clear(&mut self) {
        self.items.clear();
    }

    pub(super) fn peek(&self) -> Option<u32> {
        self.items.first().copied()
    }

    pub(super) fn push(&mut self, item: u32, less: &impl Fn(u32, u32) -> bool) {
        self.items.push(item);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.less_at(at, parent, less) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    pub(super) fn pop(&mut self, less: &impl Fn(u32, u32) -> bool) -> Option<u32> {
        if self.items.is_empty() {
            return None;
        }
        let top = self.items.swap_remove(0);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            if left < self.items.len() && self.less_at(left, least, less) {
                least = left;
            }
            if right < self.items.len() && self.less_at(right, least, less) {
                least = right;
            }
            if least == at {
                return Some(top);
            }
            self.items.swap(at, least);
            at = least;
        }
    }

    fn less_at(&self, a: usize, b: usize, less: &impl Fn(u32, u32) -> bool) -> bool {
        match (self.items.get(a), self.items.get(b)) {
            (Some(&a), Some(&b)) => less(a, b),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_come_out_in_order(keys in proptest::collection::vec(0_u8..20, 0..60)) {
            let less = |a: u32, b: u32| keys[a as usize] < keys[b as usize];
            let mut heap = SourceHeap::default();
            for i in 0..keys.len() {
                heap.push(u32::try_from(i).unwrap(), &less);
            }
            let mut out = Vec::new();
            while let Some(i) = heap.pop(&less) {
                out.push(keys[i as usize]);
            }
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            prop_assert_eq!(out, sorted);
        }
    }
}
