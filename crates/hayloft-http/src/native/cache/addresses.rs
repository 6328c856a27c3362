/// Addresses for which answers are kept at a time.
const MOST: usize = 4;
/// What a request with a known key counts for.
const KNOWN: u32 = 64;
/// What counts at most, so that a server whose name changes is soon known by the new one.
const HIGHEST: u32 = 4_096;

/// The addresses by which most ask for a feed.
///
/// Clients choose the name by which they ask, and answers that hold it are of no use to others. So
/// the few addresses by which the most requests come are counted, requests with a known key more
/// than strangers' (the algorithm of Misra and Gries): what a fifth of them names is among them,
/// whatever the others invent.
#[derive(Debug, Default)]
pub(super) struct Addresses(Vec<(String, u32)>);

impl Addresses {
    /// Counts a request, and says whether answers for its address are kept.
    pub(super) fn keep(&mut self, address: &str, known: bool) -> bool {
        let weight = if known { KNOWN } else { 1 };
        if let Some((_, count)) = self.0.iter_mut().find(|(counted, _)| counted == address) {
            *count = count.saturating_add(weight).min(HIGHEST);
            return true;
        }
        let mut taken = 0;
        if self.0.len() >= MOST {
            let least = self.0.iter().map(|(_, count)| *count).min().unwrap_or_default();
            taken = least.min(weight);
            for (_, count) in &mut self.0 {
                *count -= taken;
            }
            self.0.retain(|(_, count)| *count > 0);
            if self.0.len() >= MOST {
                return false;
            }
        }
        self.0.push((address.to_owned(), weight.saturating_sub(taken).max(1)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_addresses_without_end() {
        let mut addresses = Addresses::default();
        for round in 0..10 {
            for name in ["a", "b", "c", "d"] {
                assert!(addresses.keep(name, false), "{name} in round {round}");
            }
        }
        let invented = (0..8).filter(|number| addresses.keep(&format!("x{number}"), false));
        assert_eq!(invented.count(), 0);
        assert!(addresses.keep("a", false));
        assert_eq!(addresses.0.len(), MOST);
    }

    #[test]
    fn what_strangers_invent_gives_way_to_the_address_that_others_use() {
        let mut addresses = Addresses::default();
        for name in ["w", "x", "y", "z"].iter().cycle().take(4_000) {
            addresses.keep(name, false);
        }
        // Strangers go on meanwhile, each with a name of their own.
        let known = (0..40).filter(|number| {
            addresses.keep(&format!("new{number}"), false);
            addresses.keep("real", true)
        });
        assert!(known.count() >= 20);
        for number in 0..10_000 {
            addresses.keep(&format!("new{number}"), false);
            assert!(number % 64 > 0 || addresses.keep("real", true), "{number}");
        }
    }

    #[test]
    fn an_address_is_found_among_invented_ones_by_how_often_it_is_used() {
        let mut addresses = Addresses::default();
        for name in ["w", "x", "y", "z"].iter().cycle().take(400) {
            addresses.keep(name, false);
        }
        for number in 0..1_000 {
            addresses.keep(&format!("new{number}"), false);
            addresses.keep("public", false);
        }
        assert!(addresses.keep("public", false));
    }
}
