use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::network;

/// Requests that proxies pass on, of each address so many at once: their connections do not tell
/// the clients apart.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    most: usize,
    present: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One request of an address, as long as it exists.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), present: Arc::default() }
    }

    /// `None` if there are too many of this address.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Member> {
        let address = network(address);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Member { crowd: self.clone(), address })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                present.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_an_address_and_no_trace_of_who_has_left() {
        let crowd = Crowd::new(2);
        let (first, second) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let guests = [crowd.enter(first).unwrap(), crowd.enter(first).unwrap()];
        assert!(crowd.enter(first).is_none());
        let other = crowd.enter(second).unwrap();
        drop(guests);
        assert!(crowd.enter(first).is_some());
        drop(other);
        assert!(crowd.present.lock().unwrap().is_empty());
    }
}
